"""What is set aside, and how it comes back."""

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.routing.snapshot import Credential, SetAside
from gateway.upstream.failover.attempts import Fault
from gateway.upstream.failover.health import (
    FAILURES_TO_COOL,
    FIRST_COOLING,
    LONGEST_COOLING,
    MOST_TARGETS,
    OWN_WORD,
    PROBE_PATIENCE,
    Health,
    Kind,
)
from tests.examples import examples
from tests.upstream.routes import credential_of, rejected, route, unreachable


@pytest.fixture
def changes():
    return []


@pytest.fixture
def health(changes):
    return Health(changes.append)


A = route("a")
CREDENTIAL = credential_of(A)


def kind(health, now, target=A, credential=CREDENTIAL):
    return health.standing(target, credential, now).kind


def fail(health, now, times=1, target=A, error=None):
    for _ in range(times):
        health.begins(target, now)
        health.failed(target, CREDENTIAL, Fault.PASSING, error or unreachable(), now)


# --- cooling -------------------------------------------------------------------------


def test_a_target_that_keeps_failing_is_set_aside_for_the_cooling_time(health, changes):
    fail(health, 100, FAILURES_TO_COOL - 1)
    assert kind(health, 100) is Kind.FREE
    fail(health, 100)
    standing = health.standing(A, CREDENTIAL, 100)
    assert (standing.kind, standing.since, standing.until) == (Kind.COOLING, 100, 100 + FIRST_COOLING)
    assert standing.reason == "could not connect"
    assert [(c.upstream_model, c.failures, c.until) for c in changes] == [("m", 3, 100 + FIRST_COOLING)]


def test_a_success_in_between_begins_the_count_anew(health):
    fail(health, 100, FAILURES_TO_COOL - 1)
    health.succeeded(A, CREDENTIAL)
    fail(health, 100, FAILURES_TO_COOL - 1)
    assert kind(health, 100) is Kind.FREE


def test_a_client_s_fault_is_a_success_of_the_target(health):
    fail(health, 100, FAILURES_TO_COOL - 1)
    health.failed(A, CREDENTIAL, Fault.CLIENT, rejected(400), 100)
    fail(health, 100)
    assert kind(health, 100) is Kind.FREE


def test_after_the_cooling_time_one_request_probes_and_the_others_pass_by(health):
    fail(health, 0, FAILURES_TO_COOL)
    due = FIRST_COOLING
    assert kind(health, due) is Kind.FREE
    health.begins(A, due)
    assert kind(health, due) is Kind.COOLING


def test_a_probe_that_succeeds_brings_the_target_back(health, changes):
    fail(health, 0, FAILURES_TO_COOL)
    health.begins(A, FIRST_COOLING)
    health.succeeded(A, CREDENTIAL)
    assert kind(health, FIRST_COOLING) is Kind.FREE
    assert changes[-1].since is None


def test_a_probe_that_fails_doubles_the_time_up_to_a_limit(health):
    fail(health, 0, FAILURES_TO_COOL)
    now, times = 0.0, []
    for _ in range(10):
        until = health.standing(A, CREDENTIAL, now).until
        times.append(until - now)
        now = until
        fail(health, now)
    assert times[:3] == [5, 10, 20]
    assert times[-1] == LONGEST_COOLING


def test_failures_that_began_before_do_not_lengthen_the_time(health):
    fail(health, 0, FAILURES_TO_COOL + 5)
    assert health.standing(A, CREDENTIAL, 0).until == FIRST_COOLING


def test_a_probe_whose_client_left_lets_another_probe(health):
    fail(health, 0, FAILURES_TO_COOL)
    health.begins(A, FIRST_COOLING)
    health.left(A)
    assert kind(health, FIRST_COOLING) is Kind.FREE


def test_a_probe_that_takes_too_long_does_not_keep_others_out(health):
    fail(health, 0, FAILURES_TO_COOL)
    health.begins(A, FIRST_COOLING)
    assert kind(health, FIRST_COOLING + PROBE_PATIENCE) is Kind.FREE


def test_a_server_that_names_a_pause_is_left_alone_for_it(health):
    fail(health, 0, FAILURES_TO_COOL, error=rejected(503, retry_after=60))
    assert health.standing(A, CREDENTIAL, 0).until == 60


def test_targets_are_told_apart_by_provider_address_and_model(health):
    fail(health, 0, FAILURES_TO_COOL)
    moved = dataclasses.replace(A, provider=dataclasses.replace(A.provider, base_url="http://new/v1"))
    for other in (route("b"), route("a", "other"), moved):
        assert kind(health, 0, other) is Kind.FREE


def test_an_admin_who_brings_the_provider_back_is_believed(health):
    fail(health, 10, FAILURES_TO_COOL)
    forgiven = dataclasses.replace(A, provider=dataclasses.replace(A.provider, brought_back=11.0))
    assert kind(health, 11, forgiven) is Kind.FREE
    fail(health, 12, FAILURES_TO_COOL, target=forgiven)
    assert kind(health, 12, forgiven) is Kind.COOLING


@pytest.mark.parametrize("fault", [Fault.PASSING, Fault.LIMIT, Fault.CREDENTIAL])
def test_failures_after_a_clock_was_set_back_are_not_forgiven(health, fault):
    """They are newer than what the admin forgave, though their time is earlier."""
    brought_back = dataclasses.replace(A, provider=dataclasses.replace(A.provider, brought_back=3_600.0))
    assert kind(health, 3_601, brought_back) is Kind.FREE
    for _ in range(FAILURES_TO_COOL):
        health.failed(brought_back, CREDENTIAL, fault, rejected(429, 60), 10)
    assert kind(health, 10, brought_back) is not Kind.FREE


def test_failures_before_a_provider_was_brought_back_do_not_make_later_ones_forgiven(health):
    fail(health, 10, FAILURES_TO_COOL - 1)
    brought_back = dataclasses.replace(A, provider=dataclasses.replace(A.provider, brought_back=11.0))
    fail(health, 12, FAILURES_TO_COOL - 1, target=brought_back)
    assert kind(health, 12, brought_back) is Kind.FREE
    fail(health, 13, target=brought_back)
    assert kind(health, 13, brought_back) is Kind.COOLING


def test_failures_before_a_clock_was_set_back_are_forgiven(health):
    fail(health, 3_600, FAILURES_TO_COOL)
    forgiven = dataclasses.replace(A, provider=dataclasses.replace(A.provider, brought_back=10.0))
    assert kind(health, 10, forgiven) is Kind.FREE


# --- limited ---------------------------------------------------------------------------------


def limit(health, now, retry_after=None, target=A, credential=CREDENTIAL):
    health.begins(target, now)
    health.failed(target, credential, Fault.LIMIT, rejected(429, retry_after), now)


def test_a_limit_sets_the_credential_aside_at_that_target_for_as_long_as_was_asked(health):
    limit(health, 100, 7)
    standing = health.standing(A, CREDENTIAL, 100)
    assert (standing.kind, standing.until, standing.status) == (Kind.LIMITED, 107, 429)
    assert kind(health, 107) is Kind.FREE
    assert kind(health, 100, route("a", "other")) is Kind.FREE
    assert kind(health, 100, A, Credential(2, "c2", "s")) is Kind.FREE


@pytest.mark.parametrize("asked", [99_999_999, int(1e300), 10 * 365 * 86_400])
def test_a_limit_is_believed_for_an_hour_at_most(health, asked):
    limit(health, 0, retry_after=asked)
    assert health.standing(A, CREDENTIAL, 3_599).kind is Kind.LIMITED
    assert health.standing(A, CREDENTIAL, 3_601).kind is Kind.FREE


def test_limits_without_a_time_double(health):
    times = []
    for now in (0, 100, 200):
        limit(health, now)
        times.append(health.standing(A, CREDENTIAL, now).until - now)
    assert times == [1, 2, 4]


def test_only_a_limit_worth_looking_at_is_told(health, changes):
    limit(health, 0, 2)
    assert changes == []
    limit(health, 10, 600)
    assert [(c.credential, c.until, c.refused) for c in changes] == [("c1", 610, False)]
    health.succeeded(A, CREDENTIAL)
    assert changes[-1].since is None


# --- refused ---------------------------------------------------------------------------------------


def refuse(health, now, credential=CREDENTIAL, target=A):
    health.failed(target, credential, Fault.CREDENTIAL, rejected(401), now)


def test_a_refused_credential_is_set_aside_everywhere_and_told_once(health, changes):
    refuse(health, 0)
    refuse(health, 1)
    assert kind(health, 1) is Kind.REFUSED
    assert kind(health, 1, route("a", "other")) is Kind.REFUSED
    assert [(c.credential_id, c.status, c.refused) for c in changes] == [(1, 401, True)]


def test_the_record_takes_over_from_the_process_s_own_word(health):
    refuse(health, 0)
    assert kind(health, OWN_WORD + 1) is Kind.FREE
    recorded = dataclasses.replace(CREDENTIAL, set_aside=SetAside(0.0, None, 401, "no"))
    standing = health.standing(A, recorded, OWN_WORD + 1)
    assert (standing.kind, standing.status, standing.reason) == (Kind.REFUSED, 401, "no")


def test_a_credential_that_is_brought_back_at_once_is_free_at_once(health):
    refuse(health, 10)
    recorded = dataclasses.replace(CREDENTIAL, set_aside=SetAside(10.0))
    assert kind(health, 11, A, recorded) is Kind.REFUSED
    assert kind(health, 12) is Kind.FREE


def test_an_admin_is_believed_even_before_the_record_was_seen(health):
    refuse(health, 10)
    forgiven = dataclasses.replace(A, provider=dataclasses.replace(A.provider, brought_back=11.0))
    assert kind(health, 11, forgiven) is Kind.FREE


def test_a_record_with_an_end_ends():
    recorded = dataclasses.replace(CREDENTIAL, set_aside=SetAside(0.0, 50.0))
    assert kind(Health(), 49, A, recorded) is Kind.REFUSED
    assert kind(Health(), 50, A, recorded) is Kind.FREE


def test_a_success_with_a_credential_that_is_set_aside_brings_it_back(health, changes):
    recorded = dataclasses.replace(CREDENTIAL, set_aside=SetAside(0.0))
    health.succeeded(A, recorded)
    assert [(c.credential_id, c.since, c.refused) for c in changes] == [(1, None, True)]


def test_a_provider_without_a_credential_that_wants_one_counts_as_failing(health):
    bare = route("a", credentials=())
    for _ in range(FAILURES_TO_COOL):
        health.failed(bare, None, Fault.CREDENTIAL, rejected(401), 0)
    assert kind(health, 0, bare, None) is Kind.COOLING


# --- always -----------------------------------------------------------------------------------------


def test_names_that_clients_make_up_do_not_fill_the_memory(health):
    for number in range(MOST_TARGETS * 2):
        fail(health, number, target=route("a", f"m{number}"))
    assert len(health._targets) <= MOST_TARGETS


def test_limits_of_names_that_clients_make_up_do_not_fill_the_memory_either(health):
    for number in range(MOST_TARGETS * 2):
        target = route("a", f"m{number}")
        error = rejected(429)
        error.retry_after = 3600
        health.failed(target, CREDENTIAL, Fault.LIMIT, error, 0)
    assert len(health._limits) <= MOST_TARGETS
    assert kind(health, 1, target) is Kind.LIMITED


def test_a_clock_that_is_set_back_keeps_nothing_aside_for_longer(health):
    fail(health, 10_000, FAILURES_TO_COOL)
    other = route("b")
    error = rejected(429)
    error.retry_after = 30
    health.failed(other, CREDENTIAL, Fault.LIMIT, error, 10_000)
    for standing, until in ((health.standing(A, None, 6_400), 6_400 + FIRST_COOLING),
                            (health.standing(other, CREDENTIAL, 6_400), 6_430)):  # fmt: skip
        assert (standing.since, standing.until) == (6_400, until)
    assert kind(health, 6_400 + FIRST_COOLING, A) is Kind.FREE
    assert kind(health, 6_430, other) is Kind.FREE


def test_a_probe_before_the_clock_was_set_back_keeps_others_away_no_longer(health):
    fail(health, 10_000, FAILURES_TO_COOL)
    health.begins(A, 10_000 + FIRST_COOLING)
    assert kind(health, 6_400) is Kind.COOLING
    assert kind(health, 6_400 + PROBE_PATIENCE) is Kind.FREE


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens, and in whatever order, nothing stays set aside for ever."""

    def __init__(self):
        super().__init__()
        self.health = Health()
        self.now = 0.0

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(
        fault=st.sampled_from([f for f in Fault if f is not Fault.CREDENTIAL]),
        retry_after=st.none() | st.integers(1, 1000),
    )
    def an_attempt_fails(self, fault, retry_after):
        self.health.begins(A, self.now)
        self.health.failed(A, CREDENTIAL, fault, rejected(429, retry_after), self.now)

    @rule()
    def a_credential_is_refused(self):
        refuse(self.health, self.now)

    @rule()
    def an_attempt_succeeds(self):
        self.health.succeeded(A, CREDENTIAL)
        assert kind(self.health, self.now) is Kind.FREE

    @rule()
    def a_client_leaves(self):
        self.health.begins(A, self.now)
        self.health.left(A)

    @invariant()
    def it_comes_back(self):
        assert kind(self.health, self.now + 1001 + LONGEST_COOLING) is Kind.FREE


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=examples(50), stateful_step_count=30)
