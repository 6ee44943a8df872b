"""A Messages stream that passes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversion import repairs
from gateway.conversion.anthropic.stream import PassedStream
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamTimedOut
from gateway.wire import sse
from tests.conversion.answers.test_stream_properties import accumulated
from tests.examples import examples
from tests.grammar import check
from tests.playbook import context_of


def raw(event, name=None):
    return b"event: %s\ndata: %s\n\n" % ((name or event["type"]).encode(), json.dumps(event).encode())


START = {
    "type": "message_start",
    "message": {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "claude-up",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": 1},
    },
}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COMMENT = b": keep-alive\n\n"
UNKNOWN = b'event: brand_new\ndata: {"type": "brand_new", "x": 1}\n\n'
TEXT = [
    raw({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    raw({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
    raw({"type": "content_block_stop", "index": 0}),
]
CALL = [
    raw({"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}}),
    raw({"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
    raw({"type": "content_block_stop", "index": 1}),
]  # fmt: skip
END = [
    raw({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"output_tokens": 15, "input_tokens": None}}),
    raw({"type": "message_stop"}),
]  # fmt: skip
BODY = [PING, *TEXT, COMMENT, UNKNOWN, *CALL, *END]
WHOLE = raw(START) + b"".join(BODY)
ERROR = raw(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "u"}
)


def stream_of(**facts):
    return PassedStream(context_of({"protocol": "anthropic"}, **facts), Ledger())


def play(stream, *reads):
    out = [event for read in reads for event in stream.feed(read)] + list(stream.finish())
    if stream.failure is not None:
        out += stream.fail(stream.failure, "req_ours")
    return sse.encode_all(out)


def test_everything_passes_byte_for_byte_but_the_name_of_the_model():
    sent = play(stream_of(), WHOLE)
    renamed = {**START, "message": {**START["message"], "model": "claude-test"}}
    assert sent == sse.encode(renamed) + b"".join(BODY)


def test_what_the_history_must_know_is_read_on_the_way():
    stream = stream_of()
    play(stream, WHOLE)
    assert (stream.stop_reason, stream.tool_names, stream.done) == ("tool_use", ["f"], True)
    assert stream.usage.at_end() == {
        "input_tokens": 25,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 5,
        "output_tokens": 15,
    }
    assert not stream.usage_estimated


@given(st.data())
def test_any_cut_of_the_bytes_gives_the_same_bytes(data):
    places = sorted(data.draw(st.lists(st.integers(0, len(WHOLE)), max_size=12)))
    reads = [WHOLE[start:end] for start, end in zip([0, *places], [*places, len(WHOLE)], strict=True)]
    assert play(stream_of(), *reads) == play(stream_of(), WHOLE)


def test_the_last_event_stands_alone_so_that_it_can_wait_for_the_history():
    assert stream_of().feed(WHOLE)[-1] == END[-1]


def test_after_a_late_commit_the_providers_start_is_left_out_and_its_counts_come_at_the_end():
    stream = stream_of()
    begun = stream.start()
    assert begun[0]["message"]["usage"]["input_tokens"] == 11
    assert stream.start() == []
    sent = sse.encode_all(begun) + play(stream, WHOLE)
    events = [
        json.loads(block.split("data: ")[1]) for block in sent.decode().split("\n\n") if "data: " in block
    ]
    assert [event["type"] for event in events].count("message_start") == 1
    assert events[-2]["usage"] == {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": 15}
    known = [event for event in events if event["type"] != "brand_new"]
    message = accumulated(known)
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (25, 15)
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]


def test_an_error_before_the_start_can_be_an_http_error():
    stream = stream_of()
    assert stream.feed(ERROR) == []
    assert (stream.started, stream.failure.status, stream.failure.message) == (False, 529, "Overloaded")


def test_an_error_behind_the_start_passes_as_it_came():
    assert play(stream_of(), raw(START) + TEXT[0] + ERROR).endswith(TEXT[0] + ERROR)


def test_an_error_in_another_form_becomes_one_that_clients_know():
    sent = play(stream_of(), raw(START), b'data: {"error": {"message": "boom", "code": 500}}\n\n')
    error = json.loads(sent.decode().split("event: error\ndata: ")[1])
    assert (error["error"], error["request_id"]) == ({"type": "api_error", "message": "boom"}, "req_ours")


@pytest.mark.parametrize("length", range(1, len(TEXT) + 2))
def test_a_cut_stream_ends_in_an_error(length):
    stream = stream_of()
    sent = play(stream, b"".join([raw(START), *TEXT, CALL[0]][:length]))
    assert b"upstream closed the stream before the response was complete" in sent
    assert (stream.usage.input_tokens, stream.usage_estimated) == (25, True)


def test_a_stream_without_a_single_event_can_be_an_http_error():
    stream = stream_of()
    assert play(stream, b": hello\n\n", b"data: 7\n\n") == b""
    assert (stream.started, stream.failure.status) == (False, 502)


def test_only_the_last_event_is_missing_and_is_made():
    stream = stream_of()
    stream.feed(raw(START) + b"".join(TEXT) + END[0])
    assert stream.awaiting_trailer
    assert stream.finish() == [{"type": "message_stop"}]
    assert (stream.done, stream.failure) == (True, None)


def test_an_event_that_lacks_its_blank_line_at_the_end_is_read():
    assert play(stream_of(), WHOLE[:-1]).endswith(END[-1])


def test_an_event_that_cannot_be_read_breaks_the_answer():
    stream = stream_of()
    play(stream, raw(START), b'event: content_block_start\ndata: {"type": "content_bl\n\n')
    assert stream.failure.message == "upstream sent malformed stream data"


def test_nothing_goes_out_before_the_start():
    assert play(stream_of(), PING, COMMENT, UNKNOWN, WHOLE) == play(stream_of(), WHOLE)


def test_what_comes_behind_the_end_is_not_passed():
    assert play(stream_of(), WHOLE + ERROR + WHOLE) == play(stream_of(), WHOLE)


def test_names_of_events_may_be_missing():
    nameless = WHOLE.replace(b"event: message_stop\n", b"").replace(b"event: message_delta\n", b"")
    stream = stream_of()
    play(stream, nameless)
    assert (stream.stop_reason, stream.done, stream.failure) == ("tool_use", True, None)
    # clients read no event without its name
    bare = [b"data: " + event.split(b"data: ", 1)[1] for event in (*TEXT, *CALL, *END)]
    assert play(stream_of(), raw(START), *bare) == play(stream_of(), raw(START), *TEXT, *CALL, *END)


# What clients cannot read is mended


def events_of(*reads):
    sent = play(stream_of(), raw(START), *reads, *END)
    return [json.loads(event.split(b"data: ", 1)[1]) for event in sent.split(b"\n\n") if event]


def blocks_of(*reads):
    events = events_of(*reads)
    order = ("two blocks", "block ", "a delta for", "message_delta while")
    assert [said for said in check(events) if said.startswith(order)] == []
    blocks = accumulated(events)["content"]
    return [block.get("text") or block.get("thinking") or block["input"] for block in blocks]


def begun(index, **block):
    return raw({"type": "content_block_start", "index": index, "content_block": block})


def test_a_block_that_is_not_closed_is_closed_before_the_next_and_before_the_end():
    assert blocks_of(*TEXT[:2], *CALL) == blocks_of(*TEXT, *CALL[:2]) == ["Hello", {}]
    assert events_of(*TEXT[:2], *CALL[:2]) == events_of(*TEXT, *CALL)


def test_a_block_that_is_closed_twice_is_closed_once():
    late = [*TEXT[:2], *CALL[:2], TEXT[2], CALL[2], CALL[2]]
    assert events_of(*late) == events_of(*TEXT, *CALL)


@pytest.mark.parametrize("kind", ["citations_delta", "brand_new_delta"])
def test_a_delta_that_comes_after_its_block_and_begins_none_is_left_out(kind):
    late = raw({"type": "content_block_delta", "index": 0, "delta": {"type": kind, "citation": {}}})
    assert events_of(*TEXT, late, late, *CALL) == events_of(*TEXT, *CALL)
    stream = stream_of()
    play(stream, raw(START), *TEXT, late, late, *END)
    assert stream.failure is None
    assert [one.note for one in stream._ledger.entries] == [repairs.BLOCK_ENDS.note]


def test_a_call_that_never_began_is_an_answer_that_cannot_be_read():
    stream = stream_of()
    play(stream, raw(START), *TEXT, CALL[1], *END)
    assert stream.failure.message == "upstream sent malformed stream data"


def test_content_that_comes_with_the_beginning_of_a_block_is_told_in_deltas():
    call = {"type": "tool_use", "id": "toolu_1", "name": "f"}
    given = [begun(0, type="text", text="Hello"), TEXT[2], begun(1, **call, input={"a": 1}), CALL[2]]
    assert blocks_of(*given) == ["Hello", {"a": 1}]
    assert blocks_of(begun(0, type="thinking", thinking="Hm", signature=""), TEXT[2]) == ["Hm"]
    # deltas say it better than the beginning does
    assert blocks_of(*TEXT, begun(1, **call, input={"a": 1}), *CALL[1:]) == ["Hello", {}]


def test_a_block_that_begins_without_its_field_gets_it():
    call = {"type": "tool_use", "id": "toolu_1", "name": "f"}
    assert blocks_of(begun(0, type="text"), *TEXT[1:], begun(1, **call), *CALL[1:]) == ["Hello", {}]
    sent = play(stream_of(), raw(START), begun(0, **call), TEXT[2], *END)
    assert b'"input":{}' in sent


def test_a_failure_that_the_caller_found_is_told():
    stream = stream_of()
    stream.feed(raw(START))
    (event,) = stream.fail(UpstreamTimedOut("upstream stream timed out"), "req_ours")
    assert event["error"]["type"] == "timeout_error"
    assert stream.done


@pytest.mark.parametrize(
    ("block", "delta"),
    [
        ({"type": "text", "text": ""}, {"type": "text_delta", "text": ""}),
        ({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": ""}),
        ({"type": "tool_use", "id": "t", "name": "f"}, {"type": "input_json_delta", "partial_json": ""}),
    ],
)
def test_a_sign_of_life_is_an_empty_delta_of_the_open_block(block, delta):
    stream = stream_of()
    opened = raw({"type": "content_block_start", "index": 3, "content_block": block})
    stream.feed(raw(START) + opened)
    assert stream.keepalive() == [{"type": "content_block_delta", "index": 0, "delta": delta}]
    stream.feed(raw({"type": "content_block_stop", "index": 3}))
    assert stream.keepalive() == [{"type": "ping"}]


def test_without_numbers_they_are_estimated():
    stream = stream_of()
    long = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 4000}}
    play(stream, raw({"type": "message_start", "message": {}}) + raw(long))
    assert stream.usage_estimated
    assert 900 < stream.usage.output_tokens < 1100
    assert stream.usage.input_tokens == 11


PIECES = st.sampled_from(
    [
        raw(START),
        *BODY,
        ERROR,
        b"data: {",
        b"\n\n",
        b"\r\r",
        b"event: message_delta\ndata: []\n\n",
        b"event: content_block_start\ndata: {}\n\n",
        b'event: content_block_delta\ndata: {"type": 5, "index": 0, "delta": {"type": "text_delta"}}\n\n',
        b'event: message_start\ndata: {"type": [], "message": 5}\n\n',
        b'event: content_block_start\ndata: {"type": 1, "index": 4, "content_block": {"type": "text"}}\n\n',
        b"event: error\n\n",
        b"data: null\n\n",
        b'data: {"type": ["message_stop"], "usage": 3}\n\n',
    ]
)


@settings(max_examples=examples(600))
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12))
def test_garbage_never_raises_and_ends(reads):
    stream = stream_of()
    play(stream, *reads)
    assert stream.done
    assert stream.usage.output_tokens >= 0


def call_delta(index, text):
    delta = {"type": "input_json_delta", "partial_json": text}
    return raw({"type": "content_block_delta", "index": index, "delta": delta})


def stop_of(index):
    return raw({"type": "content_block_stop", "index": index})


@pytest.mark.parametrize("given", [{"a": 1}, '{"a": 1}'])
@pytest.mark.parametrize("first", [(), (call_delta(0, ""),)])
def test_the_input_in_a_calls_beginning_is_told_unless_a_delta_tells_one(given, first):
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": given}
    assert blocks_of(begun(0, **call), *first, stop_of(0)) == [{"a": 1}]
    assert blocks_of(begun(0, **call), *first, call_delta(0, '{"b": 2}'), stop_of(0)) == [{"b": 2}]


def test_calls_that_are_told_by_turns_pass_as_they_came():
    call = {"type": "tool_use", "name": "f", "input": {}}
    by_turns = [
        begun(0, **call, id="toolu_1"), begun(1, **call, id="toolu_2"),
        call_delta(0, '{"a": 1}'), call_delta(1, '{"b": 2}'), stop_of(0), stop_of(1),
    ]  # fmt: skip
    assert play(stream_of(), raw(START), *by_turns, *END).count(b"".join(by_turns)) == 1
    # the first is closed in the end, if the provider does not do it
    left = events_of(*by_turns[:4], by_turns[5])
    stops = [event["index"] for event in left if event["type"] == "content_block_stop"]
    assert stops == [1, 0]


@pytest.mark.parametrize("index", [{}, {"index": "0"}])
def test_a_block_whose_beginning_cannot_be_read_passes_with_its_end(index):
    start = {"type": "content_block_start", **index, "content_block": {"type": "text", "text": ""}}
    block = raw(start) + raw({"type": "content_block_stop", **index})
    assert block in play(stream_of(), raw(START), block, *END)


def test_thinking_in_a_blocks_beginning_keeps_its_signature():
    events = events_of(begun(0, type="thinking", thinking="Hm", signature="sig"), stop_of(0))
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "thinking_delta", "thinking": "Hm"}, {"type": "signature_delta", "signature": "sig"},
    ]  # fmt: skip


def delta_of(index, kind, **text):
    return raw({"type": "content_block_delta", "index": index, "delta": {"type": kind, **text}})


@pytest.mark.parametrize("index", [0, -1, 7])
def test_a_delta_without_a_block_begins_one(index):
    said = [delta_of(index, "text_delta", text=text) for text in ("Hel", "lo")]
    assert blocks_of(*said, stop_of(index)) == blocks_of(*said) == ["Hello"]
    assert blocks_of(*said, *CALL) == ["Hello", {}]
    thought = delta_of(index, "thinking_delta", thinking="Hm")
    signed = delta_of(index, "signature_delta", signature="sig")
    assert blocks_of(thought, signed, stop_of(index)) == ["Hm"]


def test_what_comes_for_a_block_that_has_ended_begins_another():
    assert blocks_of(*TEXT, delta_of(0, "text_delta", text=" there"), stop_of(0), *CALL) == [
        "Hello", " there", {},
    ]  # fmt: skip


def test_two_blocks_of_one_index_are_two_for_the_client():
    again = [begun(0, type="text", text=""), delta_of(0, "text_delta", text="again"), stop_of(0)]
    assert blocks_of(*TEXT, *again) == blocks_of(*TEXT[:2], *again) == ["Hello", "again"]
    assert blocks_of(*TEXT, *again, *again, *CALL) == ["Hello", "again", "again", {}]


def test_an_answer_that_does_not_say_that_it_began_is_told_from_its_beginning():
    sent = play(stream_of(), *TEXT, *CALL, *END)
    events = [json.loads(event.split(b"data: ", 1)[1]) for event in sent.split(b"\n\n") if event]
    assert check(events) == []
    blocks = accumulated(events)["content"]
    assert [block.get("text") or block["input"] for block in blocks] == ["Hello", {}]
    assert events[-2]["usage"]["output_tokens"] == 15


def test_an_end_alone_is_no_answer():
    stream = stream_of()
    assert play(stream, END[1]) == b"" and stream.failure is not None


@pytest.mark.parametrize("told", [["a"], {"a": 1}, None, 5])
@pytest.mark.parametrize("started", [True, False])
def test_a_delta_that_is_no_text_breaks_the_answer(told, started):
    start = [begun(0, type="thinking", thinking="", signature="")] if started else []
    stream = stream_of()
    # the first of a block is looked at; those that follow pass unread
    sent = play(stream, raw(START), *(start and [*start, stop_of(0)]), delta_of(1, "text_delta", text=told))
    assert stream.failure is not None and sent.count(b"event: error") == 1


def test_the_input_of_a_call_that_never_began_runs_nothing():
    stream = stream_of()
    play(stream, raw(START), delta_of(0, "input_json_delta", partial_json='{"a": 1}'), *END)
    assert stream.failure is not None


# However a server tells its blocks, a client that reads by the protocol gets what was said


def block_events(draw, index, kind, said):
    """The events of one block: its content in the beginning or in deltas of any size; closed, left open, or
    closed twice."""
    block = {
        "text": {"type": "text", "text": ""},
        "thinking": {"type": "thinking", "thinking": "", "signature": ""},
        "call": {"type": "tool_use", "id": f"toolu_{index}", "name": "f", "input": {}},
    }[kind]
    field = {"text": "text", "thinking": "thinking", "call": "input"}[kind]
    delta = {"text": "text_delta", "thinking": "thinking_delta", "call": "input_json_delta"}[kind]
    place = {"call": "partial_json"}.get(kind, field)
    written = json.dumps(said) if kind == "call" else said
    pieces = [""] if draw(st.booleans()) else []
    if draw(st.booleans()):
        block[field] = draw(st.sampled_from([said, written]))
    else:
        cuts = sorted(draw(st.lists(st.integers(0, len(written)), max_size=3)))
        pieces += [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    at = {"index": index}
    return [
        raw({"type": "content_block_start", **at, "content_block": block}),
        *(raw({"type": "content_block_delta", **at, "delta": {"type": delta, place: one}}) for one in pieces),
        *[stop_of(index)] * draw(st.sampled_from([0, 1, 1, 1, 2])),
    ]


@st.composite
def told_blocks(draw):
    """(what each block says, the events): calls beside each other come by turns."""
    words = st.text(st.sampled_from('ab {}"\\é中'), min_size=1, max_size=8)
    said, runs, before = [], [], ""
    for index in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["text", "thinking", "call"]))
        said.append(draw(st.dictionaries(words, words, min_size=1, max_size=2) if kind == "call" else words))
        events = block_events(draw, index, kind, said[-1])
        if kind == "call" == before:
            runs[-1].append(events)
        else:
            runs.append([events])
        before = kind
    told = []
    for run in runs:
        unbegun = list(run)
        while any(run):
            # a client takes blocks in the order of their indexes
            may = [events for events in run if events and (events not in unbegun or events is unbegun[0])]
            events = draw(st.sampled_from(may))
            unbegun = [one for one in unbegun if one is not events]
            told.append(events.pop(0))
    return said, told


@settings(max_examples=examples(300))
@given(told_blocks())
def test_what_blocks_say_arrives_however_they_are_told(case):
    said, told = case
    blocks = accumulated(events_of(*told))["content"]
    assert [block.get("text") or block.get("thinking") or block["input"] for block in blocks] == said
