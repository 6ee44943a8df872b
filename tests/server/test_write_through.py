"""The straight way writes what Twisted would have written; a change inside Twisted or Daphne shows here."""

import pytest
from daphne.http_protocol import WebRequest
from twisted.web.http import HTTPChannel, Request
from twisted.web.http_headers import Headers

from ccproxy_site.server.transport import AsyncioTransport
from ccproxy_site.server.web_request import GatewayWebRequest
from ccproxy_site.server.write_through import DirectBody, direct_body


class Transport(AsyncioTransport):
    """Collects; `disconnected` as after the client's end."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def writeSequence(self, iovec):
        self.write(b"".join(iovec))


class Channel(HTTPChannel):
    def __init__(self, transport):
        self.transport = transport

    def writeHeaders(self, version, code, reason, headers):
        pass


def request_of(version):
    request = GatewayWebRequest.__new__(GatewayWebRequest)
    transport = Transport()
    request.channel, request.transport = Channel(transport), transport
    request.responseHeaders = Headers()
    request.cookies = []
    request.clientproto = version
    request.method = b"POST"
    Request.write(request, b"first")
    transport.data = b""
    return request, transport


def test_the_body_is_not_kept_by_the_request_when_daphne_has_handed_it_on(monkeypatch):
    request = GatewayWebRequest.__new__(GatewayWebRequest)
    request.transport = None
    request.gotLength(4)
    request.handleContentChunk(b"body")
    handed = []
    monkeypatch.setattr(WebRequest, "process", lambda self: handed.append(self.content.getvalue()))
    request.process()
    assert (handed, request.content.getvalue()) == ([b"body"], b"")


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_piece_looks_the_same_either_way(version):
    request, transport = request_of(version)
    Request.write(request, b"a piece of an answer")
    usual, transport.data = transport.data, b""
    direct_body(request).write(b"a piece of an answer")
    assert transport.data == usual
    assert (b"14\r\n" in usual) is (version == b"HTTP/1.1")


@pytest.mark.parametrize("state", ["disconnected", "disconnecting"])
def test_nothing_is_written_to_a_client_that_is_gone(state):
    request, transport = request_of(b"HTTP/1.1")
    setattr(transport, state, True)
    DirectBody(request, transport).write(b"x")
    assert transport.data == b""


def test_other_requests_have_no_straight_way():
    assert direct_body(object()) is None
    assert WebRequest.write is Request.write
