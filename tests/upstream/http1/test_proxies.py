"""Which proxy the environment names for a URL."""

import pytest

from gateway.routing.network_path import UnusableProxy
from gateway.upstream.http1.proxies import ProxyVariables


def named(url, **variables):
    proxy = ProxyVariables(variables).proxy_for(url)
    return proxy and (proxy.scheme, proxy.host, proxy.port)


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://api.example.com/v1", {}, None),
        ("https://api.example.com/v1", {"https": "http://proxy:3128"}, ("http", "proxy", 3128)),
        ("http://api.example.com/v1", {"https": "http://proxy:3128"}, None),
        ("http://api.example.com/v1", {"http": "proxy"}, ("http", "proxy", 80)),
        ("http://api.example.com/v1", {"all": "SOCKS5h://proxy"}, ("socks5h", "proxy", 1080)),
        ("HTTPS://api.example.com/v1", {"https": "a:1", "all": "b:1"}, ("http", "a", 1)),
        ("https://api.example.com/v1", {"all": "http://[::1]:3128/"}, ("http", "::1", 3128)),
        ("http://[::1]:8000/v1", {"all": "proxy:1", "no": "::1"}, None),
        ("http://API.example.com/v1", {"all": "proxy:1", "no": "x, .Example.com"}, None),
        ("http://10.1.2.3/v1", {"all": "proxy:1", "no": "10.0.0.0/8"}, None),
        ("http://11.1.2.3/v1", {"all": "proxy:1", "no": "10.0.0.0/8"}, ("http", "proxy", 1)),
        ("http://[::1/", {"all": "proxy:1"}, None),
    ],
)
def test_the_variable_of_the_scheme_counts_and_no_proxy_exempts(url, variables, proxy):
    assert named(url, **variables) == proxy


@pytest.mark.parametrize(
    "text", ["socks4://proxy:1", "ftp://proxy", "http://", "http://proxy:x", "http://p:0"]
)
def test_a_variable_that_names_no_proxy_is_told_by_its_name(text):
    variables = ProxyVariables({"all": text})
    assert [name for name, _ in variables.problems()] == ["ALL_PROXY"]
    with pytest.raises(UnusableProxy):
        variables.proxy_for("http://api.example.com/v1")


def test_login_and_password_of_a_variable_are_decoded_and_not_shown():
    proxy = ProxyVariables({"all": "http://me:p%40ss@proxy:3128"}).proxy_for("http://a/")
    assert proxy.login == ("me", "p@ss")
    assert "p@ss" not in repr(proxy)
