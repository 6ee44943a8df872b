"""Properties of every stream: any cut of the bytes, any interleaving, any garbage."""

from __future__ import annotations

import itertools
import json
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as SDKMessage
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.conversion.answers.chat_message import message, message_events
from gateway.conversion.ledger import Ledger
from tests.examples import examples
from tests.grammar import assert_legal
from tests.playbook import chunk, context_of, normal, plain, play_bytes, sse, stream_of

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(WORDS, values, max_size=3),
    max_leaves=8,
)
INPUTS = st.dictionaries(WORDS, JSON_VALUES, max_size=3)


@st.composite
def answers(draw) -> dict[str, Any]:
    """What a model says: reasoning, text, calls; and how a provider cuts and shuffles it."""
    calls = draw(st.lists(st.tuples(st.sampled_from(["Read", "Bash", "get_weather"]), INPUTS), max_size=4))
    return {
        "thinking": draw(st.lists(WORDS, max_size=3)),
        "text": draw(st.lists(WORDS, max_size=4)),
        "calls": [
            {
                "id": f"call_{number}",
                "name": name,
                "arguments": draw(cuts(json.dumps(given, ensure_ascii=draw(st.booleans())))),
            }
            for number, (name, given) in enumerate(calls)
        ],
    }


@st.composite
def cuts(draw, text):
    """`text` in pieces, possibly with empty ones."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def streams(draw) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A whole completion, and chunks that say the same."""
    said = draw(answers())
    assume(not may_grow(said["thinking"]) and not may_grow(said["text"]))
    chunks = [chunk({"reasoning_content": piece}) for piece in said["thinking"]]
    chunks += [chunk({"content": piece}) for piece in said["text"]]
    left = [
        [
            {"index": index, "id": call["id"], "function": {"name": call["name"], "arguments": ""}},
            *({"index": index, "function": {"arguments": piece}} for piece in call["arguments"]),
        ]
        for index, call in enumerate(said["calls"])
    ]
    order: list[str] = []
    while any(left):
        index = draw(st.sampled_from([number for number, fragments in enumerate(left) if fragments]))
        fragment = left[index].pop(0)
        if said["calls"][index]["id"] not in order:
            order.append(said["calls"][index]["id"])
        if draw(st.booleans()) and chunks and "tool_calls" in chunks[-1]["choices"][0]["delta"]:
            chunks[-1]["choices"][0]["delta"]["tool_calls"].append(fragment)
        else:
            chunks.append(chunk({"tool_calls": [fragment]}))
    reason = "tool_calls" if said["calls"] else draw(st.sampled_from(["stop", "length", "content_filter"]))
    counts = {"prompt_tokens": 20, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 5}}
    chunks += [chunk({}, reason), {"choices": [], "usage": counts}]
    by_id = {call["id"]: call for call in said["calls"]}
    whole = {
        "content": "".join(said["text"]) or None,
        "reasoning_content": "".join(said["thinking"]),
        "tool_calls": [
            {"id": id, "function": {"name": by_id[id]["name"], "arguments": "".join(by_id[id]["arguments"])}}
            for id in order
        ],
    }
    return {"choices": [{"index": 0, "message": whole, "finish_reason": reason}], "usage": counts}, chunks


def may_grow(pieces: list[str]) -> bool:
    """Whether these deltas are those of a provider, too, that repeats everything with each chunk."""
    said = [piece for piece in pieces if piece][:4]
    steps = [after.startswith(before) for before, after in itertools.pairwise(said)]
    return steps[:2] == [True, True] or (steps[:1] == [True] and len(said[0]) >= 7)


FACTS = st.fixed_dictionaries(
    {
        "thinking_requested": st.booleans(),
        "thinking_display": st.sampled_from([None, "omitted", "updates"]),
        "local_stops": st.sampled_from([(), ("STOP", "ab"), ("0",)]),
    }
)
OPTIONS = st.fixed_dictionaries(
    {
        "tool_args": st.sampled_from(["live", "buffer"]),
        "reasoning_replay": st.sampled_from(["drop", "reasoning_content"]),
        "reasoning_in": st.sampled_from([["reasoning_content"], ["reasoning_content", "think_tags"]]),
    }
)


def accumulated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the official SDK makes of a stream."""
    snapshot, buffers = None, {}
    for event in events:
        if event["type"] == "ping":
            continue
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return SDKMessage.model_validate(snapshot.model_dump()).model_dump()


def essence(message: dict[str, Any]) -> dict[str, Any]:
    told = SDKMessage.model_validate(message).model_dump()
    counts = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return {
        "content": told["content"],
        "stop": (told["stop_reason"], told["stop_sequence"], told["stop_details"]),
        "usage": {name: told["usage"][name] for name in counts},
    }


@settings(max_examples=examples(300))
@given(streams(), OPTIONS, FACTS)
def test_a_stream_read_by_the_sdk_equals_the_message_of_the_same_content(case, options, facts):
    whole, chunks = case
    stream = stream_of(options, **facts)
    events = play_bytes(stream, [sse(*chunks)])
    assert_legal(events)
    expected = message(whole, context_of(options, **facts), Ledger())
    got, wanted = essence(accumulated(events)), essence(expected)
    if got["stop"][0] == "stop_sequence":
        del got["usage"], wanted["usage"]  # the stream left before the upstream told
    assert got == wanted
    assert stream.stop_reason == expected["stop_reason"]


@settings(max_examples=examples(150))
@given(streams(), OPTIONS, FACTS)
def test_a_message_replayed_as_a_stream_is_the_same_message(case, options, facts):
    expected = message(case[0], context_of(options, **facts), Ledger())
    events = message_events(expected)
    assert_legal(events)
    assert essence(accumulated(events)) == essence(expected)


@settings(max_examples=examples(200))
@given(streams(), st.data())
def test_any_cut_of_the_bytes_gives_the_same_events(case, data):
    upstream = sse(*case[1])
    style = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    upstream = upstream.replace(b"\n", style)
    places = sorted(data.draw(st.lists(st.integers(0, len(upstream)), max_size=12)))
    reads = [upstream[start:end] for start, end in zip([0, *places], [*places, len(upstream)], strict=True)]
    assert play_bytes(stream_of(thinking_requested=True), reads) == play_bytes(
        stream_of(thinking_requested=True), [upstream]
    )


@settings(max_examples=examples(50))
@given(streams())
def test_byte_by_byte_gives_the_same_events(case):
    upstream = sse(*case[1])
    single = [upstream[at : at + 1] for at in range(len(upstream))]
    assert play_bytes(stream_of(), single) == play_bytes(stream_of(), [upstream])


@settings(max_examples=examples(200))
@given(streams(), st.data())
def test_a_stream_that_is_cut_anywhere_is_legal_and_never_looks_complete(case, data):
    upstream = sse(*case[1][:-2])  # without finish reason and usage
    cut = upstream[: data.draw(st.integers(0, len(upstream)))]
    stream = stream_of()
    events = play_bytes(stream, [cut])
    assert_legal(events)
    assert stream.failure is not None


KEYS = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "index",
        "usage",
        "finish_reason",
        "reasoning_content",
        "reasoning_details",
        "error",
        "code",
        "type",
        "text",
        "thinking",
        "refusal",
        "function_call",
        "custom",
        "annotations",
        "extra_content",
        "prompt_tokens",
        "x_groq",
        "base_resp",
        "detail",
        "prompt_tokens_details",
        "cached_tokens",
        "metadata",
        "raw",
        "data",
        "url_citation",
        "start_index",
        "matched_stop",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["{", '{"a":', "}", "stop", "length", "tool_calls", "reasoning.text", "text", "url_citation", "X"]
    )
)
CRAZY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def crazy_chunks(draw):
    """Something that looks like a chunk, with anything in any place."""
    delta = draw(st.dictionaries(KEYS, CRAZY, max_size=4))
    fragment = draw(st.dictionaries(KEYS, CRAZY, max_size=4))
    if draw(st.booleans()):
        delta["tool_calls"] = [fragment]
    choice = {
        "delta": delta,
        "finish_reason": draw(st.sampled_from([None, None, "stop", "tool_calls", "length", 7])),
    }
    return draw(st.sampled_from([{"choices": [choice]}, {"choices": [choice], **fragment}, delta, [choice]]))


EVERYTHING = {
    "options": {
        "reasoning_in": [
            "reasoning_details",
            "reasoning_content",
            "content_parts",
            "google_thought",
            "think_tags",
        ],
        "reasoning_replay": ["reasoning_details"],
        "message_extras": ["extra_content"],
        "tool_call_extras": {"extra_content": None},
    },
    "thinking_requested": True,
    "web_search_active": True,
    "local_stops": ("zz",),
    "prefill": "pre",
}


@settings(max_examples=examples(500))
@given(st.lists(crazy_chunks() | CRAZY, max_size=6), st.sampled_from([{}, EVERYTHING]))
def test_crazy_chunks_end_legally_or_in_an_error(chunks, facts):
    upstream = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in chunks)
    stream = stream_of(**facts)
    events = play_bytes(stream, [upstream])
    assert_legal(events)
    assert stream.done
    assert events or stream.failure
    json.dumps(normal(events))


@settings(max_examples=examples(300))
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n", b"\r", b"event: error\n", b'{"a":1}']),
        max_size=8,
    )
)
def test_garbage_bytes_end_legally_or_in_an_error(reads):
    stream = stream_of()
    assert_legal(play_bytes(stream, reads))
    assert stream.done


@settings(max_examples=examples(300))
@given(streams(), st.data())
def test_keepalives_anywhere_leave_a_legal_stream_with_the_same_calls(case, data):
    def calls(events):
        return [block for block in accumulated(events)["content"] if block["type"] == "tool_use"]

    asked = {"thinking_requested": data.draw(st.booleans())}
    stream = stream_of(**asked)
    events = []
    for item in case[1]:
        if data.draw(st.booleans()):
            events += stream.keepalive()
        events += plain(stream.feed(sse(item)))
    events += stream.finish()
    assert_legal(events)
    assert calls(events) == calls(play_bytes(stream_of(**asked), [sse(*case[1])]))
