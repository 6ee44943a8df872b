"""A Responses stream as a script: items in, typed events and the whole response out."""

from __future__ import annotations

import itertools
import json
from typing import Any

from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.answer import whole_response
from gateway.conversion.openai_responses.stream import ResponsesStream
from tests.playbook import context_of

USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 80,
}
OPTIONS = {"protocol": "responses", "provider": "p1", "upstream_model": "m1", "reasoning": "effort"}


def stream_of(options: dict[str, Any] | None = None, *, ledger: Ledger | None = None, **facts: Any):
    context = context_of({**OPTIONS, "reasoning_in": [], **(options or {})}, **facts)
    return ResponsesStream(context, Ledger() if ledger is None else ledger)


def message_of(whole: dict[str, Any], options: dict[str, Any] | None = None, ledger=None, **facts: Any):
    context = context_of({**OPTIONS, "reasoning_in": [], **(options or {})}, **facts)
    return whole_response(whole, context, Ledger() if ledger is None else ledger).message


def reasoning(*texts: str, id: str = "rs_1", encrypted: str | None = "ENC", content=()) -> dict[str, Any]:
    item: dict[str, Any] = {
        "type": "reasoning",
        "id": id,
        "summary": [{"type": "summary_text", "text": text} for text in texts],
    }
    if content:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    return {**item, "encrypted_content": encrypted} if encrypted else item


def said(*texts: str, refusal: str | None = None, annotations=()) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": list(annotations)} for text in texts]
    if refusal is not None:
        parts.append({"type": "refusal", "refusal": refusal})
    return {"type": "message", "id": "msg_u", "role": "assistant", "status": "completed", "content": parts}


def function_call(call_id: str = "call_1", name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def search(query: str = "q", *urls: str, status: str = "completed") -> dict[str, Any]:
    sources = [{"type": "url", "url": url} for url in urls]
    action = {"type": "search", "query": query, "sources": sources}
    return {"type": "web_search_call", "id": "ws_1", "status": status, "action": action}


def response(*items: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m1",
        "status": status,
        "output": list(items),
        "error": None,
        "incomplete_details": None,
        "usage": USAGE,
        **fields,
    }


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def streamed(whole: dict[str, Any], cut=halves) -> list[dict[str, Any]]:
    """The events that a provider sends for a response; `cut` makes deltas of a text."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [event("created", response=begun), event("in_progress", response=begun)]
    for index, item in enumerate(whole["output"]):
        empty = {**item, "status": "in_progress"}
        empty |= {key: value for key, value in (("summary", []), ("content", [])) if key in item}
        if item["type"] == "function_call":
            empty["arguments"] = ""
        events.append(event("output_item.added", output_index=index, item=empty))
        events += _TOLD.get(item["type"], lambda *_: [])(item, index, cut)
        events.append(event("output_item.done", output_index=index, item=item))
    kind = "incomplete" if whole["status"] == "incomplete" else "completed"
    events.append(event(kind, response=whole))
    return [{**each, "sequence_number": number} for number, each in enumerate(events)]


def _reasoning_told(item, index, cut):
    at = {"output_index": index, "item_id": item["id"]}
    events = []
    for number, part in enumerate(item["summary"]):
        part_at = {**at, "summary_index": number}
        events.append(event("reasoning_summary_part.added", **part_at, part={**part, "text": ""}))
        events += [event("reasoning_summary_text.delta", **part_at, delta=text) for text in cut(part["text"])]
        events.append(event("reasoning_summary_text.done", **part_at, text=part["text"]))
        events.append(event("reasoning_summary_part.done", **part_at, part=part))
    for number, part in enumerate(item.get("content", ())):
        part_at = {**at, "content_index": number}
        events += [event("reasoning_text.delta", **part_at, delta=text) for text in cut(part["text"])]
        events.append(event("reasoning_text.done", **part_at, text=part["text"]))
    return events


def _message_told(item, index, cut):
    events = []
    for number, part in enumerate(item["content"]):
        at = {"output_index": index, "item_id": item["id"], "content_index": number}
        word, key = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
        events.append(event("content_part.added", **at, part={**part, key: ""}))
        events += [event(f"{word}.delta", **at, delta=text) for text in cut(part[key])]
        for place, annotation in enumerate(part.get("annotations", ())):
            fields = {"annotation_index": place, "annotation": annotation}
            events.append(event("output_text.annotation.added", **at, **fields))
        events.append(event(f"{word}.done", **at, **{key: part[key]}))
        events.append(event("content_part.done", **at, part=part))
    return events


def _call_told(item, index, cut):
    at = {"output_index": index, "item_id": item["id"]}
    deltas = [event("function_call_arguments.delta", **at, delta=piece) for piece in cut(item["arguments"])]
    return [*deltas, event("function_call_arguments.done", **at, arguments=item["arguments"])]


def _search_told(item, index, cut):
    at = {"output_index": index, "item_id": item["id"]}
    return [event(f"web_search_call.{word}", **at) for word in ("in_progress", "searching", "completed")]


_TOLD = {
    "reasoning": _reasoning_told,
    "message": _message_told,
    "function_call": _call_told,
    "web_search_call": _search_told,
}


def sse(*events: dict[str, Any] | bytes) -> bytes:
    return b"".join(
        each
        if isinstance(each, bytes)
        else b"event: %s\ndata: %s\n\n" % (each["type"].encode(), json.dumps(each).encode())
        for each in events
    )


def numbered(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """The items with ids of their own."""
    numbers = itertools.count(1)
    return [{**item, "id": f"{item['id']}_{next(numbers)}"} for item in items]
