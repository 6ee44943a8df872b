"""NO_PROXY as curl reads it, and what the URL of a proxy may be."""

import pytest

from gateway.routing.network_path import UnusableProxy, bypasses, login_of, proxy_of

HOSTS = ["a.example.com", "example.com", "example.com.", "EXAMPLE.com", "notexample.com", "10.1.2.3",
         "192.168.0.1", "fd00::1", "::1", "localhost"]  # fmt: skip
NAMES = {"a.example.com", "example.com", "example.com.", "EXAMPLE.com"}


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        # each as curl 7.88 decides, asked with --noproxy and a proxy that counts its connections
        ("", set()),
        ("*", set(HOSTS)),
        (" *", set()),
        ("*,a", set()),
        ("*.example.com", set()),
        ("example.com", NAMES),
        (".example.com", NAMES),
        ("example.com.", NAMES),
        ("..example.com", set()),
        ("Example.COM", NAMES),
        ("com", {*NAMES, "notexample.com"}),
        ("x, example.com", NAMES),
        ("x ,example.com", NAMES),
        ("a example.com", NAMES),
        ("x\texample.com", NAMES),
        (",,example.com", NAMES),
        ("example.com:80", set()),
        (".", set()),
        ("localhost", {"localhost"}),
        ("127.0.0.1", set()),
        ("10.1.2.3", {"10.1.2.3"}),
        ("10.1.2.3/32", {"10.1.2.3"}),
        ("10.1.2.3/0", {"10.1.2.3"}),
        ("10.1.2.4/31", set()),
        ("10.1.2.2/31", {"10.1.2.3"}),
        ("10.1.2.3/33", set()),
        ("10.0.0.0/8", {"10.1.2.3"}),
        ("10.0.0.0/8x", {"10.1.2.3"}),
        ("10.0.0.0/", set()),
        ("10.1/16", set()),
        ("0.0.0.0/0", set()),
        ("192.168.0.0/16,10.0.0.0/8", {"10.1.2.3", "192.168.0.1"}),
        ("fd00::1", {"fd00::1"}),
        ("[fd00::1]", set()),
        ("fd00::1/129", set()),
        ("::/0", set()),
        # as curl's manual has it; 7.88 does not do it yet
        ("fd00::/8", {"fd00::1"}),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(no_proxy, exempt):
    assert {host for host in HOSTS if bypasses(host, no_proxy)} == exempt


@pytest.mark.parametrize(
    "text",
    ["", "http://", "socks4://p:1", "ftp://p:1", "http://p:1/path", "http://p:1?x", "http://p:1#x",
     "http://p q:1", "http://p:99999", "http://[::1:1"],
)  # fmt: skip
def test_other_texts_are_no_proxies(text):
    with pytest.raises(UnusableProxy):
        proxy_of(text)


def test_a_password_may_hold_colons():
    assert login_of("me:a:b") == ("me", "a:b")
    assert login_of("me") == ("me", "")
