"""When a proxy applies: never told no where the HTTP client would use one."""

import httpx
import pytest

from gateway.upstream.http1.proxies import ProxyVariables

URLS = [
    "http://127.0.0.1:8000/v1",
    "https://api.example.com/v1",
    "https://example.com/v1",
    "https://notexample.com/v1",
    "http://localhost:11434/v1",
    "http://[::1]:8000/v1",
]
ENVIRONMENTS = [
    {},
    {"HTTPS_PROXY": "http://proxy:3128"},
    {"HTTP_PROXY": "http://proxy:3128"},
    {"ALL_PROXY": "http://proxy:3128"},
    {"https_proxy": "proxy:3128"},
    {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "*"},
    {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "example.com, localhost,127.0.0.1"},
    {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": ".example.com"},
    {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": "API.example.com"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_the_variables_mean_what_they_mean_to_the_http_client(environment, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = httpx.AsyncClient()
    variables = ProxyVariables()
    for url in URLS:
        # the client has no public way to ask
        used = client._transport_for_url(httpx.URL(url)) is not client._transport
        assert variables.apply_to(url) is used, url


def test_in_doubt_the_client_looks_for_itself():
    variables = ProxyVariables({"all": "http://proxy:3128", "no": "192.168.0.0/16,http://10.0.0.1"})
    assert variables.apply_to("http://192.168.0.1/")
    assert variables.apply_to("http://10.0.0.1/")


def test_a_url_that_cannot_be_read_takes_no_proxy():
    assert not ProxyVariables({"all": "http://proxy:3128"}).apply_to("http://[::1/")
