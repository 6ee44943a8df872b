"""Several server processes on one port: started, restarted when they die, stopped together.

Twisted's ProcessMonitor watches and restarts them. Each process inherits a listening socket of its own on
the port (SO_REUSEPORT), and the system spreads connections over them; with one socket for all, an idle
process of two took 57 of 60 connections. The sockets are created and kept here, so that clients waiting
while a process restarts are not lost. Each process also has the sockets of the others, and accepts from
those whose process is away, so that nobody waits for it to return.

Two pipes connect each process. Its lifeline tells it which others are away; when the lifeline ends,
because this process is gone for whatever reason, it stops in order. On the other pipe it reports that it
serves; when that pipe ends, it no longer does.

docs/architecture.md, "Choices that could have gone the other way", says what else was considered.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from daphne.server import twisted_loop
from django.conf import settings
from twisted.internet import reactor as twisteds_reactor
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.process import reapAllProcesses
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from zope.interface.declarations import implementer

from ccproxy_site.server.endpoint import BACKLOG
from ccproxy_site.server.terminal_signals import of_terminal
from gateway.telemetry import metrics

# its interfaces are unknown to type checkers
reactor: Any = twisteds_reactor

logger = logging.getLogger("gateway.server")

# the number of the lifeline's descriptor in the processes
LIFELINE: Final = 0
LISTENING: Final = 3
READY: Final = 4
# the sockets of the others, from this number on
OTHERS: Final = 5
# a process that dies sooner than this (s) is restarted ever more slowly
QUICK_DEATH: Final = 5.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
LOOK_EVERY: Final = 0.1
# a signal may reach a process that is just starting and cannot handle it; the end of its lifeline will
SIGNAL_SEEN: Final = 2.0


# Linux spreads connections over the sockets of one port; elsewhere all processes share one socket
SPREADS: Final = sys.platform == "linux"


class Port:
    """The listening sockets of one address, one for each process. Raises OSError."""

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self._family: Any = found[0][0]
        self._address: Any = found[0][4][:2]
        # alone at first: sockets that share a port would share it with another gateway's, too
        alone = socket.create_server(self._address, family=self._family, backlog=BACKLOG)
        self._sockets: dict[str, socket.socket] = {}
        self._address = alone.getsockname()[:2]
        if SPREADS:
            alone.close()
        else:
            self._sockets[""] = alone

    @property
    def number(self) -> int:
        return int(self._address[1])

    def descriptor(self, name: str) -> int:
        """The socket of a process; it outlives the process, and so do the clients waiting there."""
        place = name if SPREADS else ""
        if place not in self._sockets:
            self._sockets[place] = socket.create_server(
                self._address, family=self._family, backlog=BACKLOG, reuse_port=True
            )
        return self._sockets[place].fileno()

    def others(self, name: str) -> dict[str, int]:
        """The sockets of the other processes, by name."""
        return {place: each.fileno() for place, each in self._sockets.items() if SPREADS and place != name}

    def turn_away(self) -> None:
        """Nobody will serve for a while: reset the waiting clients, so that they try again."""
        for listening in self._sockets.values():
            listening.setblocking(False)
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

    def close(self) -> None:
        for listening in self._sockets.values():
            listening.close()
        self._sockets.clear()


class SupervisorStage(enum.Enum):
    RUNNING = enum.auto()
    STOPPING = enum.auto()
    OVER = enum.auto()


class ServerProcesses:
    """Listens on the address from the start. `manage`: the path of manage.py, whose `serve` they run.

    `patience`: seconds from being told to stop until a process is killed. `numbers`: the folder in which they
    count together for /metrics. Raises OSError when the address is not available.
    """

    def __init__(
        self, host: str, port: int, *, number: int, manage: str, patience: float, numbers: Path | None = None
    ) -> None:
        self._port = Port(host, port)
        self._spawner = _Spawner(self._port, self._ended)
        monitor: Any = ProcessMonitor
        self._monitor = monitor(self._spawner)
        self._monitor.threshold = QUICK_DEATH
        self._monitor.minRestartDelay = FIRST_PAUSE
        self._monitor.maxRestartDelay = LONGEST_PAUSE
        self._monitor.killTime = patience
        inherited = ["--fd", str(LISTENING), "--lifeline", str(LIFELINE), "--ready", str(READY)]
        command = [sys.executable, manage, "serve", *inherited]
        self._numbers = numbers
        shared = {} if numbers is None else {metrics.FOLDER_VARIABLE: str(numbers)}
        if getattr(settings, "SECRET_KEY_IS_TEMPORARY", False):
            # what one process signs, the others must be able to verify
            shared["SECRET_KEY"] = settings.SECRET_KEY
        names = [f"server-{place}" for place in range(1, number + 1)]
        for name in names:
            self._port.descriptor(name)
        for name in names:
            others = list(self._port.others(name))
            more = ["--others", ",".join(others)] if others else []
            self._monitor.addProcess(name, [*command, *more], env={**os.environ, **shared})
        self._stage = SupervisorStage.RUNNING
        self._failed = False
        self._told_at = 0.0

    @property
    def port(self) -> int:
        return self._port.number

    def run(self) -> int:
        """Until SIGTERM, Ctrl-C or SIGHUP; the exit code: 0 when every process stopped in order."""
        for number in (signal.SIGTERM, *of_terminal()):
            twisted_loop.add_signal_handler(number, self.stop)
        # Twisted's own handler of SIGCHLD and the event loop's get in each other's way
        LoopingCall(self._look).start(LOOK_EVERY)
        self._monitor.startService()
        reactor.run(installSignalHandlers=False)
        return int(self._failed)

    def stop(self) -> None:
        """Tell all processes to stop; called again, to stop at once."""
        # a process that died before does not make this stop fail
        reapAllProcesses()
        if self._stage is SupervisorStage.RUNNING:
            self._stage = SupervisorStage.STOPPING
            self._told_at = reactor.seconds()
            self._port.close()
            self._monitor.stopService()
            reactor.callLater(SIGNAL_SEEN, self._spawner.end_lifelines)
            self._over_when_empty()
        elif self._stage is SupervisorStage.STOPPING:
            for running in tuple(self._spawner.running):
                with contextlib.suppress(ProcessExitedAlready):
                    running.signalProcess("TERM")

    def _look(self) -> None:
        reapAllProcesses()
        if self._stage is SupervisorStage.RUNNING and self._spawner.hopeless:
            self._port.turn_away()

    def _ended(self, pid: int, reason: Failure) -> None:
        how: Any = reason.value
        if self._numbers is not None:
            metrics.process_died(self._numbers, pid)
        if self._stage is SupervisorStage.RUNNING:
            facts = {"pid": pid, "exit_code": how.exitCode, "signal": how.signal}
            logger.error("a server process ended and is started again", extra=facts)
        else:
            # one told to stop before it served ends by the signal itself; one killed so soon, and not by us,
            # was dying when the stop began
            dying = how.signal == signal.SIGKILL and reactor.seconds() - self._told_at < SIGNAL_SEEN
            self._failed |= not (reason.check(ProcessDone) or how.signal == signal.SIGTERM or dying)
            self._over_when_empty()

    def _over_when_empty(self) -> None:
        if self._stage is SupervisorStage.STOPPING and not self._spawner.running:
            self._stage = SupervisorStage.OVER
            reactor.callLater(0, reactor.stop)


class _Watched(ProcessProtocol):
    """A process of the monitor's, whose words and end we hear first."""

    def __init__(
        self,
        monitored: Any,
        said: Callable[[int, bytes], None],
        lost: Callable[[int], None],
        ended: Callable[[Failure], None],
    ) -> None:
        self._monitored = monitored
        self._said, self._lost, self._ended = said, lost, ended

    def makeConnection(self, process: Any) -> None:  # noqa: N802 (Twisted's name)
        # the monitor signals it through the protocol that it gave
        self._monitored.makeConnection(process)

    def childDataReceived(self, descriptor: int, data: bytes) -> None:  # noqa: N802 (Twisted's name)
        self._said(descriptor, data)

    def childConnectionLost(self, descriptor: int) -> None:  # noqa: N802 (Twisted's name)
        self._lost(descriptor)

    def processExited(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        self._monitored.processExited(reason)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        self._ended(reason)


@implementer(IReactorProcess, IReactorTime)
class _Spawner:
    """The reactor as the monitor uses it, with the descriptors that our processes need."""

    def __init__(self, port: Port, ended: Any) -> None:
        self._port = port
        self._told = ended
        # process -> its name
        self.running: dict[Any, str] = {}
        self._names: set[str] = set()
        self._serving: set[str] = set()
        # quick deaths in a row; after a single one the process is back in a second and serves whoever waits
        self._quick_deaths: Counter[str] = Counter()
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds

    @property
    def hopeless(self) -> bool:
        """Nobody serves, and the most recently started died at once."""
        return not self._serving and any(number > 1 for number in self._quick_deaths.values())

    def end_lifelines(self) -> None:
        for process in self.running:
            process.closeChildFD(LIFELINE)

    def spawnProcess(self, protocol: Any, *arguments: Any, **options: Any) -> Any:  # noqa: N802 (Twisted's name)
        name, started = protocol.name, self.seconds()

        def said(descriptor: int, _data: bytes) -> None:
            if descriptor == READY:
                self._quick_deaths[name] = 0
                self._serving.add(name)
                self._tell()

        def lost(descriptor: int) -> None:
            if descriptor == READY:
                self._serving.discard(name)
                self._tell()

        def ended(reason: Failure) -> None:
            self.running.pop(process, None)
            quick = self.seconds() - started < QUICK_DEATH
            self._quick_deaths[name] = self._quick_deaths[name] + 1 if quick else 0
            protocol.processEnded(reason)
            self._told(pid, reason)

        descriptors = {LIFELINE: "w", 1: 1, 2: 2, LISTENING: self._port.descriptor(name), READY: "r"}
        descriptors.update(enumerate(self._port.others(name).values(), OTHERS))
        watched = _Watched(protocol, said, lost, ended)
        process = reactor.spawnProcess(watched, *arguments, **options, childFDs=descriptors)
        pid = process.pid
        self.running[process] = name
        self._names.add(name)
        return process

    def _tell(self) -> None:
        """Tell the serving processes whose connections they have to accept as well."""
        away = b" ".join(sorted(name.encode() for name in self._names - self._serving)) + b"\n"
        for process, name in self.running.items():
            if name in self._serving:
                # without its pipe it is gone, which will be reported
                with contextlib.suppress(KeyError):
                    process.writeToChild(LIFELINE, away)
