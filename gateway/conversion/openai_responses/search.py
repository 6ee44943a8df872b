"""A web search of the provider as the blocks that clients know (specification section 8.1)."""

from __future__ import annotations

from typing import Any

JSONObject = dict[str, Any]


def search_blocks(item: JSONObject, block_id: str) -> list[JSONObject]:
    """The call and the result for a web_search_call item; none for a step that is no query.

    The provider names only the addresses it read. Their contents stay with it.
    """
    action = item.get("action")
    action = action if isinstance(action, dict) else {}
    if action.get("type") not in ("search", None):
        return []
    call = {
        "type": "server_tool_use",
        "id": block_id,
        "name": "web_search",
        "input": {"query": _query(action)},
    }
    sources = action.get("sources")
    sources = sources if isinstance(sources, list) else []
    content: Any = [_result(source) for source in sources if _has_url(source)]
    if item.get("status") == "failed":
        content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    result = {"type": "web_search_tool_result", "tool_use_id": block_id, "content": content}
    return [call, result]


def _query(action: JSONObject) -> str:
    query = action.get("query")
    if isinstance(query, str) and query:
        return query
    queries = action.get("queries")
    return "; ".join(each for each in queries if isinstance(each, str)) if isinstance(queries, list) else ""


def _has_url(source: object) -> bool:
    return isinstance(source, dict) and isinstance(source.get("url"), str)


def _result(source: JSONObject) -> JSONObject:
    title = source.get("title")
    return {
        "type": "web_search_result",
        "title": title if isinstance(title, str) and title else source["url"],
        "url": source["url"],
        "encrypted_content": "",
        "page_age": None,
    }
