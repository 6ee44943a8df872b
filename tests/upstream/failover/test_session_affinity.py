"""Which credential a conversation uses."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.snapshot import Credential
from gateway.upstream.failover.session_affinity import in_order


def credentials(*numbers, position=0):
    return tuple(Credential(number, f"c{number}", "secret", position) for number in numbers)


def first(pool, session):
    return in_order(pool, session)[0].id


@given(st.text())
def test_the_order_is_the_same_whatever_order_the_credentials_come_in(session):
    pool = credentials(1, 2, 3, 4)
    assert list(in_order(pool, session)) == list(in_order(tuple(reversed(pool)), session))


@given(st.text(), st.sets(st.integers(1, 100), min_size=2, max_size=8))
def test_a_session_moves_only_when_its_own_credential_goes(session, numbers):
    pool = credentials(*sorted(numbers))
    order = [credential.id for credential in in_order(pool, session)]
    for gone in numbers:
        left = tuple(credential for credential in pool if credential.id != gone)
        expected = order[1] if order[0] == gone else order[0]
        assert first(left, session) == expected


def test_sessions_are_spread_evenly():
    counts = Counter(first(credentials(1, 2, 3, 4), f"session-{number}") for number in range(4000))
    assert all(850 < count < 1150 for count in counts.values())


def test_credentials_of_a_larger_position_stand_in():
    pool = (*credentials(1, 2, position=1), *credentials(3, 4, position=0))
    for number in range(50):
        order = [credential.id for credential in in_order(pool, str(number))]
        assert set(order[:2]) == {3, 4}
