"""Search engines over a real socket, each in its own API."""

import json

import pytest

from gateway.conversion.tools.web_search import Search, SearchResult
from gateway.routing.snapshot import SearchEngineConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.search_engines import searched
from tests.fakes.search_engine import FakeSearchEngine

ENTRY = {"title": "A <b>title</b> &amp; more", "url": "https://a.org/x"}
SEARXNG = {"results": [{**ENTRY, "content": "an excerpt", "publishedDate": "2026-01-01"}]}
BRAVE = {"web": {"results": [{**ENTRY, "description": "an excerpt", "age": "2026-01-01"}]}}
TAVILY = {"results": [{**ENTRY, "content": "an excerpt", "published_date": "2026-01-01"}]}
FOUND = SearchResult("A title & more", "https://a.org/x", "an excerpt", "2026-01-01")


@pytest.fixture
async def client():
    client = UpstreamClient()
    yield client
    await client.close()


@pytest.fixture
async def asked(client):
    """Ask an engine of a kind that answers so; the fake and the outcome."""
    engines = []

    async def asked(kind, answer, search=None, status=200, **options):
        engine = await FakeSearchEngine(answer, status).start()
        engines.append(engine)
        config = SearchEngineConfig("e", kind, engine.base_url, "sk-search", **options)
        return engine, await searched(client, config, search or Search("django gateway"))

    yield asked
    for engine in engines:
        await engine.stop()


@pytest.mark.parametrize(("kind", "answer"), [("searxng", SEARXNG), ("brave", BRAVE), ("tavily", TAVILY)])
async def test_results_come_back_as_plain_text(asked, kind, answer):
    _, outcome = await asked(kind, answer)
    assert (outcome.found, outcome.problem) == ((FOUND,), "")


async def test_searxng_is_asked_for_json(asked):
    engine, _ = await asked("searxng", SEARXNG)
    line, headers, _ = engine.asked[0]
    assert line == "GET /search?q=django+gateway&format=json&safesearch=0 HTTP/1.1"
    assert headers["authorization"] == "Bearer sk-search"


async def test_brave_is_asked_with_its_token(asked):
    engine, _ = await asked("brave", BRAVE, max_results=3)
    line, headers, _ = engine.asked[0]
    assert line == "GET /res/v1/web/search?q=django+gateway&count=3 HTTP/1.1"
    assert headers["x-subscription-token"] == "sk-search"


async def test_tavily_is_asked_with_a_body(asked):
    engine, _ = await asked("tavily", TAVILY, Search("q", ("a.org",), ("b.org",)))
    line, headers, body = engine.asked[0]
    assert line == "POST /search HTTP/1.1"
    assert headers["authorization"] == "Bearer sk-search"
    assert json.loads(body) == {
        "query": "q",
        "max_results": 8,
        "include_domains": ["a.org"],
        "exclude_domains": ["b.org"],
    }


async def test_domains_are_asked_for_and_held_whatever_comes(asked):
    answer = {
        "results": [
            {"title": host, "url": f"https://{host}/"} for host in ("a.org", "www.a.org", "nota.org", "c.org")
        ]
    }
    engine, outcome = await asked("searxng", answer, Search("q", ("a.org",)))
    assert [found.title for found in outcome.found] == ["a.org", "www.a.org"]
    assert "site%3Aa.org" in engine.asked[0][0]
    _, outcome = await asked("searxng", answer, Search("q", (), ("a.org",)))
    assert [found.title for found in outcome.found] == ["nota.org", "c.org"]


async def test_only_so_many_results(asked):
    answer = {"results": [{"title": str(n), "url": f"https://a.org/{n}"} for n in range(20)]}
    _, outcome = await asked("searxng", answer, max_results=5)
    assert len(outcome.found) == 5


async def test_addresses_that_are_no_web_pages_are_left_out(asked):
    answer = {"results": [{"title": "x", "url": "javascript:alert(1)"}, {"url": None}, "text", {}]}
    _, outcome = await asked("searxng", answer)
    assert (outcome.found, outcome.problem) == ((), "")


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        (b"<html>", 200, "unavailable"),
        ([], 200, "unavailable"),
        ({}, 500, "unavailable"),
        ({}, 429, "too_many_requests"),
    ],
)
async def test_an_engine_that_fails_is_a_search_with_a_problem(asked, answer, status, problem, caplog):
    _, outcome = await asked("searxng", answer, status=status)
    assert (outcome.found, outcome.problem) == ((), problem)
    assert "web search failed" in caplog.text
    assert "sk-search" not in caplog.text


async def test_an_engine_that_is_not_there_is_a_search_with_a_problem(client):
    engine = await FakeSearchEngine({}).start()
    config = SearchEngineConfig("e", "searxng", engine.base_url)
    await engine.stop()
    assert (await searched(client, config, Search("q"))).problem == "unavailable"
