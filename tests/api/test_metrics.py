"""GET /metrics: what Prometheus reads, and who may."""

import asyncio
import dataclasses
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__
from gateway.api import metrics, ops
from gateway.conf import gateway_conf
from gateway.history.record.spool import SUFFIX
from gateway.models import SetAsideTarget
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from gateway.relay.gate import Gate
from gateway.routing.snapshot import Credential, SetAside
from gateway.telemetry import metrics as telemetry
from tests.conftest import asking, key_entry
from tests.fakes.provider import completion, error, stream

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "of-the-tests"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def token(monkeypatch, tmp_path):
    conf = dataclasses.replace(gateway_conf(), metrics_token=TOKEN, spool_folder=tmp_path)
    monkeypatch.setattr(metrics, "gateway_conf", lambda: conf)
    return {"authorization": f"Bearer {TOKEN}"}


async def numbers(bench, token) -> dict:
    """Each number by its name and the values of its labels."""
    answer = await bench.client.get("/metrics", headers=token)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text.decode())
        for sample in family.samples
    }


async def grown(bench, token, before) -> dict:
    """Those that are not what they were."""
    now = await numbers(bench, token)
    return {name: value - before.get(name, 0) for name, value in now.items() if value != before.get(name)}


async def test_without_a_token_of_ours_there_are_none(bench):
    answer = await bench.client.get("/metrics", headers={"authorization": "Bearer "})
    assert answer.status == 404
    assert "METRICS_TOKEN" in answer.json["error"]["message"]


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer other", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9"])
async def test_who_does_not_show_the_token_is_refused(bench, token, shown):
    answer = await bench.client.get("/metrics", headers={"authorization": shown})
    assert answer.status == 401
    assert answer.json["error"]["type"] == "authentication_error"


async def test_an_answer_is_counted_once_with_its_times_tokens_and_attempts(bench, token):
    before = await numbers(bench, token)
    bench.provider.answers("m", completion("hello"))
    assert (await bench.client.post("/v1/messages", asking())).status == 200
    new = await grown(bench, token, before)
    assert new["ccproxy_requests_total", "messages", "fake", "ok", "2xx"] == 1
    assert new["ccproxy_attempts_total", "fake", "ok"] == 1
    assert new["ccproxy_duration_seconds_count", "messages", "fake"] == 1
    assert new["ccproxy_first_byte_seconds_count", "messages", "fake"] == 1
    last = bench.recorder.last
    assert new["ccproxy_tokens_total", "input", "fake"] == last.input_tokens
    assert new["ccproxy_tokens_total", "output", "fake"] == last.output_tokens


async def test_where_nobody_may_ask_nothing_is_counted(bench, token):
    before = await numbers(bench, token)
    bench.set(counting=False)
    bench.provider.answers("m", completion("hello"))
    assert (await bench.client.post("/v1/messages", asking())).status == 200
    assert await grown(bench, token, before) == {}


async def test_an_error_is_counted_by_the_class_of_its_status(bench, token):
    before = await numbers(bench, token)
    bench.provider.answers("m", error(503))
    assert (await bench.client.post("/v1/messages", asking())).status == 529
    new = await grown(bench, token, before)
    assert new["ccproxy_requests_total", "messages", "fake", "error", "5xx"] == 1
    assert new["ccproxy_attempts_total", "fake", "error"] == 1


async def test_a_request_is_open_while_it_streams(bench, token):
    go_on = asyncio.Event()
    bench.provider.answers("m", stream("a", go_on, "b"))
    before = (await numbers(bench, token))["ccproxy_open_requests",]
    answering = bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    assert (await numbers(bench, token))["ccproxy_open_requests",] == before + 1
    go_on.set()
    await answering.rest()
    assert (await numbers(bench, token))["ccproxy_open_requests",] == before


async def test_names_that_a_client_makes_up_become_no_labels(bench, token):
    await bench.client.post("/v1/messages", asking(model="made-up-by-a-client"))
    answer = await bench.client.get("/metrics", headers=token)
    assert b"made-up" not in answer.text


async def test_what_waits_in_files_and_is_set_aside_is_told(bench, token, tmp_path):
    (tmp_path / f"one{SUFFIX}").write_bytes(b"x" * 10)
    (tmp_path / f"other{SUFFIX}").write_bytes(b"x" * 5)
    aside = Credential(1, "first", "sk", set_aside=SetAside(since=1.0))
    bench.configure(provider={"credentials": (aside, Credential(2, "second", "sk"))})
    told = await numbers(bench, token)
    assert told["ccproxy_spool_bytes",] == 15
    assert told["ccproxy_credentials_set_aside", "fake"] == 1


async def test_a_request_that_waits_for_its_turn_is_told(bench, token):
    gate = Gate(1)
    bench.set(gate=gate)
    bench.provider.answers("m", completion("hello"))
    before = (await numbers(bench, token))["ccproxy_waiting_requests",]
    await gate.enter()
    waits = asyncio.create_task(bench.client.post("/v1/messages", asking()))
    while not gate.waiting:  # noqa: ASYNC110 (the gate tells nobody)
        await asyncio.sleep(0)
    assert (await numbers(bench, token))["ccproxy_waiting_requests",] == before + 1
    gate.leave()
    assert (await waits).status == 200
    assert (await numbers(bench, token))["ccproxy_waiting_requests",] == before


async def test_a_target_that_several_processes_skip_is_told_once_and_one_of_the_past_not(bench, token):
    now = timezone.now()
    for process, model, minutes in (("a", "m", 1), ("b", "m", 1), ("a", "n", 1), ("a", "o", -1)):
        await SetAsideTarget.objects.acreate(
            process=process, provider="fake", upstream_model=model, since=now,
            until=now + timedelta(minutes=minutes),
        )  # fmt: skip
    assert (await numbers(bench, token))["ccproxy_targets_set_aside", "fake"] == 2


async def test_without_a_database_the_other_numbers_are_told(bench, token, monkeypatch):
    def away(now):
        raise OperationalError("away")

    assert (await numbers(bench, token))["ccproxy_targets_set_aside", "fake"] == 0
    monkeypatch.setattr(metrics, "targets_set_aside", away)
    told = await numbers(bench, token)
    assert ("ccproxy_targets_set_aside", "fake") not in told
    assert ("ccproxy_spool_bytes",) in told


async def test_tokens_are_told_by_model_and_errors_by_type(bench, token):
    before = await numbers(bench, token)
    bench.provider.answers("m", completion("hi"))
    await bench.client.post("/v1/messages", asking())
    bench.provider.answers("m", error(503))
    await bench.client.post("/v1/messages", asking())
    now = await grown(bench, token, before)
    by_model = {name: value for name, value in now.items() if name[0] == "ccproxy_model_tokens_total"}
    assert {name[1:3] for name in by_model} == {("input", "as asked"), ("output", "as asked")}
    assert any(name[0] == "ccproxy_refusals_total" for name in now)


async def test_models_beyond_the_first_are_told_together(monkeypatch):
    monkeypatch.setattr(telemetry, "_models", set())
    monkeypatch.setattr(telemetry, "_MOST_MODELS", 2)
    told = [telemetry._model_label("p", "claude", model) for model in "abcab"]
    assert told == ["a", "b", "other", "a", "b"]
    assert telemetry._model_label("p", "made-up", "made-up") == "as asked"


async def test_the_release_is_told(bench, token):
    found = await numbers(bench, token)
    [build] = [name for name in found if name[0] == "ccproxy_build_info"]
    assert __version__ in build


async def test_what_the_recorder_tells_is_a_number(bench, token):
    telemetry.history_state(7, False)
    before = (await numbers(bench, token))[("ccproxy_history_committed_timestamp_seconds",)]
    telemetry.history_state(3, True)
    now = await numbers(bench, token)
    assert now[("ccproxy_history_waiting_rows",)] == 3
    assert now[("ccproxy_history_committed_timestamp_seconds",)] > before
    telemetry.history_state(0, False)


async def test_the_detail_of_health_gives_a_reason_for_each_part(bench, token, monkeypatch, tmp_path):
    monkeypatch.setattr(ops, "gateway_conf", metrics.gateway_conf)
    assert (await bench.client.get("/health/detail")).status == 401
    told = (await bench.client.get("/health/detail", headers=token)).json
    assert (told["status"], told["reasons"], told["version"]) == ("ok", {}, __version__)
    (tmp_path / f"one{SUFFIX}").write_bytes(b"x" * 10)
    aside = Credential(1, "first", "sk", set_aside=SetAside(since=1.0))
    bench.configure(provider={"credentials": (aside,)})
    monkeypatch.setattr(ops, "_database_answers", lambda: False)
    told = (await bench.client.get("/health/detail", headers=token)).json
    assert told["status"] == "impaired"
    assert set(told["reasons"]) == {"database", "history", "provider fake"}
    assert told["reasons"]["provider fake"] == "1 of 1 credentials were refused by it"


async def test_cost_is_told_by_model_and_by_owner_only_when_that_is_wanted(bench, token):
    rates = Rates(Decimal(1_000_000), Decimal(1_000_000))
    prices = PriceBook((PriceRule(Price(rates, source="test"), "m"),))
    bench.configure(keys=[key_entry("ours", owner="Ann", owner_id=7)], prices=prices)
    bench.provider.answers("m", completion("hi"))
    before = await numbers(bench, token)
    await bench.client.post("/v1/messages", asking(), headers={"x-api-key": "ours"})
    last = bench.recorder.last
    tokens = last.input_tokens + last.output_tokens
    now = await grown(bench, token, before)
    costs = [value for name, value in now.items() if name[0] == "ccproxy_model_cost_dollars_total"]
    # counters are floats, and others have counted before
    assert costs == pytest.approx([tokens])
    assert not [name for name, value in now.items() if name[0].startswith("ccproxy_owner") and value]
    bench.set(counting_owners=True)
    await bench.client.post("/v1/messages", asking(), headers={"x-api-key": "ours"})
    now = await grown(bench, token, before)
    assert now["ccproxy_owner_cost_dollars_total", "Ann"] == pytest.approx(tokens)
    assert now["ccproxy_owner_tokens_total", "input", "Ann"] == last.input_tokens


async def test_groups_are_counted_for_each_of_their_members(bench, token):
    before = await numbers(bench, token)
    prices = PriceBook((PriceRule(Price(Rates(Decimal(1_000_000), Decimal(1_000_000)), source="test"), "m"),))
    keys = [key_entry("ours", owner_id=7), key_entry("other", owner_id=8)]
    bench.configure(keys=keys, prices=prices, counted_groups={7: ("A", "B"), 8: ("B",)})
    asked = []
    for key in ("ours", "other"):
        bench.provider.answers("m", completion("hi"))
        await bench.client.post("/v1/messages", asking(), headers={"x-api-key": key})
        asked.append(bench.recorder.last.input_tokens + bench.recorder.last.output_tokens)
    now = await grown(bench, token, before)
    cost = {name[1]: value for name, value in now.items() if name[0] == "ccproxy_group_cost_dollars_total"}
    assert cost == {"A": pytest.approx(asked[0]), "B": pytest.approx(sum(asked))}


async def test_what_is_tried_again_is_told_by_its_reason(bench, token):
    before = await numbers(bench, token)
    bench.configure(provider={"max_retries": 1})
    bench.set(jitter=lambda: 0.0)
    bench.provider.answers("m", error(503, headers={"retry-after": "0"}), completion("hi"))
    assert (await bench.client.post("/v1/messages", asking())).status == 200
    now = await grown(bench, token, before)
    [first, _] = bench.recorder.last.tries
    assert now["ccproxy_retries_total", "fake", first.error_type] == 1
    assert sum(value for name, value in now.items() if name[0] == "ccproxy_retries_total") == 1


async def test_the_loop_the_pool_the_start_and_the_configuration_are_told(bench, token):
    before = await numbers(bench, token)
    telemetry.watch_loop(asyncio.get_running_loop(), lambda: {"used": 2, "idle": 1, "waiting": 0})
    telemetry.configuration_state(loaded=True)
    telemetry.configuration_state(loaded=False)
    now = await grown(bench, token, before)
    assert now["ccproxy_loop_lag_seconds_count",] >= 1
    assert now["ccproxy_database_connections", "used"] == 2
    assert now["ccproxy_process_start_timestamp_seconds",] > 0
    told = await numbers(bench, token)
    loaded = told["ccproxy_configuration_loaded_timestamp_seconds",]
    assert 0 < loaded <= told["ccproxy_configuration_checked_timestamp_seconds",]


def test_every_number_is_in_the_documentation():
    page = (ROOT / "docs" / "operations.md").read_text()
    told = {family.name for family in telemetry._registry.collect()}
    told |= {family.name for family in telemetry.CurrentState().collect()}
    suffixes = ("", "_total", "_info")
    missing = [name for name in told if not any(f"`{name}{suffix}`" in page for suffix in suffixes)]
    assert missing == []


def test_where_nothing_else_can_be_written_several_processes_count_in_the_folder_of_data(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(telemetry, "_MEMORY", tmp_path / "no memory")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no temporary files"))
    with telemetry.shared_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
    assert not folder.exists()
