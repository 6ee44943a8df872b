"""A key that is given to somebody else: its owner's sign-ins keep their limits and count apart."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from gateway.history.holds import held
from gateway.models import ClientKey, LegalHold, Origin, RequestLog
from tests.config.test_sign_in import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def bob():
    return get_user_model().objects.create_user("bob")


def line(key):
    key.refresh_from_db()
    return key.lineage or key.pk


def by_save(keys, user):
    for key in keys:
        key.refresh_from_db()
        key.user = user
        key.save()


def by_update(keys, user):
    ClientKey.objects.filter(pk__in=[key.pk for key in keys]).update(user=user)


GIVEN = pytest.mark.parametrize("give", [by_save, by_update])


@GIVEN
@pytest.mark.parametrize("nobody", [False, True])
def test_the_sign_ins_of_who_had_a_key_leave_its_budget(ada, bob, give, nobody):
    key, _secret = ClientKey.issue("laptop", user=bob, spend_budget=50)
    (first, _), (second, _) = signed_in(bob), signed_in(bob)
    assert line(first) == line(second) == key.pk
    give([key], None if nobody else ada)
    assert line(key) == key.pk
    assert line(first) == line(second) == first.pk
    assert {one.spend_budget for one in (first, second)} == {50}
    # the next sign-ins count with the keys of their own person
    assert line(signed_in(bob)[0]) == first.pk
    if not nobody:
        assert line(signed_in(ada)[0]) == key.pk


@GIVEN
def test_keys_that_are_given_together_with_their_sign_ins_stay_together(ada, bob, give):
    key, _secret = ClientKey.issue("laptop", user=bob)
    signed = [signed_in(bob)[0] for _ in range(3)]
    others = ClientKey.issue("of nobody")[0]
    give([key, *signed, others], ada)
    assert line(key) == key.pk
    if give is by_update:
        assert {line(one) for one in signed} == {key.pk}
    assert line(others) == others.pk


@GIVEN
def test_rotated_keys_stay_together_and_their_newest_decides(ada, bob, give):
    old, _secret = ClientKey.issue("laptop", user=bob)
    new, _secret = old.rotate(timedelta(hours=1))
    signed, _tokens = signed_in(bob)
    give([old], ada)
    assert line(old) == line(new) == line(signed) == old.pk
    give([new], ada)
    assert line(old) == line(new) == old.pk
    assert line(signed) == signed.pk


@GIVEN
def test_a_sign_in_that_is_given_away_leaves_the_sign_ins_of_its_person(ada, bob, give):
    first, second, third = (signed_in(bob)[0] for _ in range(3))
    give([second], ada)
    assert (line(first), line(second), line(third)) == (first.pk, second.pk, first.pk)
    # who has the first of them has the lineage
    give([first], ada)
    assert (line(first), line(third)) == (first.pk, third.pk)


def test_another_change_of_a_key_moves_no_sign_in(bob):
    key, _secret = ClientKey.issue("laptop", user=bob)
    signed, _tokens = signed_in(bob)
    key.name, key.owner = "desk", "team"
    key.save()
    key.revoke()
    assert line(signed) == key.pk
    assert signed.origin == Origin.SIGN_IN


@pytest.mark.parametrize("named", ["key", "sign_in"])
def test_a_hold_covers_what_it_covered_and_a_later_one_the_key_alone(ada, bob, named):
    key, _secret = ClientKey.issue("laptop", user=bob)
    signed, _tokens = signed_in(bob)
    for number, one in enumerate((key, signed)):
        RequestLog.objects.create(
            request_id=f"r{number}", client_key=one, started_at=timezone.now(), session_id="s"
        )
    for reason in ("court", "tax"):
        LegalHold.objects.create(client_key=key if named == "key" else signed, reason=reason)
    by_save([key], ada)
    assert RequestLog.objects.filter(held()).count() == 2
    # of two, one that is lifted leaves the other
    LegalHold.objects.filter(reason="court").delete()
    assert RequestLog.objects.filter(held()).count() == 2
    LegalHold.objects.all().delete()
    assert not RequestLog.objects.filter(held()).exists()
    LegalHold.objects.create(client_key=key, reason="later")
    assert [row.request_id for row in RequestLog.objects.filter(held())] == ["r0"]
