"""Daphne's request, as we use it."""

from daphne.http_protocol import WebRequest

from ccproxy_site.server.web_request import GatewayWebRequest


def test_the_body_is_not_kept_by_the_request_when_daphne_has_handed_it_on(monkeypatch):
    request = GatewayWebRequest.__new__(GatewayWebRequest)
    request.transport = None
    request.gotLength(4)
    request.handleContentChunk(b"body")
    handed = []
    monkeypatch.setattr(WebRequest, "process", lambda self: handed.append(self.content.getvalue()))
    request.process()
    assert (handed, request.content.getvalue()) == ([b"body"], b"")
