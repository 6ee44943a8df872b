"""One truth, many tellings: however a provider says an answer, the client gets the same message."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.conversion.answers.chat_message import message
from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import REASONING_PLACES
from tests.conversion.answers.test_stream_properties import INPUTS, accumulated
from tests.conversion.openai_responses.scripts import message_of
from tests.conversion.openai_responses.scripts import sse as typed_sse
from tests.conversion.openai_responses.scripts import stream_of as responses_stream_of
from tests.examples import examples
from tests.grammar import assert_legal
from tests.playbook import DONE, chunk, context_of, finish, play, play_bytes, sse, stream_of
from tests.tellings import (
    CHAT_STREAM,
    RESPONSES_WAYS,
    WHOLE_WAYS,
    Truth,
    fragments_of,
    responses_events,
    responses_whole,
    whole_told,
)
from tests.tellings import (
    told as chunks_told,
)

Chunk = dict[str, Any]
TELLINGS = settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
OPTIONS = {"reasoning_in": [*REASONING_PLACES, "think_tags"]}
FACTS = {"tools": ToolFacts(offered=frozenset({"Read", "Bash"})), "thinking_requested": True}
# no mark, no beginning of one, and no text that is what was said before
SAID = st.text(st.sampled_from("abcdefg \u00e9\U0001f600\n,"), min_size=1, max_size=12)


@st.composite
def truths(draw):
    calls = draw(st.lists(st.tuples(st.sampled_from(["Read", "Bash"]), INPUTS), max_size=3))
    thinking = draw(st.lists(SAID, max_size=3))
    text = draw(st.lists(SAID, max_size=3))
    text = text if "".join(text).strip() else []
    thinking = thinking if "".join(thinking).strip() else []
    finishes = ["stop", "stop", "length", "content_filter"] if text or calls else ["length"]
    return Truth(
        tuple(f"{number}{piece}" for number, piece in enumerate(thinking)),
        tuple(f"{number}{piece}." for number, piece in enumerate(text)),
        tuple((f"c{number}", name, {"n": number, **given}) for number, (name, given) in enumerate(calls)),
        draw(st.sampled_from(finishes)),
        prompt=draw(st.integers(200, 300)),
        cached=draw(st.sampled_from([0, 100, 150])),
        completion=draw(st.integers(5, 60)),
        cut=draw(st.integers(1, 12)),
    )


def one_of_each(ways):
    return st.fixed_dictionaries({name: st.sampled_from(words) for name, words in ways.items()})


def essence(told):
    """What of a message is the same however it was told."""
    blocks = told["content"]
    usage = told["usage"]
    return {
        "thinking": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "calls": [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        "stop": told["stop_reason"],
        "usage": (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]),
    }


def truly(truth):
    return {
        "thinking": "".join(truth.thinking),
        "text": "".join(truth.text),
        "calls": [(name, given) for _, name, given in truth.calls],
        "stop": truth.stop_reason,
        "usage": (truth.prompt - truth.cached, truth.cached, truth.completion),
    }


def streamed(chunks, *ending, size=None, **facts):
    """The message of a stream; `size`: of the reads, in bytes. None: each chunk is one read."""
    stream = stream_of(OPTIONS, **FACTS, **facts)
    upstream = sse(*chunks, *ending)
    events = (
        play(stream, *chunks, *ending)
        if size is None
        else play_bytes(stream, [upstream[at : at + size] for at in range(0, len(upstream), size)])
    )
    assert_legal(events)
    return accumulated(events)


@TELLINGS
@given(
    truths(),
    st.sets(st.sampled_from(sorted(CHAT_STREAM)), max_size=6),
    st.booleans(),
    st.none() | st.integers(1, 2000),
)
def test_a_chat_stream_says_the_same_however_it_is_told_and_cut(truth, quirks, done, size):
    chunks = chunks_told(truth, quirks)
    assert essence(streamed(chunks, *([DONE] if done else []), size=size)) == truly(truth)


@pytest.mark.parametrize("name", CHAT_STREAM)
def test_each_quirk_alone_and_with_two_others_says_the_same(name):
    truth = Truth(
        ("0I have", "1 a plan."),
        ("0Let me ", "1look."),
        (
            ("c0", "Read", {"n": 0, "path": "a"}),
            ("c1", "Bash", {"n": 1}),
            ("c2", "Read", {"n": 2, "path": "b"}),
        ),
        cached=20,
    )
    names = [other for other in CHAT_STREAM if CHAT_STREAM[other].group != CHAT_STREAM[name].group]
    for others in ((), *itertools.combinations(names, 1)):
        chunks = chunks_told(truth, (name, *others))
        assert essence(streamed(chunks, DONE)) == truly(truth), (name, others)


@TELLINGS
@given(truths(), one_of_each(WHOLE_WAYS))
def test_a_whole_chat_answer_says_the_same_however_it_is_told(truth, ways):
    whole = message(whole_told(truth, ways), context_of(OPTIONS, **FACTS), Ledger())
    assert essence(whole) == truly(truth)


@TELLINGS
@given(
    truths(), st.fixed_dictionaries({name: st.sampled_from(ways) for name, ways in RESPONSES_WAYS.items()})
)
def test_a_response_says_the_same_however_it_is_told(truth, ways):
    events = play_bytes(responses_stream_of(**FACTS), [typed_sse(*responses_events(truth, ways))])
    assert_legal(events)
    assert essence(accumulated(events)) == truly(truth)
    assert essence(message_of(responses_whole(truth, ways), **FACTS)) == truly(truth)


LOSSES = {
    "no ids": lambda entry: entry.pop("id", None),
    "no index": lambda entry: entry.pop("index", None),
    "index 0": lambda entry: entry.update(index=0),
    "one id": lambda entry: entry.update(id="one"),
    "no names": lambda entry: entry["function"].pop("name", None),
}


@TELLINGS
@given(
    truths(),
    st.sets(st.sampled_from(sorted(CHAT_STREAM)), max_size=3),
    st.lists(st.tuples(st.sampled_from(sorted(LOSSES)), st.integers(0, 40)), max_size=6),
    st.none() | st.integers(0, 4000),
)
def test_a_telling_from_which_something_is_lost_gives_no_call_that_the_model_did_not_make(
    truth, quirks, losses, cut
):
    chunks = chunks_told(truth, quirks - {"flat calls"})
    entries = fragments_of(chunks)
    for loss, number in losses:
        if number < len(entries):
            LOSSES[loss](entries[number])
    upstream = sse(*chunks, DONE)
    stream = stream_of(OPTIONS, **FACTS)
    events = play_bytes(stream, [upstream if cut is None else upstream[:cut]])
    assert_legal(events)
    if events and stream.failure is None and truth.finish != "length":
        made = [given for _, _, given in truth.calls]
        for block in accumulated(events)["content"]:
            assert block["type"] != "tool_use" or block["input"] in ({}, *made)


# Responses: each thing may be said up to three times

ARGUMENTS = '{"file_path":"ab"}'


def typed(kind, **facts):
    return {"type": f"response.{kind}", **facts}


def tellings():
    """All ways to say a text and a call, in each of which both are said at least once."""
    for text_ways, call_ways, completed in itertools.product(
        itertools.product((0, 1), repeat=3), itertools.product((0, 1, 2), (0, 1), (0, 1), (0, 1)), (0, 1)
    ):
        if completed or (
            any(text_ways) and (call_ways[3] or (call_ways[1] or call_ways[2] or call_ways[0] == 2))
        ):
            yield text_ways, call_ways, completed


def told(text_ways, call_ways, completed, *, ids) -> list[Chunk]:
    deltas, text_done, item_done = text_ways
    added, call_deltas, call_done, call_item_done = call_ways
    at = {"output_index": 0, "content_index": 0}
    message = {"type": "message", "id": ids(), "content": [{"type": "output_text", "text": "Hello"}]}
    called = {"type": "function_call", "call_id": "call_1", "name": "Read", "arguments": ARGUMENTS}
    events = [typed("created", response={"id": "r", "status": "in_progress"})]
    if deltas:
        events += [typed("output_text.delta", **at, item_id=ids(), delta=piece) for piece in ("Hel", "lo")]
    if text_done:
        events.append(typed("output_text.done", **at, item_id=ids(), text="Hello"))
    if item_done:
        events.append(typed("output_item.done", output_index=0, item=message))
    # a call that nobody names before the end is named there
    if added:
        item = {**called, "id": ids(), "arguments": ARGUMENTS if added == 2 else ""}
        events.append(typed("output_item.added", output_index=1, item=item))
    if call_deltas:
        pieces = (ARGUMENTS[:7], ARGUMENTS[7:])
        events += [
            typed("function_call_arguments.delta", output_index=1, item_id=ids(), delta=piece)
            for piece in pieces
        ]
    if call_done:
        events.append(
            typed("function_call_arguments.done", output_index=1, item_id=ids(), arguments=ARGUMENTS)
        )
    if call_item_done or not (added or completed):
        events.append(typed("output_item.done", output_index=1, item={**called, "id": ids()}))
    output = [message, {**called, "id": ids()}] if completed else []
    events.append(typed("completed", response={"id": "r", "status": "completed", "output": output}))
    return events


@pytest.mark.parametrize("changing", [False, True])
def test_a_response_is_the_same_however_often_each_thing_is_said(changing):
    numbers = itertools.count()
    ids = (lambda: f"id_{next(numbers)}") if changing else (lambda: "one")
    for ways in tellings():
        events = play_bytes(responses_stream_of(), [typed_sse(*told(*ways, ids=ids))])
        assert_legal(events)
        content = accumulated(events)["content"]
        # what is told only at the end stands at the end
        assert sorted(str(block.get("text") or block.get("input")) for block in content) == [
            "Hello",
            "{'file_path': 'ab'}",
        ], ways


def test_a_call_that_is_told_differently_at_the_end_is_an_error():
    events = told((1, 0, 0), (1, 1, 0, 0), 1, ids=lambda: "one")
    events[-1]["response"]["output"][1]["arguments"] = '{"file_path":"other"}'
    stream = responses_stream_of()
    assert play_bytes(stream, [typed_sse(*events)])[-1]["type"] == "error"
    assert stream.failure is not None


def test_chunks_are_not_changed_by_reading_them():
    told = [chunk({"content": "a"}), finish("stop")]
    play(stream_of(), *told, DONE)
    assert told == [chunk({"content": "a"}), finish("stop")]
