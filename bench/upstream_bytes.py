"""The upstream's answers as bytes, computed once per model: heads, chunks, whole completions."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, Final

from bench.answers import CLOCK_DIGITS, LAST_WORDS, TOOL, TOOL_CALL_ID, Answer, answer_for

STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
END_OF_BODY: Final = b"0\r\n\r\n"
_COMPLETION: Final = {"id": "chatcmpl-bench0000000000000001", "created": 1790000000}
_CLOCK_MARK: Final = "@" + "#" * CLOCK_DIGITS


@dataclass(frozen=True, slots=True)
class Writes:
    """`parts`: one entry a write; the clock goes between the parts of an entry. `gap` in seconds."""

    parts: tuple[tuple[bytes, ...], ...]
    gap: float


@functools.cache
def writes_for(model: str) -> Writes:
    """Everything a stream of that model writes, but its head and END_OF_BODY."""
    answer = answer_for(model)
    events = [_framed(_chunk(model, delta)) for delta in _deltas(answer)]
    # the role goes out with the first piece, the end with the last: a stream of n pieces has n writes
    head = _framed(_chunk(model, {"role": "assistant", "content": None if answer.kind == "tool" else ""}))
    if answer.kind == "think":
        events[-2:] = [events[-2] + events[-1]]
    step = answer.per_write
    writes = [b"".join(events[start : start + step]) for start in range(0, len(events), step)]
    writes[0] = head + writes[0]
    writes[-1] += _tail(model, answer)
    return Writes(tuple(tuple(write.split(b"#" * CLOCK_DIGITS)) for write in writes), answer.gap)


@functools.cache
def whole_answer(model: str) -> bytes:
    """Head and body of the answer when no stream was asked for."""
    answer = answer_for(model)
    message: dict[str, Any] = {"role": "assistant", "content": answer.whole}
    if answer.kind == "tool":
        call = {"id": TOOL_CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": answer.whole}}
        message |= {"content": None, "tool_calls": [call]}
    elif answer.kind == "think":
        message |= {"content": LAST_WORDS, "reasoning_content": answer.whole}
    body = {
        **_COMPLETION,
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}],
        "usage": _usage(answer),
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    return head.encode() + text


def _deltas(answer: Answer) -> list[dict[str, Any]]:
    if answer.clock:
        return [{"content": _CLOCK_MARK}] * answer.chunks
    if answer.kind == "text":
        return [{"content": piece} for piece in answer.pieces]
    if answer.kind == "think":
        return [*({"reasoning_content": piece} for piece in answer.pieces), {"content": LAST_WORDS}]
    first = {"index": 0, "id": TOOL_CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": ""}}
    fragments = [{"index": 0, "function": {"arguments": piece}} for piece in answer.pieces]
    fragments[0] = first | {"function": {"name": TOOL, "arguments": answer.pieces[0]}}
    return [{"tool_calls": [fragment]} for fragment in fragments]


def _tail(model: str, answer: Answer) -> bytes:
    usage = {**_chunk(model, {}), "choices": [], "usage": _usage(answer)}
    return _framed(_chunk(model, {}, _finish(answer))) + _framed(usage) + _framed("[DONE]")


def _chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        **_COMPLETION,
        "object": "chat.completion.chunk",
        "model": model,
        "system_fingerprint": "fp_bench",
        "choices": [choice],
    }


def _framed(data: dict[str, Any] | str) -> bytes:
    """One event in one HTTP chunk, as real servers send them."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    event = b"data: " + text.encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.kind == "tool" else "stop"


def _usage(answer: Answer) -> dict[str, int]:
    return {"prompt_tokens": 1000, "completion_tokens": answer.chunks, "total_tokens": 1000 + answer.chunks}
