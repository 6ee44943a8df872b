"""One truth, many tellings: however a provider says an answer, the client gets the same message.

A truth is a text and some calls. A telling is a list of quirks, each a small function from the
chunks (or events) of a plain telling to others that mean the same.
"""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversion.answers.test_stream_properties import INPUTS, WORDS, accumulated, cuts
from tests.conversion.openai_responses.scripts import sse as typed_sse
from tests.conversion.openai_responses.scripts import stream_of as responses_stream_of
from tests.examples import examples
from tests.grammar import assert_legal
from tests.playbook import DONE, call, chunk, finish, play, play_bytes, stream_of, text

Chunk = dict[str, Any]


# Chat: what a fragment of a call may look like


def fragments_of(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [entry for each in chunks for entry in each["choices"][0]["delta"].get("tool_calls", ())]


def with_placeholder(word: str):
    def quirk(chunks):
        """Each call begins with something that is no argument."""
        for entry in fragments_of(chunks):
            if "id" in entry:
                entry["function"]["arguments"] = word
        return chunks

    return quirk


def with_rising_index(chunks):
    for number, entry in enumerate(fragments_of(chunks)):
        entry["index"] = number
    return chunks


def with_index_zero(chunks):
    for entry in fragments_of(chunks):
        entry["index"] = 0
    return chunks


def without_index(chunks):
    for entry in fragments_of(chunks):
        del entry["index"]
    return chunks


def with_name_and_id_each_time(chunks):
    known = {}
    for entry in fragments_of(chunks):
        if "id" in entry:
            known = {"id": entry["id"], "name": entry["function"]["name"]}
        entry["id"], entry["function"]["name"] = known["id"], known["name"]
    return chunks


def with_early_reason(chunks):
    for each in chunks[:-1]:
        each["choices"][0]["finish_reason"] = "stop"
    return chunks


def with_choice_for_each_call(chunks):
    number = 0
    for each in chunks:
        for entry in each["choices"][0]["delta"].get("tool_calls", ()):
            number += "id" in entry
        each["choices"][0]["index"] = number
    return chunks


def with_whole_message_at_the_end(chunks):
    content, calls = "", []
    for each in chunks:
        delta = each["choices"][0]["delta"]
        content += delta.get("content") or ""
        for entry in delta.get("tool_calls", ()):
            if "id" in entry:
                calls.append(
                    {"id": entry["id"], "function": {"name": entry["function"]["name"], "arguments": ""}}
                )
            elif calls:
                calls[-1]["function"]["arguments"] += entry["function"]["arguments"]
    chunks[-1]["choices"][0]["message"] = {"role": "assistant", "content": content, "tool_calls": calls}
    return chunks


QUIRKS = {
    "a placeholder {}": with_placeholder("{}"),
    "a placeholder null": with_placeholder("null"),
    'a placeholder ""': with_placeholder('""'),
    "a rising index": with_rising_index,
    "index 0 for all": with_index_zero,
    "no index": without_index,
    "name and id each time": with_name_and_id_each_time,
    "a reason with each chunk": with_early_reason,
    "a choice for each call": with_choice_for_each_call,
}
# these say the same of the index
INDEXES = {"a rising index", "index 0 for all", "no index"}
PLACEHOLDERS = {name for name in QUIRKS if name.startswith("a placeholder")}


@st.composite
def truths(draw):
    calls = draw(st.lists(st.tuples(st.sampled_from(["Read", "Bash"]), INPUTS), max_size=3))
    return draw(st.lists(WORDS, max_size=2)), [
        (f"c{number}", name, draw(cuts(json.dumps(given, ensure_ascii=draw(st.booleans())))))
        for number, (name, given) in enumerate(calls)
    ]


def plainly(words, calls) -> list[Chunk]:
    """As OpenAI says it."""
    told = [text(word) for word in words]
    for index, (id, name, pieces) in enumerate(calls):
        told.append(call(index, id, name, ""))
        told += [call(index, args=piece) for piece in pieces]
    return [*told, finish("tool_calls" if calls else "stop")]


def content_of(events) -> list[dict[str, Any]]:
    assert_legal(events)
    return accumulated(events)["content"]


@settings(max_examples=examples(60))
@given(truths(), st.sets(st.sampled_from(sorted(QUIRKS)), max_size=4), st.booleans())
def test_a_chat_answer_is_the_same_however_it_is_told(truth, quirks, repeated):
    # those that look for the first fragment of a call come before the one that makes all alike
    said = [name for name in QUIRKS if name in quirks and name not in INDEXES | PLACEHOLDERS]
    said = sorted(quirks & PLACEHOLDERS)[:1] + sorted(quirks & INDEXES)[:1] + said
    said.sort(key=lambda name: name == "name and id each time")
    expected = content_of(play(stream_of(), *plainly(*truth), DONE))
    told = copy.deepcopy(plainly(*truth))
    if repeated:
        told = with_whole_message_at_the_end(told)
    for name in said:
        told = QUIRKS[name](told)
    assert content_of(play(stream_of(), *told, DONE)) == expected


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
        content = content_of(events)
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
