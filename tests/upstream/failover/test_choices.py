"""Where one exchange may still go."""

import dataclasses

import pytest

from gateway.routing.snapshot import Credential, SetAside
from gateway.upstream.failover.attempts import Elsewhere, Fault
from gateway.upstream.failover.choices import Choices
from gateway.upstream.failover.health import FAILURES_TO_COOL, FIRST_COOLING, Health
from tests.upstream.routes import credential_of, rejected, route, unreachable

A, B = route("a"), route("b", credentials=(2,))
POOL = route("p", credentials=(1, 2, 3))


@pytest.fixture
def health():
    return Health()


def cool(health, target, now=0.0):
    for _ in range(FAILURES_TO_COOL):
        health.failed(target, credential_of(target), Fault.PASSING, unreachable(), now)


def limit(health, target, seconds, now=0.0, credential=None):
    credential = credential or credential_of(target)
    health.begins(target, now)
    health.failed(target, credential, Fault.LIMIT, rejected(429, seconds), now)
    # a first limit makes the place known, so that `begins` notes when it was asked
    health.begins(target, now)


def refused(target):
    aside = tuple(
        dataclasses.replace(c, set_aside=SetAside(float(c.id))) for c in target.provider.credentials
    )
    return dataclasses.replace(target, provider=dataclasses.replace(target.provider, credentials=aside))


def slug(choices, now=0.0, time_left=10.0):
    choice = choices.next(now, time_left)
    return choice.route.provider.slug if choice else None


def test_targets_come_in_their_order(health):
    choices = Choices([A, B], "s", health)
    assert slug(choices) == "a"
    choices.give_up_target(choices.next(0, 10))
    assert slug(choices) == "b"
    choices.give_up_target(choices.next(0, 10))
    assert slug(choices) is None


def test_a_target_that_cools_is_passed_over_and_the_next_request_returns(health):
    cool(health, A)
    assert slug(Choices([A, B], "s", health)) == "b"
    assert slug(Choices([A, B], "s", health), FIRST_COOLING) == "a"


def test_a_session_keeps_its_credential_and_fails_over_in_a_fixed_order(health):
    order = []
    choices = Choices([POOL], "s", health)
    for _ in range(3):
        choice = choices.next(0, 10)
        order.append(choice.credential.id)
        choices.give_up_credential(choice)
    assert choices.next(0, 10) is None
    assert sorted(order) == [1, 2, 3]
    assert Choices([POOL], "s", health).next(0, 10).credential.id == order[0]


def test_a_limited_credential_is_passed_over(health):
    own = Choices([POOL], "s", health).next(0, 10).credential
    limit(health, POOL, 60, credential=own)
    assert Choices([POOL], "s", health).next(0, 10).credential != own
    assert Choices([POOL], "s", health).next(61, 10).credential == own


def test_a_short_limit_is_waited_for_when_nothing_else_is_free(health):
    limit(health, A, 4)
    choice = Choices([A], "s", health).next(1, 10)
    assert (choice.route, choice.wait) == (A, 3)


def test_when_all_limits_run_for_long_the_one_that_is_over_first_is_tried_at_once(health):
    limit(health, A, 3600)
    limit(health, B, 600)
    choices = Choices([A, B], "s", health)
    choice = choices.next(1, 10)
    assert (choice.route, choice.wait) == (B, 0)
    choices.give_up_target(choice)
    assert choices.next(1, 10) is None


def test_a_target_that_cools_is_better_than_a_limit_that_runs_for_long(health):
    limit(health, A, 3600)
    cool(health, B)
    assert slug(Choices([A, B], "s", health)) == "b"


def test_when_all_targets_cool_the_one_that_is_due_first_is_tried(health):
    cool(health, B, 1.0)
    cool(health, A, 2.0)
    choices = Choices([A, B], "s", health)
    assert slug(choices, 3.0) == "b"
    choices.give_up_target(choices.next(3.0, 10))
    assert slug(choices, 3.0) == "a"


def test_a_target_that_cools_is_better_than_a_credential_that_was_refused(health):
    cool(health, B)
    assert slug(Choices([refused(A), B], "s", health)) == "b"


def test_when_every_credential_was_refused_the_one_refused_longest_ago_is_tried(health):
    assert Choices([refused(POOL)], "s", health).next(0, 10).credential.id == 1


def test_a_refused_credential_is_not_tried_after_something_else_failed(health):
    choices = Choices([A, refused(B)], "s", health)
    choices.give_up_target(choices.next(0, 10))
    assert choices.next(0, 10) is None


def test_elsewhere_are_free_credentials_and_other_targets(health):
    choices = Choices([POOL, B], "s", health)
    first = choices.next(0, 10)
    assert choices.elsewhere(first, 0) == Elsewhere(credential=True, target=True)
    for _ in range(2):
        choices.give_up_credential(choices.next(0, 10))
    last = choices.next(0, 10)
    assert choices.elsewhere(last, 0) == Elsewhere(target=True)
    choices.give_up_target(last)
    only = choices.next(0, 10)
    assert (only.route, choices.elsewhere(only, 0)) == (B, Elsewhere())


def test_a_target_that_cools_still_counts_as_elsewhere_and_a_limited_one_does_not(health):
    cool(health, B)
    choices = Choices([A, B], "s", health)
    assert choices.elsewhere(choices.next(0, 10), 0).target
    other = Health()
    limit(other, B, 60)
    choices = Choices([A, B], "s", other)
    assert not choices.elsewhere(choices.next(1, 10), 1).target


def test_a_provider_without_credentials_is_a_choice_too(health):
    bare = route("a", credentials=())
    choices = Choices([bare], "s", health)
    assert choices.next(0, 10).credential is None
    choices.give_up_credential(choices.next(0, 10))
    assert choices.next(0, 10) is None


def test_a_spare_credential_stands_in_when_those_before_it_are_set_aside(health):
    first = Credential(1, "c1", "s", 0, SetAside(0.0))
    spare = Credential(2, "c2", "s", 5)
    assert Choices([route("a", credentials=(first, spare))], "s", health).next(0, 10).credential.id == 2
