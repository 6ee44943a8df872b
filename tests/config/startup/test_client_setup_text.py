import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from ccproxy_site.urls import urlpatterns as people_patterns
from gateway.conf import OWN_PATHS, GatewayConf
from gateway.config.startup.client_setup_text import base_url, claude_code_lines, local_url
from gateway.urls import urlpatterns


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8082"),
        ("localhost", "http://localhost:8082"),
        ("0.0.0.0", "http://127.0.0.1:8082"),
        ("::", "http://127.0.0.1:8082"),
        ("::1", "http://[::1]:8082"),
        ("[::1]", "http://[::1]:8082"),
        ("10.0.0.5", "http://10.0.0.5:8082"),
    ],
)
def test_the_gateway_s_address_can_be_opened_from_this_machine(host, url):
    assert local_url(GatewayConf(host=host)) == url


def test_the_three_lines_for_a_shell():
    assert claude_code_lines("http://127.0.0.1:8082", "ccp_x") == [
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:8082",
        "export ANTHROPIC_AUTH_TOKEN=ccp_x",
        "claude",
    ]


def test_a_token_that_a_shell_would_read_is_quoted():
    assert claude_code_lines("http://h", "a b;c")[1] == "export ANTHROPIC_AUTH_TOKEN='a b;c'"


def test_clients_are_given_the_public_address_else_the_one_that_was_asked_else_the_gateway_s_own():
    public = GatewayConf(public_url="https://ccproxy.example.org/sub")
    assert base_url(public) == base_url(public, "http://10.0.0.5:8082/") == "https://ccproxy.example.org/sub"
    assert base_url(GatewayConf(), "http://10.0.0.5:8082/") == "http://10.0.0.5:8082"
    assert base_url(GatewayConf()) == "http://127.0.0.1:8082"


@pytest.mark.parametrize(
    "url",
    [
        "ccproxy.example.org", "ftp://ccproxy.example.org", "https://", "https://a/?x=1", "https://a/#x",
        "https://[", "https://u:p@a", "https://a:99999", "https://a:0", "https://a b", "https://a/\n",
        "https://ü.example", "//a", "https://a/b%20c", "https://a//b", "https://a/../b", "https://a/b;c",
        "https://a/admin", "https://a/v1/x",
    ],
)  # fmt: skip
def test_a_public_url_that_nobody_can_open_is_refused_by_its_name(url):
    with pytest.raises(ImproperlyConfigured, match="PUBLIC_URL"):
        GatewayConf(public_url=url)


def test_no_sub_path_begins_like_a_path_of_the_gateway_itself():
    routes = [str(one.pattern).lstrip("^") for one in (*urlpatterns, *people_patterns)]
    first = {re.match(r"[a-z0-9]*", route)[0] for route in routes} - {""}
    assert first | {"static"} == OWN_PATHS
    assert GatewayConf(public_url="https://a/administration").public_path == "/administration"


@pytest.mark.parametrize("text", ["localhost", "10.0.0", "10.0.0.0/33", "*", "", "1.2.3.4 5.6.7.8"])
def test_a_proxy_that_is_no_address_is_refused_by_its_name(text):
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        GatewayConf(trusted_proxies=(text,))


def test_proxies_are_addresses_and_networks():
    conf = GatewayConf(trusted_proxies=("127.0.0.1", " 10.1.2.3/8", "[::1]", "fd00::/8"))
    assert [str(network) for network in conf.trusted_networks] == [
        "127.0.0.1/32", "10.0.0.0/8", "::1/128", "fd00::/8",
    ]  # fmt: skip


def test_keys_that_are_required_and_not_required_are_refused():
    with pytest.raises(ImproperlyConfigured, match="KEYS_REQUIRED"):
        GatewayConf(keys_required=True, allow_anonymous=True)
