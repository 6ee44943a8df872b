"""Bounds of connections: numbers, deadlines, bytes. Time is a number here."""

import asyncio
import ipaddress
import json

import pytest

from ccproxy_site import forwarded
from ccproxy_site.forwarded import TrustedProxies
from ccproxy_site.server.connections import bounds, registry, slot
from ccproxy_site.server.connections.bounds import (
    MB,
    MOST_CONNECTIONS,
    Bounds,
    bounds_for,
    counted_address,
    raised_descriptors,
)
from ccproxy_site.server.connections.registry import Connections
from ccproxy_site.server.connections.slot import (
    ABORT_SECONDS,
    BODY_SECONDS,
    EXCESS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    READ_SECONDS,
    SLOWEST_READER,
    ConnectionPhase,
)
from gateway.errors import InvalidRequest


class Transport:
    def __init__(self, connections, address="127.0.0.1"):
        self.address = address
        self.written = b""
        self.closed = self.aborted = False
        self.unread = 0
        self.slot = connections.admit(self)

    def get_write_buffer_size(self):
        return self.unread

    def get_extra_info(self, name):
        if name == "socket":
            return None
        return (self.address, 1) if self.address else ""

    def write(self, data):
        assert not self.closed
        self.written += data

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    @property
    def error(self):
        head, _, body = self.written.partition(b"\r\n\r\n")
        assert b"connection: close" in head
        return int(head.split()[1]), json.loads(body)["error"]["type"]


def small(**bounds):
    return Connections(Bounds(**{"connections": 4, "of_one_address": 3, "without_head": 4, **bounds}))


def at_deadline(slot):
    """What the timer does when the slot's deadline is over."""
    slot.late()


async def test_the_oldest_idle_connection_makes_room():
    connections = small()
    first, second, third, fourth = (Transport(connections, f"10.0.0.{n}") for n in range(4))
    first.slot.answering()
    fifth = Transport(connections, "10.0.0.9")
    assert [one.closed for one in (first, second, third, fourth, fifth)] == [False, True, False, False, False]
    first.slot.idle()
    second.slot.gone()
    sixth = Transport(connections, "10.0.0.9")
    # `first` became idle last
    assert (first.closed, third.closed, sixth.closed) == (False, True, False)


async def test_who_comes_when_nobody_is_idle_is_told_why():
    connections = small()
    for number in range(4):
        Transport(connections, f"10.0.0.{number}").slot.answering()
    late = Transport(connections, "10.0.0.9")
    assert late.closed and late.slot.refused
    assert late.error == (529, "overloaded_error")
    assert b"retry-after" in late.written


async def test_one_address_does_not_take_the_place_of_others():
    connections = small()
    other = Transport(connections, "10.0.0.1")
    mine = [Transport(connections, "10.0.0.2") for _ in range(4)]
    assert [one.closed for one in mine] == [True, False, False, False]
    for one in mine[1:]:
        one.slot.answering()
    refused = Transport(connections, "10.0.0.2")
    assert refused.error == (529, "overloaded_error")
    assert b"your address" in refused.written
    assert not other.closed


async def test_connections_without_a_head_make_room_for_each_other_alone():
    connections = small(connections=10, of_one_address=10, without_head=2)
    kept = [Transport(connections) for _ in range(2)]
    for one in kept:
        one.slot.answering()
        one.slot.idle()
    half = [Transport(connections) for _ in range(5)]
    for one in half:
        one.slot.head()
    assert [one.closed for one in half] == [True, True, True, False, False]
    assert not any(one.closed for one in kept)


async def test_who_opens_many_without_a_head_ends_their_own():
    connections = small(connections=10, of_one_address=10, without_head=3)
    other = Transport(connections, "10.0.0.1")
    mine = [Transport(connections, "10.0.0.2") for _ in range(5)]
    assert [one.closed for one in mine] == [True, True, True, False, False]
    assert not other.closed


async def test_a_client_that_does_not_read_keeps_no_place():
    connections = small()
    first = Transport(connections)
    first.unread = 1000
    for _ in range(3):
        Transport(connections)
    assert first.aborted


@pytest.mark.parametrize("bounds", [{"of_one_address": 1}, {"connections": 1}, {"without_head": 1}])
async def test_a_newcomer_counts_for_its_address_whoever_made_room_for_it(bounds):
    connections = small(**bounds)
    Transport(connections, "10.0.0.1")
    newcomer = Transport(connections, "10.0.0.1")
    assert connections._of_address == {"10.0.0.1": {newcomer.slot}}
    newcomer.slot.answering()
    refused = [Transport(connections, "10.0.0.1").slot.refused for _ in range(5)]
    assert sum(map(len, connections._of_address.values())) <= len(connections._open)
    assert all(refused) or "without_head" in bounds


async def test_who_is_gone_leaves_nothing_behind():
    connections = small()
    for _ in range(10):
        one = Transport(connections, "10.0.0.1")
        one.slot.head()
        one.slot.gone()
    assert not len(connections)
    assert not connections._idle and not connections._without_head and not connections._of_address


async def test_a_head_that_takes_too_long_is_answered():
    one = Transport(small())
    now = asyncio.get_running_loop().time()
    one.slot.head()
    assert one.slot.deadline - now == pytest.approx(HEAD_SECONDS, abs=1)
    at_deadline(one.slot)
    assert one.error == (408, "timeout_error") and one.closed
    at_deadline(one.slot)
    assert one.aborted


async def test_an_idle_connection_is_closed_then_cut():
    one = Transport(small())
    now = asyncio.get_running_loop().time()
    assert one.slot.deadline - now == pytest.approx(IDLE_SECONDS, abs=1)
    at_deadline(one.slot)
    assert one.closed and not one.written and not one.aborted
    assert one.slot.deadline - now == pytest.approx(ABORT_SECONDS, abs=1)
    at_deadline(one.slot)
    assert one.aborted


def arriving(connections, length, path=b"/admin/login/", **more):
    one = Transport(connections, **more)
    one.slot.head()
    one.kept = one.slot.whole_head(b"POST", path, {}, "127.0.0.1", length)
    return one


@pytest.mark.parametrize(("length", "came", "seconds"), [(MB, 0, 10), (None, MB, 10), (0, 0, 0)])
async def test_a_body_has_the_time_that_its_size_takes(length, came, seconds):
    one = arriving(small(), length)
    one.slot.received(came)
    left = one.slot.deadline - asyncio.get_running_loop().time()
    assert left == pytest.approx(BODY_SECONDS + seconds, abs=1.5)
    at_deadline(one.slot)
    assert one.error == (408, "timeout_error")


async def test_a_request_that_is_answered_has_no_deadline():
    one = arriving(small(), 3)
    one.slot.answering()
    assert one.slot.deadline == float("inf")


def held_back(connections, **more):
    one = Transport(connections, **more)
    one.slot.answering()
    one.unread = 10 * MB
    one.slot.held_back()
    return one


def left(one):
    return one.slot.deadline - asyncio.get_running_loop().time()


async def test_a_client_that_reads_nothing_of_a_stream_is_cut():
    one = held_back(small())
    assert left(one) == pytest.approx(READ_SECONDS, abs=1)
    at_deadline(one.slot)
    assert one.aborted


async def test_a_client_that_reads_slowly_but_steadily_is_not_cut():
    one = held_back(small())
    for _ in range(50):
        one.unread -= int(READ_SECONDS * SLOWEST_READER)
        at_deadline(one.slot)
        assert not one.aborted and left(one) == pytest.approx(READ_SECONDS, abs=1)
    one.slot.reads_on()
    assert left(one) == float("inf")


async def test_a_trickle_is_not_reading():
    one = held_back(small())
    one.unread -= 1
    at_deadline(one.slot)
    assert one.aborted


async def test_a_request_that_comes_behind_an_unread_answer_gives_no_more_time():
    one = held_back(small())
    one.slot.idle()
    one.slot.answering()
    assert left(one) == pytest.approx(READ_SECONDS, abs=1)


@pytest.mark.parametrize("closing", [False, True])
async def test_a_whole_answer_may_take_its_client_as_long_as_a_streamed_one(closing):
    connections = small()
    one = held_back(connections)
    one.slot.idle()
    if closing:
        one.slot.close()
    for _ in range(3):
        one.unread -= int(READ_SECONDS * SLOWEST_READER)
        at_deadline(one.slot)
        assert one.closed is closing and not one.aborted
    one.slot.reads_on()
    assert left(one) == pytest.approx(ABORT_SECONDS if closing else IDLE_SECONDS, abs=1)


async def test_a_connection_that_closes_behind_a_long_answer_keeps_its_place_until_somebody_needs_it():
    connections = small(of_one_address=1)
    one = held_back(connections, address="10.0.0.1")
    one.slot.close()
    assert one.closed and not one.aborted
    for _ in range(2):
        other = Transport(connections, "10.0.0.1")
        assert one.aborted and not other.slot.refused


async def test_a_body_is_refused_by_its_length_and_by_what_comes():
    announced = arriving(small(), 33 * MB)
    assert announced.error == (413, "request_too_large")
    chunks = arriving(small(), None, path=b"/health")
    chunks.slot.received(MB)
    assert not chunks.slot.refused and not chunks.kept
    chunks.slot.received(1)
    assert chunks.error == (413, "request_too_large")


async def test_behind_a_refusal_a_client_may_finish_within_a_bound():
    one = arriving(small(), 3 * MB, path=b"/health")
    assert one.error[0] == 413 and not one.closed
    one.slot.dropped(2 * MB)
    assert not one.closed
    one.slot.dropped(MB)
    assert one.closed
    other = arriving(small(), 100 * MB)
    other.slot.received(EXCESS)
    assert other.closed and not other.aborted


async def test_over_the_budget_the_largest_goes_and_what_it_held_is_given_back():
    connections = small(without_key=10 * MB)
    forgotten = []
    small_one, large, new = (arriving(connections, 30 * MB, address=f"10.0.0.{n}") for n in range(3))
    large.slot.forget = lambda: forgotten.append("large")
    small_one.slot.received(MB)
    large.slot.received(8 * MB)
    new.slot.received(2 * MB)
    assert large.error == (529, "overloaded_error") and forgotten == ["large"]
    assert connections.without_key.used == 3 * MB
    small_one.slot.answering()
    new.slot.gone()
    assert connections.without_key.used == 0


async def test_a_refusal_is_said_once():
    one = arriving(small(), 3 * MB)
    for _ in range(2):
        one.slot.refuse(InvalidRequest("no"))
    assert one.written.count(b"HTTP/1.1") == 1
    one.slot.idle()
    assert one.slot.phase is ConnectionPhase.REFUSED


async def test_one_timer_looks_at_all_connections_as_long_as_there_are_some(monkeypatch):
    monkeypatch.setattr(registry, "LOOK_EVERY", 0.001)
    connections = small()
    for _ in range(2):
        # none is left after the first time
        late, early = Transport(connections), Transport(connections)
        late.slot.deadline = 0
        late.aborted_at = asyncio.Event()
        late.abort = late.aborted_at.set
        late.slot.close()
        late.slot.deadline = 0
        await asyncio.wait_for(late.aborted_at.wait(), 10)
        assert not early.closed
        for one in (late, early):
            one.slot.gone()


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_what_one_client_has(name, counted):
    assert counted_address(name) == counted


@pytest.fixture
def proxy(monkeypatch):
    """10.0.0.1 is a trusted proxy."""
    proxies = TrustedProxies([ipaddress.ip_network("10.0.0.1")])
    for module in (forwarded, bounds, slot):
        monkeypatch.setattr(module, "trusted_proxies", lambda: proxies)


def brought(connections, client, peer="10.0.0.1"):
    """A body for `client` that arrives from `peer`."""
    one = Transport(connections, peer)
    one.slot.head()
    one.slot.whole_head(b"POST", b"/admin/login/", {"x-forwarded-for": client}, peer, 10)
    return one


async def test_a_team_behind_a_trusted_proxy_is_not_one_address(proxy):
    connections = small(connections=20, of_one_address=3, without_head=20)
    waiting = [Transport(connections, "10.0.0.1") for _ in range(6)]
    team = [brought(connections, f"192.0.2.{number}") for number in range(6)]
    assert not any(one.closed for one in waiting + team)


async def test_one_client_behind_a_trusted_proxy_is_counted_while_its_bodies_arrive(proxy):
    connections = small(connections=20, of_one_address=3, without_head=20)
    mine = [brought(connections, "192.0.2.7") for _ in range(3)]
    assert brought(connections, "192.0.2.7").error == (529, "overloaded_error")
    assert not brought(connections, "192.0.2.8").written
    mine[0].slot.answering()
    mine[1].slot.gone()
    assert not any(brought(connections, "192.0.2.7").written for _ in range(2))
    assert brought(connections, "192.0.2.7").error == (529, "overloaded_error")


async def test_what_others_say_of_their_clients_counts_for_nothing(proxy):
    connections = small(connections=20, of_one_address=3, without_head=20)
    for number in range(3):
        brought(connections, f"192.0.2.{number}", peer="10.0.0.2")
    assert brought(connections, "192.0.2.9", peer="10.0.0.2").error == (529, "overloaded_error")


async def test_who_is_gone_behind_a_proxy_leaves_nothing_behind(proxy):
    connections = small()
    for _ in range(10):
        one = brought(connections, "192.0.2.7")
        one.slot.answering()
        one.slot.idle()
        one.slot.gone()
    assert not len(connections) and not connections._of_address


def test_half_of_the_descriptors_are_kept_for_providers():
    assert bounds_for(65_536, 32 * MB).connections == MOST_CONNECTIONS
    assert bounds_for(1024, 32 * MB).connections == 448
    assert bounds_for(1024, 32 * MB, connections=10_000).connections == 448
    assert bounds_for(65_536, 32 * MB, connections=10_000, of_one_address=70).of_one_address == 70
    assert bounds_for(65_536, 32 * MB, connections=10).of_one_address == 5
    assert bounds_for(65_536, 512 * MB).with_key == 8 * 512 * MB
    assert bounds_for(0, 1).connections > 0


def test_two_hundred_clients_with_several_connections_each_fit_behind_one_address():
    assert bounds_for(65_536, 32 * MB).of_one_address >= 200 * 10


def test_descriptors_are_raised_as_far_as_the_system_allows(monkeypatch):
    asked = []

    def limit(soft, hard, most):
        def raised(which, wanted):
            asked.append(wanted[0])
            if wanted[0] > most:
                raise ValueError

        monkeypatch.setattr(bounds.resource, "getrlimit", lambda which: (soft, hard))
        monkeypatch.setattr(bounds.resource, "setrlimit", raised)
        return raised_descriptors()

    unlimited = bounds.resource.RLIM_INFINITY
    assert limit(1024, 4096, 4096) == 4096
    assert limit(256, unlimited, 10_240) == 10_240
    assert limit(1024, 1024, 1024) == 1024
    assert limit(1024, 524_288, 524_288) == 65_536
    assert limit(100_000, 524_288, 524_288) == 100_000
    assert asked == [4096, 65_536, 10_240, 65_536]


async def test_a_stop_waits_for_what_is_on_its_way_and_for_nobody_else(monkeypatch):
    monkeypatch.setattr(registry, "FIRST_BYTE_SECONDS", 3600.0)
    connections = small(connections=9, of_one_address=9, without_head=9)
    kept, answering, leaving = (Transport(connections) for _ in range(3))
    kept.slot.answering()
    kept.slot.idle()
    answering.slot.answering()
    leaving.slot.gone()
    async with asyncio.timeout(60):
        await connections.arrived(3600.0)
    fresh, head, body = (Transport(connections) for _ in range(3))
    head.slot.head()
    body.slot.phase = ConnectionPhase.BODY
    waiting = asyncio.ensure_future(connections.arrived(3600.0))
    for one in (fresh, head, body):
        await asyncio.sleep(2 * registry.ARRIVING_LOOK)
        assert not waiting.done()
        one.slot.answering()
    async with asyncio.timeout(60):
        await waiting


async def test_a_stop_waits_no_longer_than_it_may(monkeypatch):
    monkeypatch.setattr(registry, "FIRST_BYTE_SECONDS", 0.05)
    connections = small()
    fresh = Transport(connections)
    async with asyncio.timeout(60):
        await connections.arrived(3600.0)
        fresh.slot.head()
        await connections.arrived(0.05)
