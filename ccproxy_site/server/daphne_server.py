"""GatewayServer: Daphne's server on our endpoint, prepared before it listens, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import gc
import logging
import os
import signal
import time
from typing import Any, Final

from daphne.server import Server, twisted_loop
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor

from ccproxy_site.server.connections.registry import Connections
from ccproxy_site.server.endpoint import GatewayEndpoint, endpoint_of
from ccproxy_site.server.family import Family
from ccproxy_site.server.terminal_signals import of_terminal
from ccproxy_site.server.transport import AsyncioTransport
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.telemetry.logs import log_ended_threads

logger = logging.getLogger("gateway.server")

# Daphne hands a body to the application in pieces of this size; each is one message.
REQUEST_BUFFER: Final = 64 * 1024 * 1024
# for interrupted exchanges to send their error and record their outcome; 5 s were too few on a busy machine
LAST_WORDS: Final = 10.0
# that come over a WebSocket: pings of a browser or a proxy
FRAMES_AT_ONCE: Final = 100


class Stage(enum.Enum):
    SERVING = enum.auto()  # or is about to
    DRAINING = enum.auto()  # nothing new is accepted, running requests continue
    OVER = enum.auto()  # the loop ends, or has ended


class PageSocket(WebSocketProtocol):
    """The WebSocket of a page that only listens.

    Messages are dropped: the pages have nothing to say, and Daphne keeps what comes in without a bound. More
    than a frame each second, and FRAMES_AT_ONCE, is no page; its connection is cut.
    """

    _frames = 0
    _began = 0.0

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        self._count()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N802, N803
        # Daphne's way needs what onConnect stored, and a handshake that was refused never came to it
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        if self._count():
            super().onPing(payload)

    def _count(self) -> bool:
        """Whether this frame is one that a page may send."""
        now = time.monotonic()
        self._began = self._began or now
        self._frames += 1
        fits = self._frames <= FRAMES_AT_ONCE + (now - self._began)
        if not fits:
            self.dropConnection(abort=True)
        return fits


class GatewayServer(Server):
    """A server_cls for runserver and serve; it listens on endpoints of TCP itself (server/endpoint.py).

    SIGTERM, Ctrl-C and SIGHUP (a terminal that closes) stop in order: the port closes, `/health/ready` says
    503, streams continue for STOP_GRACE seconds, the rest get an error event, the history is flushed. A
    second signal stops at once, further ones change nothing. Before it serves, a signal ends the process as
    it ends any other, since there is nothing to save. Under nohup, SIGHUP stays ignored.

    One of several processes has a `family` (server/family.py); the terminal is the parent's business.
    """

    def __init__(self, application: Any, endpoints: list[str] | None = None, **kwargs: Any) -> None:
        self._event_loop: asyncio.AbstractEventLoop = twisted_loop
        kwargs.setdefault("request_buffer_size", REQUEST_BUFFER)
        self._family: Family | None = kwargs.pop("family", None)
        self._handles_signals = kwargs.pop("signal_handlers", True)
        self._ports: list[Any] = []
        # all connections of its ports, once one listens (server/endpoint.py)
        self.admitted: Connections | None = None
        self._stage = Stage.SERVING
        self._draining: asyncio.Task[None] | None = None
        # the address was not available
        self.refused = False
        super().__init__(application, endpoints=endpoints, signal_handlers=False, **kwargs)
        found = {one: endpoint_of(self._event_loop, one) for one in self.endpoints}
        self._endpoints = [endpoint for endpoint in found.values() if endpoint is not None]
        # on these Daphne listens
        self.endpoints = [one for one, endpoint in found.items() if endpoint is None]

    def run(self) -> None:
        log_ended_threads()
        runtime.prepare_or_wait()
        # what exists now lives as long as the process, so the collector need not look at it again
        gc.collect()
        gc.freeze()
        if self._handles_signals:
            self._event_loop.add_signal_handler(signal.SIGTERM, self.stop_in_order)
            for number in of_terminal():
                if self._family is None:
                    self._event_loop.add_signal_handler(number, self.stop_in_order)
                else:
                    signal.signal(number, signal.SIG_IGN)
        if self._family is not None:
            self._family.join(self._event_loop, self._helping, self._orphaned)
        # Daphne makes the factory before the loop runs
        reactor.callWhenRunning(self._only_listening_pages)
        for endpoint in self._endpoints:
            reactor.callWhenRunning(self._listen, endpoint)
        try:
            super().run()
        finally:
            self._stage = Stage.OVER
            if self._handles_signals:
                # what is being written is not interrupted, and takes no longer than it may
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
            runtime.stop()

    def _only_listening_pages(self) -> None:
        self.ws_factory.protocol = PageSocket

    def _listen(self, endpoint: GatewayEndpoint) -> None:
        endpoint.listen(self.http_factory).addCallbacks(self.listen_success, self.listen_error)

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        if self._stage is not Stage.SERVING:
            # told to stop before it listened
            port.stopListening()
            return
        self._ports.append(port)
        if self._family is not None:
            self._family.serves()
            return
        for host, number in self.listening_addresses[-1:]:
            shown = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{shown}:{number} (stop with Ctrl-C)", flush=True)

    def listen_error(self, failure: Any) -> None:
        self.refused = True
        super().listen_error(failure)

    def _helping(self, descriptor: int) -> Any:
        """Accept connections from another process's socket as well; the port, in time."""
        return GatewayEndpoint(self._event_loop, 0, "", os.dup(descriptor)).listen(self.http_factory)

    def _orphaned(self) -> None:
        """The parent is gone, or its signal was lost."""
        if self._stage is Stage.SERVING:
            self.stop_in_order()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Daphne's, followed by a wait while the client is not reading."""
        await super().handle_reply(protocol, message)
        transport = getattr(protocol, "transport", None)
        if isinstance(transport, AsyncioTransport) and transport.held_back:
            await transport.drained()

    def stop_in_order(self) -> None:
        """Begin to stop; a second call stops at once; further calls change nothing."""
        if self._stage is Stage.SERVING:
            self._stage = Stage.DRAINING
            running = len(self._running())
            if running:
                # a terminal that is gone cannot be written to
                with contextlib.suppress(OSError):
                    print(f"Stopping when {running} requests have ended (Ctrl-C again: at once)", flush=True)
            self._draining = asyncio.get_running_loop().create_task(self._stop_in_order())
        elif self._stage is Stage.DRAINING:
            assert self._draining is not None
            self._draining.cancel()
            self.stop()

    def stop(self) -> None:
        """Stop at once, whatever is still running; only once."""
        if self._stage is not Stage.OVER:
            self._stage = Stage.OVER
            super().stop()

    async def _stop_in_order(self) -> None:
        if self._family is not None:
            self._family.leave()
        for port in self._ports:
            port.stopListening()
        runtime.drain()
        # pages that watch would never end by themselves; they reconnect to the next process
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                _close(protocol)
        now = asyncio.get_running_loop().time
        over = now() + gateway_conf().stop_grace
        if self.admitted is not None:
            await self.admitted.arrived(over - now())
        await self._ended_within(max(0.0, over - now()))
        runtime.interrupt()
        await self._ended_within(LAST_WORDS)
        self.stop()

    async def _ended_within(self, seconds: float) -> None:
        running = self._running()
        if running:
            await asyncio.wait(running, timeout=seconds)

    def _running(self) -> list[asyncio.Future[None]]:
        instances = (details.get("application_instance") for details in self.connections.values())
        return [instance for instance in instances if instance is not None and not instance.done()]

    def kill_all_applications(self) -> Any:
        """Cancel what is still running and wait for it; each records its exchange as it ends.

        Daphne's own method assumes that every connection has an application, which an idle one does not.
        """
        running = self._running()
        for instance in running:
            instance.cancel()
        # a page that waits for an unreachable database must not delay the end
        waiting = asyncio.ensure_future(asyncio.wait(running, timeout=LAST_WORDS)) if running else None
        return None if waiting is None else defer.Deferred.fromFuture(waiting)


def _close(page: Any) -> None:
    """Close a WebSocket; during its handshake it cannot be closed, only refused."""
    try:
        if page.state == page.STATE_CONNECTING:
            page.serverReject()
        else:
            page.serverClose()
    except Exception:
        # whatever its state, the stop goes on
        logger.exception("a page that watches could not be closed")
