"""A web search of the provider as blocks."""

import pytest

from gateway.conversion.openai_responses.items import search_blocks
from tests.conversion.openai_responses.scripts import search


def test_a_failed_search_is_an_error_that_clients_know():
    _, result = search_blocks(search(status="failed"), "srvtoolu_1")
    assert result["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}


@pytest.mark.parametrize(
    ("action", "query"),
    [
        ({"type": "search", "query": "a"}, "a"),
        ({"type": "search", "queries": ["a", "b", 1]}, "a; b"),
        ({"type": "search", "queries": 1, "sources": 1}, ""),
        (None, ""),
    ],
)
def test_the_query(action, query):
    call, _ = search_blocks({"type": "web_search_call", "action": action}, "srvtoolu_1")
    assert call["input"] == {"query": query}


@pytest.mark.parametrize("kind", ["open_page", "find_in_page"])
def test_a_page_that_is_opened_is_no_search(kind):
    assert search_blocks({"action": {"type": kind, "url": "https://e.com"}}, "srvtoolu_1") == []
