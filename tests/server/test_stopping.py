"""The order of a stop, without a process."""

import asyncio
import itertools
import logging
import os
import signal
from types import SimpleNamespace

import pytest
from autobahn.websocket.protocol import WebSocketProtocol as Protocol
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.defer import fail, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure

from ccproxy_site.server import daphne_server, processes
from ccproxy_site.server.daphne_server import GatewayServer
from ccproxy_site.server.family import Family
from ccproxy_site.server.processes import ServerProcesses


@pytest.fixture
def told(monkeypatch):
    """What a stop does, in order."""
    told = []
    runtime = SimpleNamespace(drain=lambda: told.append("drain"), interrupt=lambda: told.append("interrupt"))
    monkeypatch.setattr(daphne_server, "runtime", runtime)
    monkeypatch.setattr(Server, "stop", lambda _server: told.append("stop"))
    return told


def server_with(**connections) -> GatewayServer:
    server = GatewayServer(None, ["tcp:port=0"])
    server.connections = connections
    return server


async def test_a_page_whose_handshake_is_under_way_does_not_hold_up_the_stop(told):
    server = server_with()
    page = WebSocketProtocol()
    page.state = Protocol.STATE_CONNECTING
    page.serverReject = lambda: told.append("rejected")
    server.connections = {page: {}}
    await server._stop_in_order()
    assert told == ["drain", "rejected", "interrupt", "stop"]


@pytest.mark.parametrize(("signals", "turns"), list(itertools.product(range(4), range(4))))
async def test_whatever_number_of_signals_comes_while_it_serves_it_stops_once(told, signals, turns):
    request = asyncio.get_running_loop().create_future()
    server = server_with(client={"application_instance": request})
    for _ in range(signals):
        server.stop_in_order()
        for _ in range(turns):
            await asyncio.sleep(0)
    request.set_result(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert told.count("stop") == min(signals, 1)
    assert told.count("drain") <= 1
    if signals == 1:
        assert told == ["drain", "interrupt", "stop"]
    # and whatever comes after the end
    server.stop_in_order()
    server.stop()
    await asyncio.sleep(0)
    assert told.count("stop") == 1 or signals == 0


async def test_a_port_that_is_there_after_the_stop_began_is_closed(told):
    server = server_with()
    server.stop_in_order()
    port = SimpleNamespace(stopListening=lambda: told.append("closed"))
    server.listen_success(port)
    assert told == ["closed"]
    await server._draining
    assert told == ["closed", "drain", "interrupt", "stop"]


async def test_an_application_that_does_not_end_does_not_hold_up_the_end(told, monkeypatch):
    monkeypatch.setattr(daphne_server, "LAST_WORDS", 0.01)

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if told:
                    raise

    running = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    server = server_with(client={"application_instance": running})
    async with asyncio.timeout(5):
        await server.kill_all_applications().asFuture(asyncio.get_running_loop())
    assert not running.done()
    told.append("over")
    running.cancel()
    await asyncio.wait({running})


# --- one of several processes ------------------------------------------------------------


@pytest.fixture
async def family():
    """A process of a family: what it does, and the ends of its pipes that its parent has."""
    lifeline, ready = os.pipe(), os.pipe()
    did = []

    def accept(descriptor):
        did.append(("helps", descriptor))
        return succeed(SimpleNamespace(stopListening=lambda: did.append(("leaves", descriptor))))

    one = Family(lifeline[0], ready[1], {"server-2": 90_001, "server-3": 90_002})
    one.join(asyncio.get_running_loop(), accept, lambda: did.append("orphaned"))
    open_ends = {lifeline[1], ready[0]}
    yield SimpleNamespace(one=one, did=did, lifeline=lifeline[1], ready=ready[0], open=open_ends)
    asyncio.get_running_loop().remove_reader(lifeline[0])
    for descriptor in (lifeline[0], *open_ends):
        os.close(descriptor)


async def heard(family, *pieces: bytes) -> list:
    for piece in pieces:
        os.write(family.lifeline, piece)
        await asyncio.sleep(0.01)
    return family.did


async def test_a_process_accepts_for_those_who_are_away_until_they_are_back(family):
    assert sorted(await heard(family, b"server-2 ser", b"ver-3\n")) == [("helps", 90_001), ("helps", 90_002)]
    family.did.clear()
    assert await heard(family, b"server-1 server-3\n") == [("leaves", 90_001)]
    family.did.clear()
    # several words at once: the last counts
    assert await heard(family, b"server-2 server-3\n\n") == [("leaves", 90_002)]


async def test_a_socket_that_cannot_be_helped_with_is_left_like_any_other(family, caplog):
    refused = []

    def accept(descriptor):
        refused.append(fail(OSError("no descriptors")))
        return refused[-1]

    family.one._accept = accept
    await heard(family, b"server-2\n")
    await heard(family, b"\n")
    family.one.leave()
    assert [line.getMessage() for line in caplog.records] == ["cannot help: no descriptors"]
    assert refused[0].result is None


async def test_a_process_that_leaves_says_so_and_accepts_for_nobody(family):
    family.one.serves()
    assert os.read(family.ready, 10) == b"1"
    await heard(family, b"server-2\n")
    family.one.leave()
    assert os.read(family.ready, 10) == b""
    assert await heard(family, b"server-3\n") == [("helps", 90_001), ("leaves", 90_001)]


async def test_a_process_whose_parent_is_gone_is_told_once(family):
    os.close(family.lifeline)
    family.open.discard(family.lifeline)
    await asyncio.sleep(0.05)
    assert family.did == ["orphaned"]


# --- the one that watches ----------------------------------------------------------------


class _Child:
    def __init__(self, told: list, name: str) -> None:
        self.told, self.name = told, name

    def signalProcess(self, number):
        self.told.append((self.name, number))
        raise ProcessExitedAlready


@pytest.fixture
def watcher(monkeypatch):
    """Processes with two children, and what is told to the reactor and them."""
    told = []
    later = []
    reactor = SimpleNamespace(
        callLater=lambda _seconds, what, *_: later.append(what),
        stop=lambda: told.append("over"),
        seconds=lambda: 0.0,
    )
    monkeypatch.setattr(processes, "reactor", reactor)
    monkeypatch.setattr(processes, "reapAllProcesses", lambda: None)
    one = ServerProcesses("127.0.0.1", 0, number=2, manage="manage.py", patience=1)
    monkeypatch.setattr(one._monitor, "stopService", lambda: told.append("told"))
    children = {_Child(told, name): name for name in ("server-1", "server-2")}
    one._spawner.running.update(children)
    yield SimpleNamespace(one=one, told=told, later=later, children=children, reactor=reactor)
    one._port.close()


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_the_processes_are_told_in_order_and_then_at_once(watcher, signals, caplog):
    for _ in range(signals):
        watcher.one.stop()
    again = [(name, "TERM") for name in ("server-1", "server-2")] * (signals - 1)
    assert watcher.told == ["told", *again]
    for number, child in enumerate(list(watcher.children), 1):
        del watcher.one._spawner.running[child]
        watcher.one._ended(number, Failure(ProcessDone(0)))
    watcher.one.stop()
    watcher.one.stop()
    assert watcher.later.count(watcher.reactor.stop) == 1
    assert not watcher.one._failed
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("how", "failed"),
    [
        (ProcessDone(0), False),
        (ProcessTerminated(signal=signal.SIGTERM), False),
        (ProcessTerminated(signal=signal.SIGKILL), True),
        (ProcessTerminated(exitCode=1), True),
    ],
)
def test_the_exit_code_says_whether_all_stopped_in_order(watcher, how, failed):
    watcher.one.stop()
    # long after the stop began
    watcher.reactor.seconds = lambda: 60.0
    watcher.one._ended(1, Failure(how))
    assert watcher.one._failed is failed


def test_who_was_dying_when_the_stop_began_is_no_failure_of_it(watcher):
    watcher.one.stop()
    watcher.one._ended(1, Failure(ProcessTerminated(signal=signal.SIGKILL)))
    assert not watcher.one._failed


def test_who_died_before_the_stop_is_no_failure_of_it(watcher, monkeypatch):
    dead = ProcessTerminated(signal=signal.SIGKILL)
    monkeypatch.setattr(processes, "reapAllProcesses", lambda: watcher.one._ended(1, Failure(dead)))
    watcher.one.stop()
    assert not watcher.one._failed
