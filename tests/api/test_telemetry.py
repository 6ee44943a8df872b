"""Telemetry of clients: answered at once, and sent on within bounds."""

import asyncio
import dataclasses
import gzip
import logging

import pytest

from gateway import conf
from gateway.api import client_services, head
from gateway.errors import AuthenticationFailed
from gateway.upstream import telemetry_collector
from gateway.upstream.telemetry_collector import TelemetryCollector
from tests.conftest import key_entry
from tests.fakes.provider import Answer, FakeProvider

PROTOBUF = {"content-type": "application/x-protobuf", "x-api-key": "ccp_a"}


@pytest.fixture
async def collector():
    fake = await FakeProvider().start()
    fake.answer_to = lambda request: fake._answers["all"][0]
    fake.answers("all", Answer(body=b"{}"))
    yield fake
    await fake.stop()


@pytest.fixture
async def gateway(bench, monkeypatch, collector):
    url = collector.base_url.removesuffix("/v1")
    changed = dataclasses.replace(conf.gateway_conf(), sign_in=True, telemetry_collector=url)
    monkeypatch.setattr(client_services, "gateway_conf", lambda: changed)
    sending = TelemetryCollector(url)
    monkeypatch.setattr(client_services, "_collector", lambda url: sending)
    bench.sending = sending
    bench.configure(keys=[key_entry("ccp_a", owner="Ada \u00c9")])
    return bench


async def post(bench, body=b"\x0a\x00\xff", signal="logs"):
    return await bench.client.request("POST", f"/v1/{signal}", body, headers=PROTOBUF)


async def sent(bench):
    await asyncio.gather(*bench.sending._tasks)


async def test_an_export_is_sent_on_as_it_is_with_whose_it_is_and_without_the_bearer(gateway, collector):
    for signal in ("logs", "metrics", "traces"):
        answer = await post(gateway, signal=signal)
        assert (answer.status, answer.text) == (200, b"")
    await sent(gateway)
    assert sorted(request.path for request in collector.requests) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    request = collector.requests[0]
    assert request.raw == b"\x0a\x00\xff"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-ccproxy-user"] == "Ada \\xc9"
    assert "ccp_a" not in str(request.headers)


async def test_a_compressed_export_is_sent_on_as_what_it_is(gateway, collector):
    headers = {**PROTOBUF, "content-encoding": "gzip"}
    await gateway.client.request("POST", "/v1/logs", gzip.compress(b"\x0a\x00"), headers=headers)
    await sent(gateway)
    [request] = collector.requests
    assert request.headers["content-encoding"] == "gzip"
    assert gzip.decompress(request.raw) == b"\x0a\x00"


@pytest.mark.parametrize("path", [b"/v1/metrics", b"/v1/logs", b"/v1/traces"])
async def test_an_export_that_does_not_come_with_its_head_is_awaited_from_who_is_known(
    gateway, monkeypatch, path
):
    signing_in = client_services.gateway_conf()
    monkeypatch.setattr(head, "gateway_conf", lambda: signing_in)
    allowed = head.allowance(b"POST", path, {"x-api-key": "ccp_a"}, "192.0.2.7")
    assert (allowed.most, allowed.kept, allowed.known) == (telemetry_collector.LARGEST, True, True)
    with pytest.raises(AuthenticationFailed):
        head.allowance(b"POST", path, {"x-api-key": "no"}, "192.0.2.7")
    nobody_signs_in = dataclasses.replace(signing_in, sign_in=False)
    monkeypatch.setattr(head, "gateway_conf", lambda: nobody_signs_in)
    assert not head.allowance(b"POST", path, {"x-api-key": "ccp_a"}, "192.0.2.7").kept


async def test_a_collector_that_does_not_answer_is_not_waited_for_and_bounds_hold(
    gateway, collector, monkeypatch, caplog
):
    never = asyncio.Event()
    collector.answers("all", Answer(before_head=[never]))
    monkeypatch.setattr(telemetry_collector, "MOST_RECORDS", 3)
    with caplog.at_level(logging.WARNING, "gateway.upstream"):
        for _ in range(10):
            assert (await post(gateway)).status == 200
    assert len(gateway.sending._tasks) == 3
    assert [record.problem for record in caplog.records] == ["more telemetry than the bounds allow"]
    for task in gateway.sending._tasks:
        task.cancel()
    await asyncio.gather(*gateway.sending._tasks, return_exceptions=True)
    assert gateway.sending._bytes == 0


async def test_what_is_too_large_or_refused_is_dropped_with_one_line_until_it_works_again(
    gateway, collector, monkeypatch, caplog
):
    monkeypatch.setattr(telemetry_collector, "LARGEST", 10)
    collector.answers("all", Answer(status=500, body=b"no"))
    with caplog.at_level(logging.WARNING, "gateway.upstream"):
        await post(gateway, b"x" * 11)
        await post(gateway)
        await sent(gateway)
        collector.answers("all", Answer(body=b"{}"))
        await post(gateway)
        await sent(gateway)
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry of clients is dropped",
        "the telemetry collector takes telemetry again",
    ]
    assert caplog.records[1].dropped == 2


async def test_without_a_collector_nothing_is_sent(gateway, collector, monkeypatch):
    monkeypatch.setattr(client_services, "_collector", lambda url: None)
    assert (await post(gateway)).status == 200
    assert collector.requests == []


async def test_a_wrong_bearer_is_refused_and_not_sent_on(gateway, collector):
    answer = await gateway.client.request("POST", "/v1/logs", b"x", headers={**PROTOBUF, "x-api-key": "no"})
    assert answer.status == 401
    assert collector.requests == []
