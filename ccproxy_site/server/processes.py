"""Several server processes on one port: started, restarted when they die, stopped together.

Twisted's ProcessMonitor watches and restarts them. Each process inherits a listening socket of
its own on the port (SO_REUSEPORT), and the system spreads connections over them; with one socket
for all, an idle one of two processes took 57 of 60. The sockets are made and kept here: who waits
while a process is restarted is not lost. Each process also holds the reading end
of a pipe: when this process is gone, however it went, they stop in order.

docs/architecture.md says what else was weighed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as twisteds_reactor
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.process import reapAllProcesses
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.runner.procmon import ProcessMonitor
from zope.interface.declarations import implementer

from ccproxy_site.server.endpoint import BACKLOG
from gateway.telemetry import metrics

# its interfaces are not known to type checkers
reactor: Any = twisteds_reactor

logger = logging.getLogger("gateway.server")

# in the processes
LIFELINE: Final = 0
LISTENING: Final = 3
# who dies sooner than this is restarted ever more slowly (seconds)
QUICK_DEATH: Final = 5.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
LOOK_EVERY: Final = 0.1


# Linux spreads connections over sockets of one port; elsewhere all processes share one socket
SPREADS: Final = sys.platform == "linux"


class Port:
    """The listening sockets of one address, one for each process. Raises OSError."""

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self._family: Any = found[0][0]
        self._address: Any = found[0][4][:2]
        # alone on it: sockets that share a port would share it with another gateway's, too
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
        """The socket of a process; it stays when the process dies, and with it who waits there."""
        place = name if SPREADS else ""
        if place not in self._sockets:
            self._sockets[place] = socket.create_server(
                self._address, family=self._family, backlog=BACKLOG, reuse_port=True
            )
        return self._sockets[place].fileno()

    def give_up(self, name: str) -> None:
        """The process will be away for a while: those who wait for it are reset, and had better ask again."""
        if SPREADS and name in self._sockets:
            self._sockets.pop(name).close()

    def close(self) -> None:
        for listening in self._sockets.values():
            listening.close()
        self._sockets.clear()


class ServerProcesses:
    """Listens on the address from the start. `manage`: the path of manage.py, whose `serve` they run.

    `patience`: seconds from being told to stop until a process is killed. `numbers`: the folder
    where they count together for /metrics. Raises OSError when the address cannot be had.
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
        inherited = ["--fd", str(LISTENING), "--lifeline", str(LIFELINE)]
        command = [sys.executable, manage, "serve", *inherited]
        self._numbers = numbers
        shared = {} if numbers is None else {metrics.FOLDER_VARIABLE: str(numbers)}
        for place in range(1, number + 1):
            name = f"server-{place}"
            self._port.descriptor(name)
            self._monitor.addProcess(name, command, env={**os.environ, **shared})
        self._stopping = False
        self._failed = False

    @property
    def port(self) -> int:
        return self._port.number

    def run(self) -> int:
        """Until SIGTERM or Ctrl-C; the exit code: 0 when every process stopped in order."""
        loop = reactor._asyncioEventloop
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        # Twisted's own handler of SIGCHLD and the event loop's get in each other's way
        LoopingCall(reapAllProcesses).start(LOOK_EVERY)
        self._monitor.startService()
        reactor.run(installSignalHandlers=False)
        return int(self._failed)

    def stop(self) -> None:
        """Tell all processes to stop; called again, to stop at once."""
        if self._stopping:
            for running in tuple(self._spawner.running):
                running.signalProcess("TERM")
            return
        self._stopping = True
        self._port.close()
        self._monitor.stopService()
        self._stop_when_empty()

    def _ended(self, pid: int, reason: Failure) -> None:
        how: Any = reason.value
        if self._numbers is not None:
            metrics.process_died(self._numbers, pid)
        if self._stopping:
            # one that was told to stop before it served ends by the signal itself
            self._failed |= not reason.check(ProcessDone) and how.signal != signal.SIGTERM
            self._stop_when_empty()
        else:
            facts = {"pid": pid, "exit_code": how.exitCode, "signal": how.signal}
            logger.error("a server process ended and is started again", extra=facts)

    def _stop_when_empty(self) -> None:
        if not self._spawner.running:
            reactor.callLater(0, reactor.stop)


@implementer(IReactorProcess, IReactorTime)
class _Spawner:
    """The reactor as the monitor uses it, with the descriptors that our processes need."""

    def __init__(self, port: Port, ended: Any) -> None:
        self._port = port
        self._told = ended
        self.running: set[Any] = set()
        # quick deaths in a row; after one a process is back in a second, and who waits for it is served
        self._quick_deaths: Counter[str] = Counter()
        self.callLater = reactor.callLater
        self.seconds = reactor.seconds

    def spawnProcess(self, protocol: Any, *arguments: Any, **options: Any) -> Any:  # noqa: N802 (Twisted's name)
        monitors, name, started = protocol.processEnded, protocol.name, self.seconds()

        def ended(reason: Failure) -> None:
            self.running.discard(process)
            quick = self.seconds() - started < QUICK_DEATH
            self._quick_deaths[name] = self._quick_deaths[name] + 1 if quick else 0
            if self._quick_deaths[name] > 1:
                self._port.give_up(name)
            monitors(reason)
            self._told(pid, reason)

        protocol.processEnded = ended
        descriptors = {LIFELINE: "w", 1: 1, 2: 2, LISTENING: self._port.descriptor(name)}
        process = reactor.spawnProcess(protocol, *arguments, **options, childFDs=descriptors)
        pid = process.pid
        self.running.add(process)
        return process
