"""Content parts and ends of a Responses stream, as servers with habits of their own tell them."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.conversion.answers.test_odd_forms import AT, END, READ, READ_TEXT, told, typed
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.openai_responses.scripts import (
    event,
    function_call,
    reasoning,
    response,
    said,
    sse,
    stream_of,
)
from tests.playbook import play_bytes

CREATED = event("created", response={"id": "r", "status": "in_progress"})


def part(words="Hello", kind="output_text", **more):
    return {"type": kind, "text": words, **more}


def begun(words="Hello", index=0, **more):
    return event("content_part.added", **AT, content_index=index, part=part(words, **more))


def ended(words="Hello", index=0, **more):
    return event("content_part.done", **AT, content_index=index, part=part(words, **more))


def delta(words, index=0):
    return event("output_text.delta", **AT, content_index=index, delta=words)


CALL = [
    event("output_item.added", output_index=1, item=function_call("c", "Read", "")),
    event("function_call_arguments.done", output_index=1, arguments=READ_TEXT),
    event("output_item.done", output_index=1, item=function_call("c", "Read", READ_TEXT)),
]


@pytest.mark.parametrize(
    "events",
    [
        [begun()],
        [ended()],
        [begun(kind="text")],
        [ended(kind="text")],
        [begun(), ended("")],
        [begun(), event("output_item.done", output_index=0, item=said())],
        [event("output_item.added", output_index=0, item=said()), begun()],
        [begun("Hel"), delta("lo")],
        [begun("Hello"), delta("Hel"), delta("lo")],
        [begun("Hello"), delta("Hel"), delta("lo"), ended()],
        [begun("Hel"), delta("lo"), ended()],
        [ended({"value": "Hello"})],
        [event("content_part.done", part={"type": "audio", "transcript": "Hello"})],
        [event("content_part.done", part=part())],
        [event("text.delta", **AT, content_index=0, delta="Hello")],
        [event("text.done", **AT, content_index=0, text="Hello")],
    ],
)
@pytest.mark.parametrize("end", ["completed", "done"])
def test_a_text_that_stands_in_its_part_alone_is_told_once(events, end):
    without = event(end, response={"status": "completed", "output": []})
    assert "".join(told(typed(CREATED, *events, without))) == "Hello"
    assert "".join(told(typed(CREATED, *events, event(end, response=response(said("Hello")))))) == "Hello"


def test_a_text_that_only_its_part_began_with_comes_before_the_call_behind_it():
    assert told(typed(begun(), *CALL, END)) == ["Hello", READ]


def test_several_parts_that_only_began_come_in_their_order():
    for events in ([begun("lo", 1), begun("Hel")], [begun("Hel"), ended("lo", 1)]):
        assert told(typed(*events, END)) == ["Hel", "lo"]
        assert told(typed(*events, event("completed", response=response(said("Hel", "lo"))))) == ["Hel", "lo"]


def test_a_refusal_that_stands_in_its_part_alone_is_told():
    refused = {"type": "refusal", "refusal": "No."}
    for kind in ("added", "done"):
        assert told(typed(event(f"content_part.{kind}", **AT, content_index=0, part=refused), END)) == ["No."]


@pytest.mark.parametrize(
    "events",
    [
        [
            event(
                "reasoning_summary_part.added",
                output_index=0,
                summary_index=0,
                part=part("plan", "summary_text"),
            )
        ],
        [event("content_part.added", output_index=0, content_index=0, part=part("plan", "reasoning_text"))],
    ],
)
def test_reasoning_that_stands_in_its_part_alone_is_told_once(events):
    assert told(typed(*events, END, thinking_requested=True)) == ["plan"]
    item = event("output_item.done", output_index=0, item=reasoning("plan"))
    assert told(typed(*events, item, END, thinking_requested=True)) == ["plan"]


@pytest.mark.parametrize("cuts", itertools.product((0, 1), repeat=3))
def test_a_response_that_is_done_is_complete_however_it_was_told(cuts):
    deltas, parts, items = cuts
    events = [CREATED]
    events += [delta("Hel"), delta("lo")] if deltas else []
    events += [begun(""), ended()] if parts else []
    events += [event("output_item.done", output_index=0, item=said("Hello"))] if items else []
    assert "".join(told(typed(*events, event("done", response=response(said("Hello")))))) == "Hello"


def failure(*events):
    stream = stream_of()
    play_bytes(stream, [sse(*events)])
    return stream.failure


@pytest.mark.parametrize(
    "ended_as",
    [
        {"status": "failed", "error": {"code": "server_error", "message": "boom"}},
        {"status": "failed", "status_details": {"type": "failed", "error": {"message": "boom"}}},
    ],
)
def test_a_response_that_is_done_and_failed_is_the_providers_error(ended_as):
    found = failure(CREATED, event("done", response=ended_as))
    assert found is not None
    assert "boom" in found.message


def test_a_response_that_is_done_and_cancelled_or_cut_never_looks_whole():
    assert failure(CREATED, delta("Hel"), event("done", response={"status": "cancelled"})) is not None
    assert failure(CREATED, delta("Hel")) is not None
    details = {"type": "incomplete", "reason": "max_output_tokens"}
    for name in ("incomplete_details", "status_details"):
        stream = stream_of()
        done = event("done", response={"status": "incomplete", name: details})
        play_bytes(stream, [sse(CREATED, delta("Hel"), done)])
        assert stream.stop_reason == "max_tokens"


def test_the_counts_of_the_realtime_api_are_read():
    usage = {"input_tokens": 50, "output_tokens": 9, "input_token_details": {"cached_tokens": 20}}
    stream = stream_of()
    play_bytes(stream, [sse(delta("Hello"), event("done", response=response(said("Hello"), usage=usage)))])
    assert (stream.usage.input_tokens, stream.usage.cache_read) == (30, 20)


def test_the_type_of_an_event_may_stand_in_its_name_alone():
    events = [CREATED, delta("Hel"), delta("lo"), event("completed", response=response(said("Hello")))]
    named = b""
    for each in events:
        data = json.dumps({name: value for name, value in each.items() if name != "type"})
        named += f"event: {each['type']}\ndata: {data}\n\n".encode()
    assert "".join(told(accumulated(play_bytes(stream_of(), [named]))["content"])) == "Hello"
