"""Whatever stands in the request line: an answer, whole and well-formed, and no traceback in the log."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.toll import health
from tests.attacks.wire import answer, connected, head, post, status
from tests.examples import examples
from tests.server.conftest import KEY

pytestmark = [pytest.mark.server, pytest.mark.once]

METHODS = ["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PUT", "BREW", "get", "G" * 300]
PATHS = [
    "*",
    "/",
    "//",
    "/v1/messages",
    "/v1/models",
    "/admin/",
    "/admin/../v1/messages",
    "/static/../../.env",
    "/static/%2e%2e/%2e%2e/.env",
    "/%00",
    "/%ff%fe",
    "/v1/models/%00",
    "/admin/%ff",
    "/health",
    "health",
    "",
    "http://",
    "http://host",
    "http://host/v1/messages",
    "HTTP://host/admin/login/?next=/",
    "https://host/health",
    "ftp://host/",
    "http://user:word@host:99999/health",
    "http://[::1/health",
    "host:443",
    "?",
    "/?",
    "#",
    "/#x",
    "/v1/messages#x",
    "/v1/models?" + "&".join(f"a{n}=1" for n in range(1500)),
    "/health?%zz=%",
    "/v1/models?limit=%ff",
    "/v1/models/" + "a/" * 500,
    "/v1/models/{model}",
    "/" + "x" * 8000,
    "/v1/messages/count_tokens/",
    "/admin" * 50,
    "/admin/gateway/requestlog/?" + "&".join(f"a{n}=1" for n in range(1500)),
    "/static/?" + "a=1&" * 1500,
]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "http/1.1", "HTTP/", "X"]


def asked(served, request):
    with connected(served, timeout=20) as connection:
        connection.sendall(request)
        return answer(connection)


def assert_whole(found, request):
    assert 200 <= status(found) < 600 and status(found) != 500, (request[:300], found[:300])
    top, separator, body = found.partition(b"\r\n\r\n")
    assert separator
    headers = {
        name.lower(): value for name, _, value in (line.partition(b": ") for line in top.split(b"\r\n")[1:])
    }
    if b"content-length" in headers and not request.startswith(b"HEAD"):
        assert len(body) == int(headers[b"content-length"]), (request[:300], found[:300])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("OPTIONS * HTTP/1.1", 404),
        ("GET http://127.0.0.1/health HTTP/1.1", 200),
        ("GET HTTPS://somebody@127.0.0.1:1?x=y HTTP/1.1", 200),
        ("GET http://127.0.0.1/admin/login/ HTTP/1.1", 200),
        # not the host of the header, which is ours
        ("GET http://evil.example/admin/login/ HTTP/1.1", 400),
        ("GET /v1/models?" + "&".join(f"a{n}=1" for n in range(1500)) + " HTTP/1.1", 400),
        ("CONNECT example.org:443 HTTP/1.1", 404),
    ],
)
def test_a_request_target_of_any_form_is_answered(attacked, line, expected):
    assert status(asked(attacked, head(line, f"x-api-key: {KEY}", "connection: close"))) == expected


@pytest.mark.parametrize("line", ["POST /v1/messages", "GET /v1/models", "GET /health", "GET /admin/login/"])
@pytest.mark.parametrize("hosts", [(), ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "evil.example")])
def test_a_request_names_one_host(attacked, provider, line, hosts):
    """Or a proxy in front of us would judge another host than we do (RFC 9112, 3.2)."""
    before = len(provider.requests)
    headers = ["connection: close", f"x-api-key: {KEY}", f"content-length: {len(ASKED)}"]
    lines = [f"{line} HTTP/1.1", *(f"host: {host}" for host in hosts), *headers]
    request = "\r\n".join([*lines, "", ""]).encode() + ASKED
    found = asked(attacked, request)
    assert status(found) == 400
    assert_whole(found, request)
    error = json.loads(found.partition(b"\r\n\r\n")[2])["error"]
    assert (error["type"], "Host" in error["message"]) == ("invalid_request_error", True)
    assert len(provider.requests) == before


def test_http_1_0_needs_no_host(attacked):
    assert status(asked(attacked, b"GET /health HTTP/1.0\r\n\r\n")) == 200


def framed(*headers, path="/v1/messages"):
    return head(f"POST {path} HTTP/1.1", f"x-api-key: {KEY}", *headers)


NO_HTTP = {
    "no request line": b"nonsense\r\n\r\n",
    "no header": b"GET /health HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
    "no length": framed("content-length: x"),
    "5,000 digits": framed("content-length: " + "9" * 5000),
    "5,000 zeros": framed("content-length: " + "0" * 5000 + "2"),
    "5,000 digits for a page": framed("content-length: " + "9" * 5000, path="/admin/login/"),
    "a length and identity": framed("content-length: 2", "transfer-encoding: identity"),
    "chunks and identity": framed("transfer-encoding: chunked", "transfer-encoding: identity"),
    "chunks twice": framed("transfer-encoding: chunked", "transfer-encoding: chunked"),
}


@pytest.mark.parametrize("request_bytes", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_what_is_no_http_is_refused_in_the_form_of_the_api(attacked, request_bytes):
    found = asked(attacked, request_bytes)
    assert status(found) == 400
    assert_whole(found, request_bytes)
    assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/messages", "/admin/login/", "/health"])
@pytest.mark.parametrize("size", [16_000, 20_000, 40_000, 70_000, 1_000_000])
def test_a_long_header_is_refused_in_the_form_of_the_api(attacked, path, size):
    body = b"{}"
    long = "x-long: " + "x" * size
    request = head(f"POST {path} HTTP/1.1", long, f"content-length: {len(body)}", "connection: close") + body
    found = asked(attacked, request)
    assert status(found) in (400, 401, 403, 404, 405, 431) if size < 16_384 else status(found) in (400, 431)
    assert_whole(found, request)
    if size > 16_384:
        assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


def test_many_headers_are_refused_in_the_form_of_the_api(attacked):
    request = head("GET /health HTTP/1.1", *(f"x-{n}: {'y' * 100}" for n in range(1_000)))
    found = asked(attacked, request)
    assert status(found) in (400, 431)
    assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


def test_a_message_to_an_absolute_target_reaches_the_provider(attacked):
    body = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}'
    found = asked(attacked, post(body, "connection: close", path="http://gateway.example/v1/messages"))
    assert status(found) == 200


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(METHODS) | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.sampled_from(PATHS) | st.text(st.characters(min_codepoint=33, max_codepoint=255)),
    st.sampled_from(VERSIONS),
    st.booleans(),
)
def test_odd_request_lines_are_answered(attacked, method, path, version, keyed):
    shown = [f"x-api-key: {KEY}"] if keyed else []
    request = head(f"{method} {path} {version}", "connection: close", *shown)
    assert_whole(asked(attacked, request), request)
    assert health(attacked) < 5


NAMES = [
    "content-length", "transfer-encoding", "expect", "upgrade", "connection", "host", "content-encoding",
    "te", "x-api-key", "content_length", "trailer", "sec-websocket-version", "sec-websocket-key",
]  # fmt: skip
VALUES = [
    "", "0", "2", "83", " 83\t", "+2", "-1", "2, 2", "0x2", "9" * 30, "0" * 4500 + "1", "chunked", "Chunked",
    "chunked, identity", "identity", "gzip, chunked", "\tchunked", "x\r\n folded", "100-continue", "h2c",
    "websocket", "close", "keep-alive, upgrade", "upgrade", "a\0b", "a\rb", "13", "99", "caf\xe9",
]  # fmt: skip
LINES = ["POST /v1/messages", "POST /admin/login/", "GET /v1/models", "GET /admin/live-tail/socket"]
ASKED = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}'
CHUNKED = b"%x\r\n%b\r\n0\r\n" % (len(ASKED), ASKED)
BODIES = [
    b"", b"{}", ASKED, CHUNKED + b"\r\n", CHUNKED + b"x-api-key: wrong\r\ncontent-length: 5\r\n\r\n",
    b"5;a=b\r\nhello\r\n", b"f" * 17 + b"\r\n", b"-1\r\n", b"\r\n\r\n",
]  # fmt: skip


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(LINES),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0"]),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4),
    st.sampled_from(BODIES),
)
def test_no_framing_makes_one_request_of_two(attacked, provider, line, version, headers, body):
    before = len(provider.requests)
    written = [f"{name}: {value}" for name, value in headers]
    first = head(f"{line} {version}", f"x-api-key: {KEY}", *written) + body
    # some wait for more of their body than there is
    with connected(attacked, timeout=1) as connection:
        connection.sendall(first + post(ASKED, "connection: close"))
        found = answer(connection)
    if found:
        assert 100 <= status(found) < 600 and status(found) != 500, (first, found[:300])
    for sent in provider.requests[before:]:
        assert [one["content"] for one in sent.body["messages"]] == ["hello"], (first, sent.raw)
    assert health(attacked) < 5


def test_none_of_it_was_unexpected(attacked):
    """Django's own log of a host that is not allowed is no concern of ours."""
    lines = [line for line in attacked.log.read_text().splitlines() if "Traceback" in line]
    assert [line for line in lines if "django.security" not in line] == []
