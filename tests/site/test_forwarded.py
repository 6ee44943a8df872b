"""The client's address behind proxies: what trusted ones say, and nobody else."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccproxy_site import forwarded
from ccproxy_site.forwarded import Seen, TrustedProxies, plain, take_in
from gateway.security.client_networks import counted_as

PROXIES = TrustedProxies([ipaddress.ip_network(text) for text in ("10.0.0.0/8", "127.0.0.1", "fd00::/8")])
NEAR = "10.0.0.1"


def seen(peer=NEAR, *headers):
    return PROXIES.client(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Seen(NEAR)),
        ([("x-forwarded-for", "203.0.113.5")], Seen("203.0.113.5")),
        ([("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-Proto", "https")], Seen("203.0.113.5", "https")),
        ([("x-forwarded-proto", "HTTPS")], Seen(NEAR, "https")),
        ([("x-forwarded-proto", "wss"), ("x-forwarded-for", "203.0.113.5")], Seen("203.0.113.5", "https")),
        ([("x-forwarded-proto", "gopher")], Seen(NEAR)),
        # what the client wrote stands before what the proxy saw
        ([("x-forwarded-for", "198.51.100.1, 203.0.113.5")], Seen("203.0.113.5")),
        ([("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.5")], Seen("203.0.113.5")),
        ([("x-forwarded-for", "203.0.113.5, 10.0.0.2, 10.0.0.3")], Seen("203.0.113.5")),
        ([("x-forwarded-for", "10.0.0.9, 10.0.0.2")], Seen("10.0.0.9")),
        ([("x-forwarded-for", "unknown")], Seen(NEAR)),
        ([("x-forwarded-for", "203.0.113.5, unknown, 10.0.0.2")], Seen("10.0.0.2")),
        ([("x-forwarded-for", "203.0.113.5:4711")], Seen("203.0.113.5")),
        ([("x-forwarded-for", "[2001:db8::1]:4711")], Seen("2001:db8::1")),
        ([("x-forwarded-for", "2001:DB8::1")], Seen("2001:db8::1")),
        ([("x-forwarded-for", "::ffff:203.0.113.5")], Seen("203.0.113.5")),
        (
            [("x-forwarded-for", "203.0.113.5, 10.0.0.2"), ("x-forwarded-proto", "https, http")],
            Seen("203.0.113.5", "https"),
        ),
        (
            [("x-forwarded-for", "1.1.1.1, 203.0.113.5"), ("x-forwarded-proto", "https, http")],
            Seen("203.0.113.5", "http"),
        ),
        ([("forwarded", "for=203.0.113.5;proto=https;by=10.0.0.1")], Seen("203.0.113.5", "https")),
        ([("forwarded", 'For="[2001:db8::1]:4711"; Proto=https')], Seen("2001:db8::1", "https")),
        ([("forwarded", "for=198.51.100.1, for=203.0.113.5;proto=https")], Seen("203.0.113.5", "https")),
        (
            [("forwarded", "for=203.0.113.5;proto=https, for=10.0.0.2;proto=http")],
            Seen("203.0.113.5", "https"),
        ),
        ([("forwarded", "for=_hidden")], Seen(NEAR)),
        ([("forwarded", "proto=https")], Seen(NEAR, "https")),
        ([("forwarded", ";;=,,")], Seen(NEAR)),
        # a client may send the header that its proxy does not write
        ([("x-forwarded-for", "203.0.113.5"), ("forwarded", "for=198.51.100.1")], Seen(NEAR)),
        ([("x-forwarded-for", "203.0.113.5"), ("forwarded", "for=203.0.113.5")], Seen("203.0.113.5")),
        ([("x-real-ip", "203.0.113.5"), ("cf-connecting-ip", "203.0.113.5")], Seen(NEAR)),
    ],
)
def test_the_nearest_hop_that_is_no_trusted_proxy_is_the_client(headers, expected):
    assert seen(NEAR, *headers) == expected


@pytest.mark.parametrize("peer", ["192.0.2.7", "::1", "11.0.0.1", "", "::ffff:192.0.2.7"])
def test_the_word_of_anybody_else_counts_for_nothing(peer):
    headers = [
        ("x-forwarded-for", "203.0.113.5"),
        ("forwarded", "for=203.0.113.5"),
        ("x-forwarded-proto", "https"),
    ]
    assert seen(peer, *headers) == Seen(plain(peer))


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "fd00::1", "127.0.0.1"])
def test_a_proxy_is_known_however_its_address_is_written(peer):
    assert seen(peer, ("x-forwarded-for", "203.0.113.5")).address == "203.0.113.5"


@given(st.text(st.characters(max_codepoint=255, exclude_characters=","), max_size=60))
def test_nothing_that_a_client_writes_takes_the_place_of_what_the_proxy_saw(text):
    for mine in (text, f"10.0.0.2, {text}", ", ".join([text] * 200)):
        assert seen(NEAR, ("x-forwarded-for", f"{mine}, 203.0.113.5")).address == "203.0.113.5"
        assert seen(NEAR, ("forwarded", f"{mine}, for=203.0.113.5")).address == "203.0.113.5"


@given(
    st.text(st.characters(max_codepoint=255), max_size=80), st.sampled_from(["forwarded", "x-forwarded-for"])
)
def test_every_header_gives_an_address(text, name):
    ipaddress.ip_address(seen(NEAR, (name, text)).address)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_who_has_a_whole_network_of_ipv6_is_counted_as_one(address, counted):
    assert counted_as(address) == counted


@pytest.mark.parametrize(
    ("kind", "told", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "http", "http"),
        ("websocket", "https", "wss"),
        ("websocket", "http", "ws"),
        ("websocket", "wss", "wss"),
    ],
)
def test_an_application_gets_the_client_and_not_the_proxy(monkeypatch, kind, told, scheme):
    monkeypatch.setattr(forwarded, "trusted_proxies", lambda: PROXIES)
    headers = [(b"x-forwarded-for", b"203.0.113.5"), (b"x-forwarded-proto", told.encode())]
    peer = [NEAR, 4711]
    scope = {"type": kind, "client": peer, "scheme": "http" if kind == "http" else "ws", "headers": headers}
    take_in(scope)
    assert (scope["client"], scope["scheme"]) == (["203.0.113.5", 4711], scheme)
    # the connection's own, for its next request
    assert peer == [NEAR, 4711]


def test_without_trusted_proxies_nothing_changes_but_how_an_address_is_written():
    for peer, written in (("127.0.0.1", "127.0.0.1"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::1", "::1")):
        scope = {
            "type": "http",
            "client": [peer, 1],
            "scheme": "http",
            "headers": [(b"x-forwarded-for", b"1.1.1.1")],
        }
        take_in(scope)
        assert (scope["client"], scope["scheme"]) == ([written, 1], "http")
    take_in({"type": "http", "client": None, "headers": []})
