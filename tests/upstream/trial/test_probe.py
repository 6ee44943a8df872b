import dataclasses
import json

import pytest

from gateway.routing.snapshot import Credential, ProviderConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import demo_answer
from gateway.upstream.trial.models_list import OfferedModel, offered_models
from gateway.upstream.trial.probe import Probe
from tests.fakes import messages
from tests.fakes.provider import Answer, FakeProvider, chunk, completion, error, stream

JSON = {"content-type": "application/json"}
LIST = "/v1/models"
SECRET = "sk-live-0123456789-secret"


def models(*ids):
    return Answer(headers=JSON, body=json.dumps({"data": [{"id": name} for name in ids]}).encode())


def call(arguments='{"city": "Paris"}'):
    made = [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": arguments}}]
    return stream(chunk({"tool_calls": made}), tail=[chunk({}, "tool_calls"), b"data: [DONE]\n\n"])


@pytest.fixture
async def fake():
    provider = await FakeProvider().start()
    provider.answers(LIST, models("m", "other"))
    yield provider
    await provider.stop()


@pytest.fixture
async def client():
    client = UpstreamClient(demo=demo_answer)
    yield client
    await client.close()


@pytest.fixture
def probe(fake, client):
    config = ProviderConfig(
        slug="p", name="P", base_url=fake.base_url, credentials=(Credential(1, "first", SECRET),)
    )
    return Probe(client, config)


async def levels(probe, model=""):
    return {level.name: level for level in await probe.run(model)}


async def test_a_provider_that_works_passes_all_levels_with_times(fake, probe):
    fake.answers("m", completion("OK"), call())
    found = await probe.run()
    assert [(level.name, level.outcome) for level in found] == [
        ("reachable", "passed"), ("key", "passed"), ("answer", "passed"), ("tool_call", "passed"),
    ]  # fmt: skip
    assert all(level.milliseconds is not None for level in found)
    assert fake.requests[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_a_provider_with_a_messages_api_is_tried_in_it(fake, client):
    config = ProviderConfig(slug="p", name="P", base_url=fake.base_url, protocol="anthropic", auth="none")
    weather = {"type": "tool_use", "id": "t", "name": "get_weather", "input": {"city": "Paris"}}
    fake.answers("m", messages.whole(), messages.whole(weather, stop_reason="tool_use"))
    found = await Probe(client, config, "/v1/models").run()
    assert [level.outcome for level in found] == ["passed", "passed", "passed", "passed"]
    listing, answer, call = fake.requests
    assert listing.headers["anthropic-version"] == answer.headers["anthropic-version"] == "2023-06-01"
    assert answer.path == call.path == "/v1/messages"


async def test_a_refused_key_leaves_out_what_needs_it_and_shows_no_secret(fake, probe):
    fake.answers(LIST, error(401, f"Incorrect API key provided: {SECRET}"))
    found = await levels(probe)
    assert (found["key"].outcome, found["key"].code) == ("failed", "refused")
    assert "Incorrect API key" in found["key"].detail
    assert SECRET not in found["key"].detail
    assert {found[name].outcome for name in ("answer", "tool_call")} == {"skipped"}
    assert len(fake.requests) == 1


async def test_the_short_answer_tells_of_a_key_that_the_list_did_not_check(fake, probe):
    fake.answers("m", error(401, "no"))
    found = await levels(probe)
    assert (found["key"].outcome, found["key"].code) == ("failed", "refused")
    assert found["answer"].code == "refused"


async def test_without_a_list_of_models_the_given_model_is_asked(fake, probe):
    fake.answers(LIST, error(404, "no such page"))
    fake.answers("mine", completion("OK"), call())
    found = await levels(probe, "mine")
    assert {level.outcome for level in found.values()} == {"passed"}


async def test_without_any_model_the_answer_is_left_out_and_says_so(fake, probe):
    fake.answers(LIST, models())
    found = await levels(probe)
    assert (found["answer"].outcome, found["answer"].code) == ("skipped", "no_model")


async def test_nothing_at_the_address_is_unreachable(client, probe):
    probe.provider = dataclasses.replace(probe.provider, base_url="http://127.0.0.1:1/v1")
    found = await levels(probe)
    assert (found["reachable"].outcome, found["reachable"].code) == ("failed", "unreachable")
    assert found["key"].outcome == "skipped"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error(404, "The model `m` does not exist"), "unknown_model"),
        (error(404, "Not Found"), "not_found"),
        (error(402, "Insufficient balance"), "no_money"),
        (error(429, "slow down"), "limited"),
        (error(400, "unsupported parameter"), "rejected"),
        (error(500, "oops"), "server_error"),
        (Answer(headers={"content-type": "text/html"}, body=b"<html>"), "broken"),
        (completion(""), "empty"),
    ],
)
async def test_what_is_wrong_with_an_answer_has_a_name(fake, probe, answer, code):
    fake.answers("m", answer)
    found = await levels(probe)
    assert (found["answer"].outcome, found["answer"].code) == ("failed", code)
    assert found["tool_call"].outcome == "skipped"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (stream("It is sunny."), "no_call"),
        (call('{"town": 1}'), "bad_arguments"),
        (error(400, "tool_choice is not supported"), "rejected"),
    ],
)
async def test_what_is_wrong_with_a_tool_call_has_a_name(fake, probe, answer, code):
    fake.answers("m", completion("OK"), answer)
    found = await levels(probe)
    assert (found["tool_call"].outcome, found["tool_call"].code) == ("failed", code)


async def test_a_provider_that_says_nothing_times_out(fake, probe):
    probe.limit = 0.05
    fake.answers(LIST, Answer(before_head=[5]))
    found = await levels(probe)
    assert found["reachable"].code == "timed_out"


async def test_the_demo_answers_and_calls_no_tool(client):
    demo = ProviderConfig(slug="demo", name="Demo", base_url="http://demo.invalid/v1", demo=True)
    found = await levels(Probe(client, demo))
    assert [level.outcome for level in found.values()] == ["passed", "passed", "passed", "skipped"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": [{"id": "a", "context_length": 8192}]}, [OfferedModel("a", 8192)]),
        ({"data": [{"id": "a", "meta": {"n_ctx": 4096}}]}, [OfferedModel("a", 4096)]),
        (
            {"data": [{"id": "a", "top_provider": {"context_length": 9, "max_completion_tokens": 5}}]},
            [OfferedModel("a", 9, 5)],
        ),
        (
            {"models": [{"name": "models/g", "inputTokenLimit": 7, "outputTokenLimit": 3}]},
            [OfferedModel("g", 7, 3)],
        ),
        (["a", "a", {"id": "b", "max_model_len": "many"}, 5, {}], [OfferedModel("a"), OfferedModel("b")]),
    ],
)
def test_models_are_read_with_the_sizes_that_are_told(body, expected):
    assert offered_models(json.dumps(body).encode()) == expected


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'"models"'])
def test_what_is_no_list_of_models_is_an_error(body):
    with pytest.raises(ValueError):
        offered_models(body)


async def test_a_list_comes_with_the_sizes_that_the_server_tells_elsewhere(fake, probe):
    fake.answers("/props", Answer(headers=JSON, body=b'{"default_generation_settings": {"n_ctx": 4096}}'))
    probe.sizes_path = "/props"
    found = await probe.listing()
    assert found.models == (OfferedModel("m", 4096), OfferedModel("other", 4096))
    assert [request.path for request in fake.requests] == [LIST, "/props"]


async def test_a_server_without_that_account_still_has_its_list(fake, probe):
    fake.answers("/props", error(404, "no"))
    probe.sizes_path = "/props"
    assert (await probe.listing()).models == (OfferedModel("m"), OfferedModel("other"))
