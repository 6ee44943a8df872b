"""Responses whose events disagree about place, id, arguments or end: one answer, or an error."""

from __future__ import annotations

import itertools
import json

import pytest

from gateway.conversion.answers.output import Output
from gateway.conversion.answers.usage import usage_of
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.items import REASONING_TEXT
from gateway.conversion.provider_state import read_signature
from gateway.wire.halves import HalfCharacters
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.openai_responses.scripts import (
    event,
    function_call,
    message_of,
    response,
    said,
    sse,
    stream_of,
)
from tests.playbook import context_of, play_bytes

A, B = '{"file_path":"ab"}', '{"file_path":"b"}'


def told(*events, **facts):
    return play_bytes(stream_of(**facts), [sse(*events)])


def message(*events, **facts):
    return accumulated(told(*events, **facts))


def calls_of(events):
    return [block["input"] for block in accumulated(events)["content"] if block["type"] == "tool_use"]


def failed(events):
    return events[-1]["type"] == "error"


def text_of(answer):
    return "".join(block["text"] for block in answer["content"] if block["type"] == "text")


def call(number=1, arguments="", **more):
    item = {**function_call(f"call_{number}", "Read", arguments), "id": f"fc_{number}"}
    return {**item, **more}


def added(item, **at):
    return event("output_item.added", item=item, **at)


def ended(item, index=0):
    return event("output_item.done", output_index=index, item=item)


def delta(text, **at):
    return event("function_call_arguments.delta", delta=text, **at)


def whole(text, **at):
    return event("function_call_arguments.done", arguments=text, **at)


def completed(*items, **fields):
    return event("completed", response=response(*items, **fields))


PLACES = {
    "right": ({"output_index": 0}, {"output_index": 1}),
    "one for all": ({"output_index": 0}, {"output_index": 0}),
    "exchanged": ({"output_index": 1}, {"output_index": 0}),
    "counted from one": ({"output_index": 1}, {"output_index": 2}),
    "none": ({}, {}),
}


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("items_end", [False, True])
@pytest.mark.parametrize(("announced", "places"), itertools.product(["right", "none"], PLACES))
def test_an_announced_id_says_which_call_a_delta_is_of_whatever_its_place(
    announced, places, items_end, interleaved
):
    first, second = ({**at, "item_id": f"fc_{n}"} for n, at in enumerate(PLACES[places], 1))
    deltas = [delta(A[:6], **first), delta(A[6:], **first), delta(B[:6], **second), delta(B[6:], **second)]
    if interleaved:
        deltas = [deltas[0], deltas[2], deltas[1], deltas[3]]
    begins = [added(call(n), **at) for n, at in enumerate(PLACES[announced], 1)]
    ends = [ended(call(1, A)), ended(call(2, B), 1)] if items_end and announced == "right" else []
    assert calls_of(told(*begins, *deltas, *ends, completed())) == [json.loads(A), json.loads(B)]


def test_an_id_that_two_places_share_is_no_evidence():
    begins = [added(call(n, id="same"), output_index=n - 1) for n in (1, 2)]
    deltas = [delta(A, output_index=0, item_id="same"), delta(B, output_index=1, item_id="same")]
    assert calls_of(told(*begins, *deltas, completed())) == [json.loads(A), json.loads(B)]


@pytest.mark.parametrize("item_id", ["fc_1", "another"])
@pytest.mark.parametrize("begun", [A, A[:15]])
def test_a_call_whose_end_says_other_arguments_is_an_error(begun, item_id):
    at = {"output_index": 0, "item_id": item_id}
    begin = [added(call(), output_index=0), delta(begun, output_index=0, item_id="fc_1")]
    assert failed(told(*begin, whole(B, **at), ended(call(1, B)), completed(call(1, B))))


@pytest.mark.parametrize("nothing", ["", "{}", "null", None])
@pytest.mark.parametrize("place", ["arguments", "item", "response", "all"])
@pytest.mark.parametrize("mode", ["live", "buffer"])
def test_a_repetition_that_leaves_the_arguments_out_takes_nothing_away(nothing, place, mode):
    item = call(1, nothing)
    events = [added(call(), output_index=0), delta(A, output_index=0, item_id="fc_1")]
    events += [whole(nothing, output_index=0, item_id="fc_1")] if place in ("arguments", "all") else []
    events += [ended(item)] if place in ("item", "all") else []
    events += [completed(item)] if place in ("response", "all") else [completed()]
    assert calls_of(told(*events, options={"tool_args": mode})) == [json.loads(A)]


def test_an_incomplete_call_without_arguments_never_runs():
    item = call(status="incomplete")
    assert failed(told(added(call(), output_index=0), ended(item), completed(item)))
    assert failed(told(completed(item)))


def test_arguments_behind_a_call_that_ended_without_any_are_an_error():
    assert failed(told(added(call(), output_index=0), ended(call(1, "{}")), completed(call(1, A))))


@pytest.mark.parametrize(
    ("first", "last"),
    [([], ["Hi"]), (["He"], ["Hello"]), (["A"], ["A", "B"]), ([""], ["Hi"]), (["Hi"], ["Hi"]), (["Hi"], [])],
)
def test_what_only_the_whole_response_has_of_a_message_is_told(first, last):
    answer = message(ended(said(*first)), completed(said(*last)))
    assert text_of(answer) == max("".join(first), "".join(last), key=len)


def test_reasoning_without_an_end_goes_back():
    thought = event("reasoning_text.delta", output_index=0, item_id="r", content_index=0, delta="need it")
    content = message(thought, ended(call(1, A), 1), completed())["content"]
    assert [block["type"] for block in content] == ["thinking", "tool_use"]
    payload = read_signature(content[0]["signature"])
    assert payload["f"] == REASONING_TEXT


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
@pytest.mark.parametrize("status", ["completed", "incomplete", None])
def test_a_text_of_an_incomplete_response_is_no_end_of_a_turn(kind, status):
    reasons = [{"reason": "max_output_tokens"}]
    reasons += [None, {}] if "incomplete" in (kind, status) else []
    for details in reasons:
        end = event(kind, response={"status": status, "incomplete_details": details})
        assert message(ended(said("Hel")), end)["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("content", ["Hello", ["Hel", "lo"], {"type": "output_text", "text": "Hello"}])
def test_a_text_that_is_no_list_of_parts_is_told(content):
    item = {**said(), "content": content}
    assert text_of(message_of(response(item))) == "Hello"
    assert text_of(message(ended(item), completed())) == "Hello"


def test_a_text_beside_an_empty_output_is_told():
    assert text_of(message_of(response(output_text="Hello"))) == "Hello"


@pytest.mark.parametrize(
    ("usage", "input_tokens", "output_tokens"),
    [
        ({"input_tokens": 100, "output_tokens": 5, "total_tokens": 155}, 100, 55),
        ({"prompt_tokens": 100, "completion_tokens": 5}, 100, 5),
        (
            {
                "input_tokens": 6000,
                "output_tokens": 5,
                "total_tokens": 11005,
                "input_tokens_details": {"cached_tokens": 5000},
            },
            6000,
            5,
        ),
    ],
)
def test_the_rules_of_totals_hold_for_responses(usage, input_tokens, output_tokens):
    for beside in (False, True):
        end = completed(said("x"), usage=None if beside else usage)
        stream = stream_of()
        play_bytes(stream, [sse({**end, "usage": usage} if beside else end)])
        assert (stream.usage.input_tokens, stream.usage.output_tokens) == (input_tokens, output_tokens)
        assert not stream.usage.estimated


@pytest.mark.parametrize(
    "second",
    [
        {"type": "response.output_text.delta", "output_index": 1},
        {"type": "response.output_text.delta"},
        {"type": "response.text.delta", "output_index": 0},
    ],
)
def test_a_character_that_was_cut_is_whole_though_the_place_changed(second):
    halves = HalfCharacters()
    first = {"type": "response.output_text.delta", "output_index": 0, "delta": "a\ud83d"}
    said = [halves.loads(json.dumps(each))["delta"] for each in (first, {**second, "delta": "\ude00b"})]
    assert said == ["a", "\U0001f600b"]


@pytest.mark.parametrize(
    "empty", [{"message": "", "type": "", "code": None}, {"code": 0}, [{}], {"a": {"b": ""}}]
)
def test_an_error_that_says_nothing_is_none(empty):
    for place in ({"error": empty}, {"errors": empty}):
        assert upstream.error_inside({"choices": [{}], **place}, context_of()) is None
        assert upstream.error_of_choice({"delta": place}, context_of()) is None
    assert text_of(message(ended(said("x")), completed(said("x"), error=empty))) == "x"


def test_an_error_behind_an_empty_one_is_read():
    choice = {"error": {"code": 0}, "errors": [{"message": "overloaded"}]}
    assert upstream.error_of_choice(choice, context_of()) is not None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 9, "total_tokens": 508}, (9, 0, 499)),
        ({"completion_tokens": 20, "total_tokens": 920}, (900, 0, 20)),
        ({"prompt_tokens": 0, "completion_tokens": 20, "total_tokens": 920}, (900, 0, 20)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 220,
                "prompt_tokens_details": {"cached_tokens": 50},
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            (100, 50, 70),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "input_tokens_details": {"cached_tokens": 60}},
            (40, 60, 20),
        ),
    ],
)
def test_a_total_tells_the_half_that_is_missing(counts, expected):
    usage = usage_of(counts, context_of(), Output(), Ledger())
    assert (usage.input_tokens, usage.cache_read, usage.output_tokens) == expected
    assert not usage.estimated
