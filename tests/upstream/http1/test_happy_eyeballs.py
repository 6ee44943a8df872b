"""Connecting to the first address that answers."""

import asyncio
import errno
import socket
import threading

import pytest

from gateway.upstream.http1 import happy_eyeballs
from tests.upstream.sockets import opened_since, settled, sockets

V4, V6 = socket.AF_INET, socket.AF_INET6


def address(host, port, family=V4):
    return (family, socket.SOCK_STREAM, 6, "", (host, port))


@pytest.fixture
async def port():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def resolved(monkeypatch):
    """Names resolve to the addresses put in here."""
    addresses = []

    async def resolve(loop, host, port):
        return list(addresses)

    monkeypatch.setattr(happy_eyeballs, "_resolved", resolve)
    return addresses


def test_the_families_take_turns():
    six, four = [address(f"6{n}", 1, V6) for n in range(3)], [address(f"4{n}", 1) for n in range(1)]
    assert happy_eyeballs.interleaved([*six, *four]) == [six[0], four[0], six[1], six[2]]
    assert happy_eyeballs.interleaved([]) == []


async def test_an_address_in_figures_needs_no_resolver(port):
    connection = await happy_eyeballs.connected_socket("127.0.0.1", port)
    assert connection.getpeername() == ("127.0.0.1", port)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    connection.close()


async def test_a_name_is_resolved(port):
    connection = await happy_eyeballs.connected_socket("localhost", port)
    connection.close()


async def test_a_name_is_resolved_while_the_threads_of_the_loop_are_taken():
    taken, loop = threading.Event(), asyncio.get_running_loop()
    waiting = [loop.run_in_executor(None, taken.wait) for _ in range(100)]
    try:
        async with asyncio.timeout(10):
            assert await happy_eyeballs._resolved(loop, "localhost", 80)
    finally:
        taken.set()
        await asyncio.gather(*waiting)


async def test_a_name_whose_resolver_hangs_takes_one_thread_however_many_ask(monkeypatch):
    asked, answered = [], threading.Event()

    def looked_up(host, port):
        asked.append(host)
        if host == "hangs":
            answered.wait()
        return [address("127.0.0.1", port)]

    monkeypatch.setattr(happy_eyeballs, "_looked_up", looked_up)
    loop = asyncio.get_running_loop()
    waiting = [asyncio.create_task(happy_eyeballs._resolved(loop, "hangs", 1)) for _ in range(20)]
    try:
        assert await happy_eyeballs._resolved(loop, "another", 1) == [address("127.0.0.1", 1)]
        # who gives up takes nothing from the others
        for task in waiting[:10]:
            task.cancel()
        await asyncio.wait(waiting[:10])
    finally:
        answered.set()
    assert await asyncio.gather(*waiting[10:]) == [[address("127.0.0.1", 1)]] * 10
    assert asked.count("hangs") == 1
    assert await happy_eyeballs._resolved(loop, "hangs", 1) and asked.count("hangs") == 2


async def test_an_unknown_name_says_so(no_names):
    with pytest.raises(socket.gaierror):
        await happy_eyeballs.connected_socket("ccproxy-test.invalid", 80)


async def test_a_refused_address_makes_way_at_once(port, resolved):
    resolved += [address("127.0.0.1", 1), address("127.0.0.1", port)]
    async with asyncio.timeout(happy_eyeballs.STAGGER):
        connection = await happy_eyeballs.connected_socket("name", port)
    assert connection.getpeername()[1] == port
    connection.close()


async def test_an_address_that_does_not_answer_is_overtaken(port, resolved, monkeypatch):
    monkeypatch.setattr(happy_eyeballs, "STAGGER", 0.01)
    connect = happy_eyeballs._connected

    async def hanging(loop, where):
        if where[4][1] == 1:
            await asyncio.Event().wait()
        return await connect(loop, where)

    monkeypatch.setattr(happy_eyeballs, "_connected", hanging)
    resolved += [address("127.0.0.1", 1), address("127.0.0.1", port)]
    connection = await happy_eyeballs.connected_socket("name", port)
    connection.close()


@pytest.mark.parametrize("order", [1, -1])
async def test_when_all_fail_the_telling_reason_is_given(resolved, monkeypatch, order):
    async def failing(loop, where):
        if where[0] == V6:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        raise ConnectionRefusedError

    monkeypatch.setattr(happy_eyeballs, "_connected", failing)
    resolved += [address("::1", 1, V6), address("127.0.0.1", 1)][::order]
    with pytest.raises(ConnectionRefusedError):
        await happy_eyeballs.connected_socket("name", 1)


async def test_the_loser_of_a_dead_heat_is_closed(port, resolved, monkeypatch):
    held = sockets()
    monkeypatch.setattr(happy_eyeballs, "STAGGER", 0.0)
    go = asyncio.Event()
    connect = happy_eyeballs._connected

    async def together(loop, where):
        made = await connect(loop, where)
        await go.wait()
        return made

    monkeypatch.setattr(happy_eyeballs, "_connected", together)
    resolved += [address("127.0.0.1", port)] * 3
    dialling = asyncio.ensure_future(happy_eyeballs.connected_socket("name", port))
    await settled(lambda: opened_since(held) == 3)
    go.set()
    (await dialling).close()
    await settled(lambda: opened_since(held) == 0)


async def test_cancelling_closes_every_attempt(resolved, monkeypatch):
    held = sockets()
    monkeypatch.setattr(happy_eyeballs, "STAGGER", 0.0)

    async def hanging(self, connection, where):
        await asyncio.Event().wait()

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", hanging, raising=False)
    resolved += [address("127.0.0.1", 1)] * 2
    dialling = asyncio.ensure_future(happy_eyeballs.connected_socket("name", 1))
    await settled(lambda: opened_since(held) == 2)
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling
    await settled(lambda: opened_since(held) == 0)


LINK_LOCAL = [
    address("169.254.169.254", 80),
    address("::ffff:169.254.169.254", 80, V6),
    address("fe80::1%lo", 80, V6),
    address("fd00:ec2::254", 80, V6),
]


async def test_a_name_that_leads_to_link_local_addresses_is_refused_and_never_connected_to(
    resolved, monkeypatch
):
    async def never(loop, where):
        raise AssertionError(f"connected to {where}")

    monkeypatch.setattr(happy_eyeballs, "_connected", never)
    resolved += LINK_LOCAL
    with pytest.raises(happy_eyeballs.AddressRefused):
        await happy_eyeballs.connected_socket("innocent.example", 80)


async def test_of_a_name_with_other_addresses_too_only_those_are_tried(port, resolved):
    resolved += [*LINK_LOCAL, address("127.0.0.1", port)]
    (await happy_eyeballs.connected_socket("name", port)).close()


async def test_link_local_addresses_are_connected_to_where_a_setting_allows_them(resolved, monkeypatch):
    tried = []

    async def noted(loop, where):
        tried.append(where[4][0])
        raise ConnectionRefusedError

    monkeypatch.setattr(happy_eyeballs, "_connected", noted)
    resolved += LINK_LOCAL[:1]
    with pytest.raises(ConnectionRefusedError):
        await happy_eyeballs.connected_socket("name", 80, link_local=True)
    assert tried == ["169.254.169.254"]


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
async def test_the_systems_spellings_of_an_address_are_read_before_it_is_judged(host):
    with pytest.raises(happy_eyeballs.AddressRefused):
        await happy_eyeballs.connected_socket(host, 80)
