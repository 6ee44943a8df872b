"""GatewayServer: Daphne's server on our endpoint, prepared before it listens, stopped in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from typing import Any, Final

from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor

from ccproxy_site.server.direct import EXTENSION, direct_body
from ccproxy_site.server.transport import AsyncioTransport
from gateway.conf import gateway_conf
from gateway.relay.runtime import runtime

logger = logging.getLogger("gateway.server")

# Daphne hands a body to the application in pieces of this size; one piece is one message.
REQUEST_BUFFER: Final = 64 * 1024 * 1024
# what an interrupted exchange has to send its error and record its outcome; 5 were few on a busy machine
LAST_WORDS: Final = 10.0


class GatewayServer(Server):
    """A server_cls for runserver and serve; endpoints `tcp:` become `gateway:`.

    SIGTERM and Ctrl-C stop in order: the port closes, `/health/ready` says 503,
    streams go on for STOP_GRACE seconds, the rest gets an error event, the history
    is flushed. A second Ctrl-C stops at once. One of several processes has a `lifeline`
    descriptor, which ends when the parent is gone; its terminal is the parent's affair.
    """

    def __init__(self, application: Any, endpoints: list[str] | None = None, **kwargs: Any) -> None:
        ours = [endpoint.replace("tcp:", "gateway:", 1) for endpoint in endpoints or []]
        kwargs.setdefault("request_buffer_size", REQUEST_BUFFER)
        self._lifeline: int | None = kwargs.pop("lifeline", None)
        self._handles_signals = kwargs.pop("signal_handlers", True)
        self._ports: list[Any] = []
        self._stopping: asyncio.Task[None] | None = None
        super().__init__(application, endpoints=ours, signal_handlers=False, **kwargs)

    def run(self) -> None:
        runtime.prepare()
        # what exists now lives as long as the process: the collector need not look at it again
        gc.collect()
        gc.freeze()
        if self._handles_signals:
            loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
            loop.add_signal_handler(signal.SIGTERM, self.stop_in_order)
            if self._lifeline is None:
                loop.add_signal_handler(signal.SIGINT, self.stop_in_order)
            else:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                loop.add_reader(self._lifeline, self._orphaned, loop)
        try:
            super().run()
        finally:
            runtime.stop()

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self._ports.append(port)
        if self._lifeline is not None:
            return
        for host, number in self.listening_addresses[-1:]:
            shown = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{shown}:{number} (stop with Ctrl-C)", flush=True)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Daphne's, which offers the application our way of writing a body."""
        direct = direct_body(protocol) if scope["type"] == "http" else None
        if direct is not None:
            scope["extensions"] = {EXTENSION: direct}
        return super().create_application(protocol, scope)

    def _orphaned(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._lifeline is not None
        loop.remove_reader(self._lifeline)
        if self._stopping is None:
            self.stop_in_order()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Daphne's, and then wait while the client does not take what was written."""
        await super().handle_reply(protocol, message)
        transport = getattr(protocol, "transport", None)
        if isinstance(transport, AsyncioTransport) and transport.held_back:
            await transport.drained()

    def stop_in_order(self) -> None:
        """Begin to stop; called again, stop at once."""
        if self._stopping is not None:
            self._stopping.cancel()
            self.stop()
            return
        running = len(self._running())
        if running:
            print(f"Stopping when {running} requests have ended (Ctrl-C again: at once)", flush=True)
        self._stopping = asyncio.get_running_loop().create_task(self._stop_in_order())

    async def _stop_in_order(self) -> None:
        for port in self._ports:
            port.stopListening()
        runtime.drain()
        # pages that watch would never end by themselves; they come back to the next process
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                _close(protocol)
        await self._ended_within(gateway_conf().stop_grace)
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
        """Cancel what still runs and wait for it; each records its exchange as it ends.

        Daphne's own assumes that every connection has an application, which an idle
        one has not.
        """
        running = self._running()
        for instance in running:
            instance.cancel()
        waiting = defer.Deferred.fromFuture(asyncio.gather(*running, return_exceptions=True))
        waiting.addErrback(lambda _: None)
        return waiting


def _close(page: Any) -> None:
    """End a WebSocket; one whose handshake is under way cannot be closed, only refused."""
    try:
        if page.state == page.STATE_CONNECTING:
            page.serverReject()
        else:
            page.serverClose()
    except Exception:
        # whatever state it is in, the stop goes on
        logger.exception("a page that watches could not be closed")
