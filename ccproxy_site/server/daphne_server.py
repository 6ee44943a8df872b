"""GatewayServer: Daphne's server on our endpoint, prepared before it listens, flushed after it stops."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final

from daphne.server import Server
from twisted.internet import defer

from ccproxy_site.server.transport import AsyncioTransport
from gateway.api.runtime import runtime

# Daphne hands a body to the application in pieces of this size; one piece is one message.
REQUEST_BUFFER: Final = 64 * 1024 * 1024


class GatewayServer(Server):
    """A server_cls for runserver and serve; endpoints `tcp:` become `gateway:`."""

    def __init__(self, application: Any, endpoints: list[str] | None = None, **kwargs: Any) -> None:
        ours = [endpoint.replace("tcp:", "gateway:", 1) for endpoint in endpoints or []]
        kwargs.setdefault("request_buffer_size", REQUEST_BUFFER)
        super().__init__(application, endpoints=ours, **kwargs)

    def run(self) -> None:
        runtime.prepare()
        # what exists now lives as long as the process: the collector need not look at it again
        gc.collect()
        gc.freeze()
        try:
            super().run()
        finally:
            runtime.stop()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Daphne's, and then wait while the client does not take what was written."""
        await super().handle_reply(protocol, message)
        transport = getattr(protocol, "transport", None)
        if isinstance(transport, AsyncioTransport) and transport.held_back:
            await transport.drained()

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        for host, number in self.listening_addresses[-1:]:
            shown = f"[{host}]" if ":" in host else host
            print(f"Listening on http://{shown}:{number} (stop with Ctrl-C)", flush=True)

    def kill_all_applications(self) -> Any:
        """Cancel what still runs and wait for it; each records its exchange as it ends.

        Daphne's own assumes that every connection has an application, which an idle
        one has not.
        """
        running = [
            details["application_instance"]
            for details in self.connections.values()
            if details.get("application_instance") is not None and not details["application_instance"].done()
        ]
        for instance in running:
            instance.cancel()
        waiting = defer.Deferred.fromFuture(asyncio.gather(*running, return_exceptions=True))
        waiting.addErrback(lambda _: None)
        return waiting
