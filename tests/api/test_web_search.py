"""POST /v1/messages of Claude Code's WebSearch tool."""

import pytest

from gateway.routing.snapshot import KeyLimits, SearchEngineConfig
from tests.conftest import asking, key_entry
from tests.fakes.provider import chunk, completion, error, stream
from tests.fakes.search_engine import FakeSearchEngine

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
FORCED = {"type": "tool", "name": "web_search"}
RESULTS = {"results": [{"title": "Django", "url": "https://www.djangoproject.com/", "content": "framework"}]}
QUERY = "Perform a web search for the query: django"


@pytest.fixture
async def engine(bench):
    engine = await FakeSearchEngine(RESULTS).start()
    bench.configure(search_engine=SearchEngineConfig("e", "searxng", engine.base_url))
    yield engine
    await engine.stop()


def ask(bench, **fields):
    request = asking(QUERY, tools=[SEARCH], tool_choice=FORCED, **fields)
    return bench.client.messages(request)


def blocks(answer):
    """The blocks that a client puts together from the events."""
    return [
        event["content_block"]["type"] for event in answer.events if event["type"] == "content_block_start"
    ]


async def test_without_an_engine_the_answer_says_that_nothing_was_searched(bench):
    answer = await ask(bench)
    assert "Web search is not available" in answer.json["content"][0]["text"]
    assert not bench.provider.requests


async def test_the_client_gets_call_results_and_what_the_model_makes_of_them(bench, engine):
    bench.provider.answers("m", completion("Django is a framework."))
    message = (await ask(bench)).json
    call, result, text = message["content"]
    assert (call["type"], call["input"]) == ("server_tool_use", {"query": "django"})
    assert result["tool_use_id"] == call["id"]
    assert result["content"][0]["url"] == "https://www.djangoproject.com/"
    assert text["text"] == "Django is a framework."
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
    sent = bench.provider.requests[0].body
    assert "tools" not in sent
    assert "https://www.djangoproject.com/" in str(sent["messages"][-1]["content"])


async def test_streamed_the_results_come_before_the_text(bench, engine):
    bench.provider.answers("m", stream("Django ", "is"))
    answer = await ask(bench, stream=True)
    assert blocks(answer) == ["server_tool_use", "web_search_tool_result", "text"]
    assert answer.events[-2]["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
    }
    assert [entry["code"] for entry in bench.recorder.last.ledger].count("replaced") == 1


async def test_the_search_is_made_once_for_all_tries(bench, engine):
    bench.configure(
        provider={"max_retries": 2},
        search_engine=SearchEngineConfig("e", "searxng", engine.base_url),
    )
    bench.provider.answers("m", error(503, "no", {"retry-after": "0"}), completion("x"))
    assert (await ask(bench)).status == 200
    assert len(engine.asked) == 1


async def test_a_search_that_fails_is_told_to_client_and_model(bench, engine):
    engine.status = 500
    bench.provider.answers("m", completion("I could not search."))
    message = (await ask(bench)).json
    assert message["content"][1]["content"] == {
        "type": "web_search_tool_result_error",
        "error_code": "unavailable",
    }
    assert "could not be made" in str(bench.provider.requests[0].body["messages"][-1]["content"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_search_of_the_provider_that_is_known_by_citations_gets_the_blocks_too(bench, streamed):
    bench.configure(provider={"options": {"web_search": "web_search_options"}})
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.org/", "title": "A"}}
    if streamed:
        bench.provider.answers("m", stream("text", chunk({"annotations": [cited]})))
        answer = await ask(bench, stream=True)
        assert blocks(answer) == ["text", "server_tool_use", "web_search_tool_result"]
    else:
        bench.provider.answers("m", completion("text", annotations=[cited]))
        content = (await ask(bench)).json["content"]
        assert [block["type"] for block in content] == ["text", "server_tool_use", "web_search_tool_result"]
        assert content[1]["input"] == {"query": "django"}
        assert content[2]["content"][0]["url"] == "https://a.org/"


LIMITS = [
    ({"requests_per_minute": 1}, {}),
    ({"token_budget": 1}, {}),
    ({}, {"max_tokens": -1}),
]


@pytest.mark.parametrize(("limits", "fields"), LIMITS)
async def test_nothing_is_searched_for_a_request_that_is_refused(bench, engine, limits, fields):
    bench.provider.answers("m", completion("Django is a framework."))
    bench.configure(
        search_engine=SearchEngineConfig("e", "searxng", engine.base_url),
        keys=[key_entry("ours", limits=KeyLimits(**limits))],
    )
    bench.client.headers["x-api-key"] = "ours"
    for _ in range(3):
        answer = await ask(bench, **fields)
    assert answer.status in (400, 429)
    let_in = len(bench.provider.requests)
    assert len(engine.asked) == let_in <= 1


async def test_a_search_is_charged_with_its_request_once(bench, engine):
    bench.provider.answers("m", completion("Django is a framework."))
    bench.configure(
        search_engine=SearchEngineConfig("e", "searxng", engine.base_url),
        keys=[key_entry("ours", limits=KeyLimits(requests_per_minute=3))],
    )
    bench.client.headers["x-api-key"] = "ours"
    assert [(await ask(bench)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_an_address_that_is_none_is_left_out_of_the_results(bench, engine):
    urls = ["http://[bad/x", "http://", "https://[::1/", "https://ok.org/"]
    engine.answer = {"results": [{"title": "t", "url": url, "content": "c"} for url in urls]}
    bench.provider.answers("m", completion("x"))
    content = (await ask(bench)).json["content"]
    assert [one["url"] for one in content[1]["content"]] == ["https://ok.org/"]
