"""Asking a search engine: each API's request, and its answer as results.

SearXNG   GET  /search?q=...&format=json          https://docs.searxng.org/dev/search_api.html
Brave     GET  /res/v1/web/search?q=...           X-Subscription-Token
Tavily    POST /search {"query": ...}             Authorization: Bearer
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from gateway import patterns
from gateway.conversion.tools.web_search import Search, Searched, SearchResult
from gateway.errors import UpstreamError
from gateway.routing.snapshot import SearchEngineConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.request_builder import UpstreamCall
from gateway.wire import jsontext

logger = logging.getLogger("gateway.upstream")

LONGEST_ANSWER: Final = 2 * 1024 * 1024
_TAG: Final = patterns.compiled(r"<[^>]{0,200}>")


class _Api(NamedTuple):
    """`url`: the default address. `call` makes the request, `results` finds the list in the answer."""

    url: str
    call: Callable[[SearchEngineConfig, Search, str], UpstreamCall]
    results: Callable[[Mapping[str, Any]], Any]
    excerpt: str
    age: str


@dataclass(frozen=True, slots=True)
class SearchFailed(Exception):
    """The engine did not answer as it should; `problem` says how, for operators."""

    problem: str


async def searched(client: UpstreamClient, engine: SearchEngineConfig, search: Search) -> Searched:
    """Search. A failed search has a `problem` in the API's codes and leaves a line in the log."""
    try:
        async with asyncio.timeout(engine.timeout):
            found = await _asked(client, engine, search)
    except (TimeoutError, UpstreamError, SearchFailed) as failure:
        problem = failure.problem if isinstance(failure, SearchFailed) else str(failure) or "timed out"
        logger.warning("web search failed", extra={"engine": engine.name, "problem": problem})
        return Searched(search, problem="too_many_requests" if problem == "HTTP 429" else "unavailable")
    return Searched(search, tuple(_wanted(found, search)[: engine.max_results]))


async def _asked(client: UpstreamClient, engine: SearchEngineConfig, search: Search) -> list[SearchResult]:
    api = _APIS[engine.kind]
    call = api.call(engine, search, engine.base_url.rstrip("/") or api.url)
    answer = await (client.open(call) if call.content else client.get(call))
    try:
        body = await answer.body(LONGEST_ANSWER)
    finally:
        await answer.close()
    if answer.status != 200:
        raise SearchFailed(f"HTTP {answer.status}")
    try:
        results = api.results(jsontext.loads(body))
    except (jsontext.InvalidJSON, AttributeError):
        raise SearchFailed("the answer is not the JSON of this kind of engine") from None
    if not isinstance(results, list):
        return []
    return [found for entry in results if (found := _found(entry, api)) is not None]


def _found(entry: Any, api: _Api) -> SearchResult | None:
    if not isinstance(entry, dict) or not _is_web_address(entry.get("url")):
        return None
    title, excerpt, age = (_plain(entry.get(name)) for name in ("title", api.excerpt, api.age))
    return SearchResult(title or entry["url"], entry["url"], excerpt, age)


def _is_web_address(url: Any) -> bool:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return False
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _plain(text: Any) -> str:
    """Plain text: engines mark matches with tags."""
    return html.unescape(_TAG.sub("", text)).strip() if isinstance(text, str) else ""


def _wanted(found: list[SearchResult], search: Search) -> list[SearchResult]:
    """The results from the domains that were asked for, whatever the engine made of the request."""
    return [
        each
        for each in found
        if (not search.domains or _in(each.url, search.domains)) and not _in(each.url, search.without)
    ]


def _in(url: str, domains: tuple[str, ...]) -> bool:
    host = (urlsplit(url).hostname or "").casefold()
    return any(
        host == domain or host.endswith("." + domain)
        for domain in (text.casefold().split("/")[0].removeprefix("*.") for text in domains)
        if domain
    )


def _with_domains(search: Search) -> str:
    """The query for engines that understand `site:`."""
    if not search.domains:
        return search.query
    return f"{search.query} ({' OR '.join(f'site:{domain}' for domain in search.domains)})"


def _searxng(engine: SearchEngineConfig, search: Search, base: str) -> UpstreamCall:
    query = urlencode({"q": _with_domains(search), "format": "json", "safesearch": "0"})
    headers = {"accept": "application/json"}
    if engine.credential:
        # SearXNG itself has no keys, but a proxy in front of it may want one
        headers["authorization"] = f"Bearer {engine.credential}"
    return UpstreamCall(f"{base}/search?{query}", b"", headers, engine.timeout)


def _brave(engine: SearchEngineConfig, search: Search, base: str) -> UpstreamCall:
    query = urlencode({"q": _with_domains(search), "count": engine.max_results})
    headers = {"accept": "application/json", "x-subscription-token": engine.credential}
    return UpstreamCall(f"{base}/res/v1/web/search?{query}", b"", headers, engine.timeout)


def _tavily(engine: SearchEngineConfig, search: Search, base: str) -> UpstreamCall:
    body: dict[str, Any] = {"query": search.query, "max_results": engine.max_results}
    if search.domains:
        body["include_domains"] = list(search.domains)
    if search.without:
        body["exclude_domains"] = list(search.without)
    headers = {"content-type": "application/json", "authorization": f"Bearer {engine.credential}"}
    return UpstreamCall(f"{base}/search", jsontext.dumps(body), headers, engine.timeout)


_APIS: Final[Mapping[str, _Api]] = {
    "searxng": _Api("", _searxng, lambda answer: answer.get("results"), "content", "publishedDate"),
    "brave": _Api(
        "https://api.search.brave.com",
        _brave,
        lambda answer: (answer.get("web") or {}).get("results"),
        "description",
        "age",
    ),
    "tavily": _Api(
        "https://api.tavily.com", _tavily, lambda answer: answer.get("results"), "content", "published_date"
    ),
}
