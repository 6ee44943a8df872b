"""Whatever asks a provider goes the way that is set for it: requests, streams, counts, and trials."""

import dataclasses

import pytest

from gateway.routing.network_path import NetworkPath, proxy_of
from gateway.upstream.client import UpstreamClient
from gateway.upstream.trial.probe import Probe
from tests.conftest import asking
from tests.fakes.provider import Answer, completion, stream
from tests.upstream.proxies import ProxyServer


@pytest.fixture
async def proxy(bench):
    port = int(bench.provider.base_url.split(":")[2].partition("/")[0])
    async with ProxyServer(port, ("me", "word")) as made:
        yield made


def way(proxy, scheme):
    return NetworkPath(proxy=proxy_of(f"{scheme}://127.0.0.1:{proxy.port}", ("me", "word")))


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_requests_and_streams_go_through_the_provider_s_proxy(bench, proxy, scheme):
    bench.configure(provider={"network": way(proxy, scheme)})
    bench.provider.answers("m", completion("whole"))
    assert (await bench.client.post("/v1/messages", asking())).json["content"][0]["text"] == "whole"
    bench.provider.answers("m", stream("piece"))
    reply = await bench.client.post("/v1/messages", asking(stream=True))
    assert reply.status == 200
    assert proxy.asked
    assert bench.provider.connections == len(proxy.asked)


async def test_a_proxy_that_refuses_is_named_in_the_error_and_its_password_is_not(bench, proxy):
    wrong = NetworkPath(proxy=proxy_of(f"http://127.0.0.1:{proxy.port}", ("me", "not-the-password")))
    bench.configure(provider={"network": wrong})
    answer = await bench.client.post("/v1/messages", asking())
    assert answer.status >= 500
    assert "its proxy: HTTP 407" in answer.json["error"]["message"]
    assert bench.provider.requests == []
    assert "not-the-password" not in str(answer.json)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_trial_goes_the_same_way(bench, proxy, scheme):
    bench.provider.answers("m", completion("whole"))
    listed = Answer(headers={"content-type": "application/json"}, body=b'{"data": [{"id": "m"}]}')
    # a proxy for plain http is asked for the whole address, and this one hands it on so
    for path in ("/v1/models", bench.provider.base_url + "/models"):
        bench.provider.answers(path, listed)
    client = UpstreamClient()
    try:
        config = dataclasses.replace(bench.base, network=way(proxy, scheme))
        levels = await Probe(client, config, "/models").run("m")
    finally:
        await client.close()
    assert any(level.name == "answer" and level.outcome == "passed" for level in levels)
    assert bench.provider.connections <= len(proxy.asked)
