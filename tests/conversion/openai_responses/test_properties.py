"""Properties of every Responses stream: any cut of the bytes, any garbage, streamed equals whole."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversion.answers.test_stream_properties import CRAZY, INPUTS, LEAVES, WORDS, accumulated, essence
from tests.conversion.openai_responses.scripts import (
    function_call,
    message_of,
    numbered,
    reasoning,
    response,
    said,
    search,
    sse,
    stream_of,
    streamed,
)
from tests.examples import examples
from tests.grammar import assert_legal
from tests.playbook import normal, play_bytes

ITEMS = st.one_of(
    st.builds(
        lambda texts, content, encrypted: reasoning(*texts, content=content, encrypted=encrypted),
        st.lists(WORDS, max_size=2),
        st.just(()),
        st.sampled_from([None, "ENC"]),
    ),
    st.builds(lambda texts: said(*texts), st.lists(WORDS, max_size=2)),
    st.builds(lambda given: function_call("call", "f", json.dumps(given)), INPUTS),
    st.builds(lambda query: search(query, "https://e.com"), WORDS),
)
ENDINGS = st.sampled_from(
    [
        {},
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
    ]
)
FACTS = st.fixed_dictionaries(
    {
        "thinking_requested": st.booleans(),
        "thinking_display": st.sampled_from([None, "omitted"]),
        "local_stops": st.sampled_from([(), ("STOP", "ab"), ("0",)]),
        "web_search_active": st.booleans(),
    }
)
RESPONSES = st.builds(
    lambda items, ending: response(*with_call_ids(numbered(*items)), **ending),
    st.lists(ITEMS, max_size=5),
    ENDINGS,
)


def with_call_ids(items):
    return [{**item, "call_id": f"call_{n}"} if "call_id" in item else item for n, item in enumerate(items)]


@st.composite
def cutters(draw):
    """How the provider cuts a text into deltas."""
    size = draw(st.integers(1, 5))
    return lambda text: [text[at : at + size] for at in range(0, len(text), size)]


@settings(max_examples=examples(300))
@given(RESPONSES, cutters(), FACTS)
def test_a_stream_read_by_the_sdk_equals_the_message_of_the_same_response(whole, cut, facts):
    stream = stream_of(**facts)
    events = play_bytes(stream, [sse(*streamed(whole, cut))])
    assert_legal(events)
    expected = message_of(whole, **facts)
    got, wanted = essence(accumulated(events)), essence(expected)
    if got["stop"][0] == "stop_sequence":
        del got["usage"], wanted["usage"]  # the stream left before the upstream told
    assert got == wanted
    assert stream.stop_reason == expected["stop_reason"]


@settings(max_examples=examples(200))
@given(RESPONSES, st.data())
def test_any_cut_of_the_bytes_gives_the_same_events(whole, data):
    upstream = sse(*streamed(whole))
    places = sorted(data.draw(st.lists(st.integers(0, len(upstream)), max_size=12)))
    reads = [upstream[start:end] for start, end in zip([0, *places], [*places, len(upstream)], strict=True)]
    assert play_bytes(stream_of(thinking_requested=True), reads) == play_bytes(
        stream_of(thinking_requested=True), [upstream]
    )


@settings(max_examples=examples(200))
@given(RESPONSES, st.data())
def test_a_stream_that_is_cut_anywhere_is_legal_and_never_looks_complete(whole, data):
    upstream = sse(*streamed(whole)[:-1])
    stream = stream_of()
    assert_legal(play_bytes(stream, [upstream[: data.draw(st.integers(0, len(upstream)))]]))
    assert stream.failure is not None


@settings(max_examples=examples(200))
@given(RESPONSES, FACTS, st.data())
def test_keepalives_anywhere_leave_a_legal_stream(whole, facts, data):
    stream = stream_of(**facts)
    events = []
    for each in streamed(whole):
        if data.draw(st.booleans()):
            events += stream.keepalive()
        events += stream.feed(sse(each))
    assert_legal(events + stream.finish())
    assert stream.failure is None


KINDS = st.sampled_from(
    [
        f"response.{kind}"
        for kind in (
            "created", "in_progress", "output_item.added", "output_item.done", "content_part.done",
            "output_text.delta", "output_text.annotation.added", "refusal.delta",
            "reasoning_summary_text.delta", "reasoning_text.delta", "function_call_arguments.delta",
            "completed", "incomplete", "failed", "cancelled", "something.new",
        )
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "item", "output_index", "content_index", "summary_index", "delta", "response", "annotation", "error",
        "type", "id", "call_id", "name", "arguments", "content", "summary", "text", "encrypted_content",
        "action", "query", "queries", "sources", "url", "status", "output", "usage", "input_tokens",
        "incomplete_details", "reason", "annotations", "code", "message", "refusal", "service_tier",
    ]
)  # fmt: skip
ITEM_KINDS = st.sampled_from(["reasoning", "message", "function_call", "web_search_call", "output_text", 7])
WILD = st.recursive(
    LEAVES | ITEM_KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def crazy_events(draw):
    """Something that looks like an event, with anything in any place."""
    fields = draw(st.dictionaries(KEYS, WILD, max_size=5))
    item = {**draw(st.dictionaries(KEYS, WILD, max_size=5)), "type": draw(ITEM_KINDS)}
    if draw(st.booleans()):
        fields["item"] = item
    if draw(st.booleans()):
        fields["response"] = {**draw(st.dictionaries(KEYS, WILD, max_size=4)), "output": [item]}
    return {**fields, "type": draw(KINDS)}


@settings(max_examples=examples(500))
@given(st.lists(crazy_events() | CRAZY, max_size=6), FACTS)
def test_crazy_events_end_legally_or_in_an_error(chunks, facts):
    upstream = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in chunks)
    stream = stream_of(**facts)
    events = play_bytes(stream, [upstream])
    assert_legal(events)
    assert stream.done
    assert events or stream.failure
    json.dumps(normal(events))
