"""Reads an answer in the form of Chat Completions, as the upstream itself and a plain proxy return it."""

from __future__ import annotations

from bench.captured import WrongAnswer
from bench.found import Found, JSONObject, events_of, loaded


def read_stream(body: bytes) -> Found:
    """Raises WrongAnswer."""
    found = Found()
    calls: dict[int, list[str]] = {}
    usage = False
    ended = False
    for event in events_of(body):
        if ended:
            raise WrongAnswer("data follow [DONE]")
        if event.data == b"[DONE]":
            ended = True
            continue
        chunk = loaded(event.data)
        usage = usage or isinstance(chunk.get("usage"), dict)
        for choice in chunk["choices"]:
            delta = choice["delta"]
            found.text += delta.get("content") or ""
            found.thinking += delta.get("reasoning_content") or ""
            found.stop = choice["finish_reason"] or found.stop
            content = _content(delta, calls)
            found.content_at(content, event.end, clock="content" in delta)
    if not ended or not usage:
        raise WrongAnswer("the stream ends without [DONE] or without usage")
    found.tools = [(name, loaded("".join(parts))) for name, *parts in calls.values()]
    return found


def read_whole(body: bytes) -> Found:
    """Raises WrongAnswer."""
    completion = loaded(body)
    if not isinstance(completion.get("usage"), dict) or len(completion.get("choices", ())) != 1:
        raise WrongAnswer(f"no completion: {body[:120]!r}")
    choice = completion["choices"][0]
    message = choice["message"]
    functions = [call["function"] for call in message.get("tool_calls") or ()]
    return Found(
        text=message["content"] or "",
        thinking=message.get("reasoning_content") or "",
        tools=[(function["name"], loaded(function["arguments"])) for function in functions],
        stop=choice["finish_reason"],
        first_content=len(body),
    )


def _content(delta: JSONObject, calls: dict[int, list[str]]) -> str:
    """The delta's text of any kind; fragments of calls are collected in `calls`, after their name."""
    text = (delta.get("content") or "") + (delta.get("reasoning_content") or "")
    for call in delta.get("tool_calls") or ():
        function = call["function"]
        calls.setdefault(call["index"], [function.get("name", "")]).append(function["arguments"])
        text += function["arguments"]
    return text
