"""The API's request beside Django's own: everything that it has, made when it is asked for."""

from io import BytesIO

import pytest
from django.core.handlers.asgi import ASGIRequest

from gateway.api.request import GatewayRequest

SCOPE = {
    "type": "http",
    "method": "post",
    "path": "/v1/messages",
    "root_path": "",
    "query_string": b"a=b&c=d",
    "headers": [
        (b"host", b"gateway"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"2"),
        (b"cookie", b"a=b"),
        (b"x-two", b"one"),
        (b"x-two", b"caf\xe9"),
        (b"x_two", b"spoofed"),
    ],
    "client": ["10.0.0.1", 5],
    "server": ["10.0.0.2", 80],
}
# the encoding of a form; what the API reads is JSON
OWN = {"scope", "_stream", "_read_started", "_encoding"}


def test_it_has_all_that_djangos_own_has():
    usual, ours = ASGIRequest(SCOPE, BytesIO(b"{}")), GatewayRequest(SCOPE, b"{}")
    for name in vars(usual).keys() - OWN:
        assert getattr(ours, name) == getattr(usual, name), name
    for name in ("GET", "COOKIES", "headers", "scheme", "body"):
        assert getattr(ours, name) == getattr(usual, name), name
    assert (ours.get_host.__func__, ours.get_full_path()) == (usual.get_host.__func__, usual.get_full_path())


def test_a_root_path_is_no_part_of_the_path():
    scope = {**SCOPE, "root_path": "/behind", "path": "/behind/v1/messages"}
    assert GatewayRequest(scope, b"").path_info == ASGIRequest(scope, BytesIO()).path_info == "/v1/messages"


def test_its_headers_are_djangos_with_lower_case_names():
    usual = {name.lower(): value for name, value in ASGIRequest(SCOPE, BytesIO()).headers.items()}
    assert GatewayRequest(SCOPE, b"").lower_headers == usual


def test_address_and_query_are_those_of_the_scope():
    request = GatewayRequest(SCOPE, b"")
    assert (request.address, request.query) == ("10.0.0.1", "a=b&c=d")
    assert GatewayRequest({**SCOPE, "client": None}, b"").address == ""


def test_a_query_that_is_no_text_is_refused():
    with pytest.raises(UnicodeDecodeError):
        GatewayRequest({**SCOPE, "query_string": b"\xff"}, b"")


def test_what_nobody_has_is_an_attribute_error():
    with pytest.raises(AttributeError):
        GatewayRequest(SCOPE, b"").nonsense  # noqa: B018
