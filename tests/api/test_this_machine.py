"""What shows that a request is not from a program on this machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.this_machine import foreign_sign

HERE = {"host": "127.0.0.1:8082"}
WORDS = st.sampled_from(
    ["x", "real", "ip", "via", "forwarded", "for", "cf", "host", "client", "clientip", "ray"]
)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost"},
        {"host": "LocalHost:8082"},
        {"host": "[::1]:8082"},
        {"host": "[::1]"},
        {"host": "127.0.0.2:80"},
        {"sec-fetch-mode": "cors"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8082"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://[::1]:1"},
        {"origin": "vscode-webview://abc"},
        {"referer": "http://127.0.0.1:8082/"},
        # of real clients
        {"user-agent": "claude-cli/2.1", "x-app": "cli", "x-stainless-lang": "js", "anthropic-beta": "b"},
        {
            "x-claude-code-session-id": "1",
            "x-stainless-retry-count": "0",
            "x-stainless-runtime-version": "v24",
        },
        {"x-request-id": "1", "traceparent": "00-1-1-01", "accept-encoding": "gzip", "connection": "close"},
        {"x-amz-date": "1", "x-goog-api-client": "1", "content-length": "5", "idempotency-key": "1"},
    ],
)
def test_a_program_of_this_machine_gives_no_sign(headers):
    assert foreign_sign({**HERE, **headers}, "127.0.0.1") == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"])
def test_every_address_of_this_machine_is_one(address):
    assert foreign_sign(HERE, address) == ""


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "::ffff:192.0.2.7", "fe80::1", "10.0.0.1", "", "localhost.evil", "0.0.0.0", "::"]
)
def test_no_other_address_is(address):
    assert "another machine" in foreign_sign(HERE, address)


PROXIES = [
    "via",
    "forwarded",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-anything",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-ray",
    "cf-visitor",
    "cf-ipcountry",
    "cdn-loop",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-envoy-external-address",
    "x-amzn-trace-id",
    "x-amz-cf-id",
    "x-appengine-user-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "remote-addr",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "do-connecting-ip",
    "x-nf-client-connection-ip",
    "tailscale-user-login",
    "x-vercel-forwarded-for",
    "akamai-origin-hop",
    "x-scheme",
    "x-arr-ssl",
    "front-end-https",
    "x-varnish",
    "x-sucuri-clientip",
    "ali-cdn-real-ip",
    "x-proxyuser-ip",
    "x-host",
    "x-bluecoat-via",
    "remote-user",
]


@pytest.mark.parametrize("value", ["203.0.113.5", "127.0.0.1", ""])
def test_a_proxys_header_is_a_sign_whatever_it_says(value):
    for name in PROXIES:
        assert foreign_sign({**HERE, name: value}, "127.0.0.1") == f"a proxy passed this request on ({name})"


@given(st.lists(WORDS, min_size=1, max_size=4).map("-".join))
def test_every_name_that_speaks_of_forwarding_or_of_an_address_is_a_proxys(name):
    speaks = {"ip", "via", "forwarded", "cf", "clientip"} & set(name.split("-"))
    if speaks:
        assert "proxy" in foreign_sign({**HERE, name: "x"}, "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8082",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8082",
        "0.0.0.0:8082",
        "192.168.0.5",
        "localhost@evil.example",
        "evil@localhost",
        "localhost:x",
        "[::1",
        "::1",
        "127.1",
        "localhost,localhost",
        "2130706433",
        "[127.0.0.1",
        "",
    ],
)
def test_a_host_of_another_name_is_a_sign(host):
    assert "another name" in foreign_sign({"host": host}, "127.0.0.1")


def test_http_1_0_is_a_sign():
    assert "HTTP/1.0" in foreign_sign(HERE, "127.0.0.1", "1.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://evil.example:8082"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://localhost.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none,cross-site"},
        {"sec-fetch-site": ""},
        # another server on this machine is another site to a browser
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
        {"referer": "https://evil.example/page"},
    ],
)
def test_a_page_of_another_site_is_a_sign(headers):
    assert "web page" in foreign_sign({**HERE, **headers}, "127.0.0.1")
