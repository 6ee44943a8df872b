"""The order of a stop, without a process."""

from types import SimpleNamespace

from autobahn.websocket.protocol import WebSocketProtocol as Protocol
from daphne.ws_protocol import WebSocketProtocol

from ccproxy_site.server import daphne_server


async def test_a_page_whose_handshake_is_under_way_does_not_hold_up_the_stop(monkeypatch):
    told = []
    runtime = SimpleNamespace(drain=lambda: told.append("drain"), interrupt=lambda: told.append("interrupt"))
    monkeypatch.setattr(daphne_server, "runtime", runtime)
    server = daphne_server.GatewayServer(None, ["tcp:port=0"])
    monkeypatch.setattr(server, "stop", lambda: told.append("stop"))
    page = WebSocketProtocol()
    page.state = Protocol.STATE_CONNECTING
    page.serverReject = lambda: told.append("rejected")
    server.connections = {page: {}}
    await server._stop_in_order()
    assert told == ["drain", "rejected", "interrupt", "stop"]
