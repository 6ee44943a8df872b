"""The verifier takes the gateway's right answers, and notices every way in which one can be wrong."""

from __future__ import annotations

import json

import pytest

from bench.answers import TOOL, answer_for
from bench.captured import Captured, WrongAnswer, decoded
from bench.results import result_of
from bench.verify import verified

EVENTS = {"content-type": "text/event-stream; charset=utf-8"}
TEXT = "ep-20-0ms-text"
TOOLS = "ep-20-0ms-tool"
THINK = "ep-20-0ms-think"
CLOCK = "ep-2-5ms-text-clock"


def event(kind: str, **fields) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, content: dict, *deltas: dict) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=content),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text_block(pieces, index: int = 0) -> list[bytes]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking_block(pieces) -> list[bytes]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    content = {"type": "thinking", "thinking": "", "signature": ""}
    return block(0, content, *deltas, {"type": "signature_delta", "signature": "s"})


def tool_block(pieces, name: str = TOOL) -> list[bytes]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(0, {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}, *deltas)


def start() -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "stop_reason": None}
    return [event("message_start", message=message), event("ping")]


def end(reason: str = "end_turn") -> list[bytes]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": 1}), event("message_stop")]


def wire(body: bytes, *, status: int = 200, headers=EVENTS, step: int = 0) -> bytes:
    """As an HTTP answer: chunked in pieces of `step` bytes, or with its length when step is 0."""
    head = f"HTTP/1.1 {status} OK\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if not step:
        return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode() + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def captured(model: str, data: bytes, *, read: int = 1 << 20) -> Captured:
    reads = [(number + 1, data[at : at + read]) for number, at in enumerate(range(0, len(data), read))]
    return Captured(model, 0, reads)


def checked(model: str, events: list[bytes], **options):
    answer = decoded(captured(model, wire(b"".join(events), **options)))
    return verified(answer, answer_for(model), "messages", stream=True)


PIECES = answer_for(TEXT).pieces
ARGUMENTS = answer_for(TOOLS).pieces
REASONS = answer_for(THINK).pieces
RIGHT = [*start(), *text_block(PIECES), *end()]


@pytest.mark.parametrize("step", [0, 1, 7, 1000, 100_000])
def test_a_right_stream_however_it_is_framed(step):
    assert checked(TEXT, RIGHT, step=step).text == answer_for(TEXT).whole


def test_right_tool_calls_and_reasoning():
    assert checked(TOOLS, [*start(), *tool_block(ARGUMENTS), *end("tool_use")]).tools
    found = checked(THINK, [*start(), *thinking_block(REASONS), *text_block(["That is all."], 1), *end()])
    assert found.thinking == answer_for(THINK).whole


WRONG = {
    "cut behind the text": RIGHT[:-2],
    "no message_stop": RIGHT[:-1],
    "no message_start": RIGHT[1:],
    "something behind the end": [*RIGHT, event("ping"), event("message_stop")],
    "an error event": [*RIGHT[:6], event("error", error={"type": "api_error", "message": "x"})],
    "a piece is missing": [*start(), *text_block(PIECES[:-1]), *end()],
    "a piece twice": [*start(), *text_block([*PIECES, PIECES[-1]]), *end()],
    "two pieces in the wrong order": [*start(), *text_block([PIECES[1], PIECES[0], *PIECES[2:]]), *end()],
    "one character differs": [*start(), *text_block([PIECES[0].upper(), *PIECES[1:]]), *end()],
    "a block that is not closed": [*RIGHT[:-3], *RIGHT[-2:]],
    "a delta before its block": [RIGHT[0], RIGHT[3], RIGHT[2], *RIGHT[4:]],
    "a block with a wrong number": [*start(), *text_block(PIECES, index=1), *end()],
    "another stop reason": [*start(), *text_block(PIECES), *end("max_tokens")],
    "no stop reason": [*start(), *text_block(PIECES), *end(None)],
    "no usage": [*RIGHT[:-2], event("message_delta", delta={"stop_reason": "end_turn"}), RIGHT[-1]],
    "a delta of another kind": [
        *start(),
        *block(0, {"type": "text"}, {"type": "thinking_delta", "thinking": "x"}),
    ],
    "an event whose name is not its type": [*RIGHT[:-1], b'event: message_stop\ndata: {"type":"ping"}\n\n'],
    "an event of an unknown kind": [*RIGHT[:3], event("surprise"), *RIGHT[3:]],
    "data that are no JSON": [*RIGHT[:3], b"event: ping\ndata: {\n\n", *RIGHT[3:]],
    "a last event without its end": [*RIGHT[:-1], RIGHT[-1].rstrip()],
    "a field is missing": [*start(), event("content_block_start", index=0), *end()],
    "nothing": [],
}


@pytest.mark.parametrize("events", WRONG.values(), ids=WRONG)
def test_a_wrong_stream_is_noticed(events):
    with pytest.raises(WrongAnswer):
        checked(TEXT, events)


WRONG_CALLS = {
    "arguments that are no JSON": tool_block(ARGUMENTS[:-1]),
    "other arguments": tool_block(['{"file_path": "/srv/project/main.py", "content": ""}']),
    "another tool": tool_block(ARGUMENTS, name="Read"),
    "no call": [],
    "the call twice": [*tool_block(ARGUMENTS), *tool_block(ARGUMENTS)],
    "text besides": [*text_block(["x"]), *tool_block(ARGUMENTS)],
}


@pytest.mark.parametrize("blocks", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_wrong_tool_call_is_noticed(blocks):
    with pytest.raises(WrongAnswer):
        checked(TOOLS, [*start(), *blocks, *end("tool_use")])


def test_missing_reasoning_is_noticed():
    with pytest.raises(WrongAnswer, match="reasoning"):
        checked(THINK, [*start(), *text_block(["That is all."]), *end()])


@pytest.mark.parametrize("clocks", [[5], [7, 5], [5, 6, 7]])
def test_wrong_clocks_are_noticed(clocks):
    with pytest.raises(WrongAnswer):
        checked(CLOCK, [*start(), *text_block([f"@{clock:018d}" for clock in clocks]), *end()])


def test_other_status_type_or_framing_is_noticed():
    for options in ({"status": 500}, {"headers": {"content-type": "application/json"}}):
        with pytest.raises(WrongAnswer):
            checked(TEXT, RIGHT, **options)
    whole = wire(b"".join(RIGHT), step=100)
    for data in (whole[:-5], whole[:-1], whole + b"x", whole[:40], b""):
        with pytest.raises(WrongAnswer):
            decoded(captured(TEXT, data))
    with pytest.raises(WrongAnswer):
        decoded(captured(TEXT, wire(b"".join(RIGHT))[:-1]))


def test_a_whole_answer():
    def message(**fields):
        usage = {"input_tokens": 1, "output_tokens": 1}
        content = [{"type": "text", "text": answer_for(TEXT).whole}]
        body = {"content": content, "stop_reason": "end_turn", "usage": usage, **fields}
        data = wire(json.dumps(body).encode(), headers={"content-type": "application/json"})
        return verified(decoded(captured(TEXT, data)), answer_for(TEXT), "messages", stream=False)

    assert message().text
    for wrong in ({"content": []}, {"stop_reason": None}, {"usage": {}}, {"content": [{"type": "text"}]}):
        with pytest.raises(WrongAnswer):
            message(**wrong)


def test_results_count_wrong_and_missing_answers():
    right, wrong = (
        captured(TEXT, wire(b"".join(RIGHT))),
        captured(TEXT, wire(b"".join(WRONG["a piece twice"]))),
    )
    result = result_of([right, wrong], "messages", stream=True, expected=4)
    assert (result["right"], result["wrong"]) == (1, 3)
    assert result["problems"]


def test_times_are_those_of_the_read_that_brought_the_text():
    marks = [f"@{clock:018d}" for clock in (3_000_000, 5_000_000)]
    events = [*start(), *text_block(marks), *end()]
    head, chunks = wire(b"").partition(b"content-length")[0] + b"transfer-encoding: chunked\r\n\r\n", []
    for text in [*events, b""]:
        # each event in two HTTP chunks, so that positions in the body and on the wire differ
        chunks.append(
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (text[:20], text[20:]) if part)
        )
    chunks[-1] = b"0\r\n\r\n"
    # message_start, ping, block_start | first delta | second delta and the rest
    parts = [head + b"".join(chunks[:3]), chunks[3], b"".join(chunks[4:])]
    reads = list(zip((1_000_000, 4_000_000, 9_000_000), parts, strict=True))
    result = result_of([Captured(CLOCK, 0, reads)], "messages", stream=True, expected=1)
    assert result["problems"] == []
    assert result["first_byte_ms"]["p50"] == 1.0
    assert result["first_text_ms"]["p50"] == 4.0
    assert result["lag_ms"]["max"] == 4.0
    assert result["total_ms"]["p50"] == 9.0
    # nothing that was written before it counts
    settled = result_of([Captured(CLOCK, 0, reads)], "messages", stream=True, expected=1, settled=4_000_000)
    assert settled["lag_ms"]["p50"] == 4.0
