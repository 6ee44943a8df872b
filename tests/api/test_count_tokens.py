"""POST /v1/messages/count_tokens."""

import json
from pathlib import Path

import pytest

from gateway.conversion.blocks import pdf
from tests.conftest import asking, rule
from tests.conversion.pdf_files import pdf_of
from tests.fakes.provider import completion

CAPTURE = Path(__file__).parent.parent / "captures" / "39-count-tokens-context.request.json"


def counting(text="hi", **fields):
    body = asking(text, **fields)
    del body["max_tokens"]
    return body


async def count(bench, body):
    answer = await bench.client.post("/v1/messages/count_tokens?beta=true", body)
    assert answer.status == 200, answer.text
    return answer.json["input_tokens"]


async def test_a_short_text_is_a_few_tokens_and_twice_the_text_about_twice(bench):
    assert 5 <= await count(bench, counting("hi")) <= 20
    text = "The quick brown fox jumps over the lazy dog. " * 50
    once, twice = await count(bench, counting(text)), await count(bench, counting(text * 2))
    assert 1.8 < twice / once < 2.2


async def test_tools_count(bench):
    tool = {"name": "t", "description": "does it", "input_schema": {"type": "object", "properties": {}}}
    assert await count(bench, counting(tools=[tool])) > await count(bench, counting())


async def test_the_clients_own_request_is_counted_without_asking_the_provider(bench):
    assert await count(bench, json.loads(CAPTURE.read_text())) > 3000
    assert bench.provider.requests == []


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_pdf_is_read_in_a_process_of_its_own(bench, path, monkeypatch):
    monkeypatch.setattr(pdf, "page_texts", lambda data: pytest.fail("read in the serving process"))
    source = {"type": "base64", "media_type": "application/pdf", "data": pdf_of(f"asked at {path}")}
    body = asking()
    body["messages"][0]["content"] = [{"type": "document", "source": source}]
    bench.provider.answers("m", completion())
    assert (await bench.client.post(path, body)).status == 200
    assert len(bench.gateway.pdf_workers.pids) == 1
    if bench.provider.requests:
        assert f"asked at {path}" in str(bench.provider.requests[-1].body)


async def test_context_management_is_answered_with_the_original_number(bench):
    body = counting(context_management={"edits": []})
    answer = (await bench.client.post("/v1/messages/count_tokens", body)).json
    assert answer["context_management"] == {"original_input_tokens": answer["input_tokens"]}


async def test_max_tokens_stream_and_compaction_are_ignored(bench):
    body = {**counting(), "max_tokens": "x", "stream": True, "compaction": {"type": "summarize"}}
    answer = await bench.client.post("/v1/messages/count_tokens", body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


async def test_an_unknown_model_is_not_found(bench):
    bench.configure(rules=[rule("only")])
    answer = await bench.client.post("/v1/messages/count_tokens", counting())
    assert (answer.status, answer.json["error"]["message"]) == (404, "model: m")


async def test_a_wrong_body_is_refused_like_any_other(bench):
    answer = await bench.client.post("/v1/messages/count_tokens", {"model": "m"})
    assert (answer.status, answer.json["error"]["message"]) == (400, "messages: Field required")


async def test_the_count_is_in_the_history(bench):
    number = await count(bench, counting())
    outcome = bench.recorder.last
    assert (outcome.endpoint, outcome.state, outcome.input_tokens) == ("count_tokens", "ok", number)
