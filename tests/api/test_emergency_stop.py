"""The emergency stop: no new request reaches a provider, what runs finishes, and everybody is told."""

import asyncio
import contextlib
import dataclasses
from types import SimpleNamespace

import pytest

from gateway.api import metrics, ops
from gateway.client_protocol.purpose import own_check
from gateway.client_protocol.refusals import as_told
from gateway.conf import gateway_conf
from gateway.errors import Stopped
from gateway.relay import admission
from gateway.routing.snapshot import ConfigSnapshot
from tests.conftest import asking
from tests.fakes.provider import completion, stream

pytestmark = pytest.mark.django_db(transaction=True)
SENTENCE = "this gateway was stopped by whoever runs it and takes no requests for now: back at 15:00"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_new_request_is_refused_with_one_sentence_and_asks_nobody(bench, path):
    bench.provider.answers("m", completion())
    bench.configure(stopped="back at 15:00")
    answer = await bench.client.post(path, asking())
    assert answer.status == 503
    assert answer.json["error"] == {"type": "api_error", "message": SENTENCE}
    assert answer.headers["x-should-retry"] == "false"
    assert bench.provider.requests == []
    assert bench.recorder.ended[-1].state == "error"
    bench.configure()
    assert (await bench.client.post("/v1/messages", asking())).status == 200


async def test_an_answer_that_has_begun_finishes(bench):
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("one", go_on, "two"))
    running = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await running.head()
    bench.configure(stopped="")
    go_on.set()
    await running.rest()
    assert running.status == 200
    assert b"two" in running.text
    assert b"message_stop" in running.text


def test_a_signed_in_client_is_told_in_a_form_that_it_shows_once():
    error = as_told(Stopped("why"))
    assert (error.status, error.error_type, error.should_retry) == (503, "api_error", False)


def test_without_words_the_sentence_ends_after_what_happened():
    with pytest.raises(Stopped) as told:
        ConfigSnapshot(1, stopped="").admit()
    assert told.value.message == SENTENCE.partition(":")[0]
    ConfigSnapshot(1).admit()


async def test_health_and_metrics_tell_it(bench, monkeypatch, tmp_path):
    conf = dataclasses.replace(gateway_conf(), metrics_token="t", spool_folder=tmp_path)
    for module in (metrics, ops):
        monkeypatch.setattr(module, "gateway_conf", lambda: conf)
    bearer = {"authorization": "Bearer t"}
    for stopped, number in ((None, "0.0"), ("", "1.0"), ("fire", "1.0")):
        bench.configure(stopped=stopped)
        ready = await bench.client.get("/health/ready")
        assert ready.status == 200
        assert ready.json.get("emergency_stop") == (None if stopped is None else "on")
        detail = (await bench.client.get("/health/detail", headers=bearer)).json["reasons"]
        assert detail.get("emergency stop") == {None: None, "": "new requests are refused"}.get(
            stopped, stopped
        )
        text = (await bench.client.get("/metrics", headers=bearer)).text
        assert f"ccproxy_emergency_stop {number}".encode() in text


async def test_a_request_that_waited_for_its_turn_asks_nobody_either(bench, monkeypatch):
    """The switch is turned between a request's arrival and its place."""
    bench.provider.answers("m", completion())
    enter = admission.come_in

    async def turned_meanwhile(exchange, gateway):
        await enter(exchange, gateway)
        snapshot = dataclasses.replace(gateway.configuration.snapshot, stopped="")
        monkeypatch.setattr(gateway.configuration, "snapshot", snapshot)

    monkeypatch.setattr(admission, "come_in", turned_meanwhile)
    assert (await bench.client.post("/v1/messages", asking())).status == 503
    assert bench.provider.requests == []


def test_the_check_of_an_answer_that_has_begun_is_made():
    gateway = SimpleNamespace(configuration=SimpleNamespace(snapshot=ConfigSnapshot(1, stopped="")))
    for purpose in (None, own_check({})):
        exchange = SimpleNamespace(arrival=SimpleNamespace(purpose=purpose))
        refused = pytest.raises(Stopped) if purpose is None else contextlib.nullcontext()
        with refused:
            admission.not_stopped(exchange, gateway)
