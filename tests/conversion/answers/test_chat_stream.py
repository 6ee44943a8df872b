"""MessageStream (docs/conversion.md, "Streams")."""

from __future__ import annotations

import pytest

from gateway.conversion import provider_state
from gateway.conversion.context import ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamTimedOut
from tests.grammar import assert_legal
from tests.playbook import (
    DONE,
    assert_lines,
    call,
    chunk,
    failed,
    finish,
    lines,
    plain,
    play,
    play_bytes,
    sse,
    stream_of,
    text,
    thought,
    usage,
)

ASKED = {"thinking_requested": True}


def ended(*chunks, **facts):
    """A stream that ends as streams should."""
    events = play(stream_of(**facts), *chunks, DONE)
    assert_legal(events)
    return events


# 6.2 commit


def test_nothing_is_sent_before_the_first_chunk():
    stream = stream_of()
    assert stream.feed(b": hello\n\n") == []
    assert not stream.started


def test_the_first_chunk_starts_the_message_and_pings():
    events = stream_of().feed(sse(chunk({"role": "assistant", "content": ""})))
    assert [event["type"] for event in events] == ["message_start", "ping"]
    assert events[0]["message"]["usage"]["input_tokens"] == 11


def test_usage_in_the_first_chunk_goes_into_message_start():
    first = chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1})
    events = stream_of().feed(sse(first))
    assert events[0]["message"]["usage"]["input_tokens"] == 5


def test_an_early_start_is_not_repeated():
    stream = stream_of()
    assert [event["type"] for event in stream.start()] == ["message_start", "ping"]
    assert stream.start() == []
    assert [event["type"] for event in stream.feed(sse(text("a")))] == [
        "content_block_start",
        "content_block_delta",
    ]


# 6.4 blocks


def test_text_streams_as_it_arrives():
    stream = stream_of()
    stream.feed(sse(text("Hel")))
    assert plain(stream.feed(sse(text("lo")))) == [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}
    ]


def test_a_tool_first_answer_has_no_empty_text_block():
    events = ended(call(0, "c1", "Read", "{}"), finish("tool_calls"))
    assert_lines(events, "0 start tool_use c1 Read", "0 input_json {}", "0 stop", "end tool_use")


def test_reasoning_and_text_take_turns_in_four_blocks():
    events = ended(thought("a"), text("b"), thought("c"), text("d"), finish("stop"), **ASKED)
    assert_lines(
        events,
        "0 start thinking", "0 thinking a", "0 signature *", "0 stop",
        "1 start text", "1 text b", "1 stop",
        "2 start thinking", "2 thinking c", "2 signature *", "2 stop",
        "3 start text", "3 text d", "3 stop",
        "end end_turn",
    )  # fmt: skip


def test_everything_in_one_chunk_keeps_its_order():
    delta = {
        "tool_calls": [{"index": 0, "id": "c1", "function": {"name": "Read", "arguments": "{}"}}],
        "content": "b",
        "reasoning_content": "a",
    }
    assert_lines(
        ended(chunk(delta, "tool_calls"), **ASKED),
        "0 start thinking", "0 thinking a", "0 signature *", "0 stop",
        "1 start text", "1 text b", "1 stop",
        "2 start tool_use c1 Read", "2 input_json {}", "2 stop",
        "end tool_use",
    )  # fmt: skip


def test_blank_text_is_held_until_text_comes():
    assert_lines(
        ended(text("\n"), thought("a"), text("\n"), text("b"), finish("stop"), **ASKED),
        "0 start thinking", "0 thinking a", "0 signature *", "0 stop",
        "1 start text", "1 text \n\nb", "1 stop",
        "end end_turn",
    )  # fmt: skip


def test_blank_text_that_never_meets_text_is_dropped():
    assert_lines(ended(text("\n\n"), finish("stop")), "end end_turn")


def test_blank_text_between_two_calls_makes_no_block():
    events = ended(call(0, "a", "X", "{}"), text("\n"), call(1, "b", "Y", "{}"), finish("tool_calls"))
    assert [line for line in lines(events) if "start" in line] == [
        "message_start",
        "0 start tool_use a X",
        "1 start tool_use b Y",
    ]


def test_blank_text_in_front_of_a_call_does_not_reappear_behind_it():
    assert "1 text x" in lines(ended(text("\n"), call(0, "a", "X", "{}"), text("x"), finish("tool_calls")))


def test_text_behind_a_whole_call_opens_a_block_of_its_own():
    events = ended(call(0, "a", "X", "{}"), text("later"), finish("tool_calls"))
    assert "1 text later" in lines(events)


def test_text_behind_an_unfinished_call_waits():
    events = ended(
        call(0, "a", "X", '{"a":'), text("la"), text(" "), text("ter"), call(0, args="1}"), finish("stop")
    )
    assert_lines(
        events,
        "0 start tool_use a X", '0 input_json {"a":1}', "0 stop",
        "1 start text", "1 text la ter", "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_reasoning_behind_an_unfinished_call_waits():
    events = ended(
        call(0, "a", "X", "{"), thought("h"), thought("m"), call(0, args='"a":1}'), finish("stop"), **ASKED
    )
    assert "1 thinking hm" in lines(events)


def test_two_calls_in_one_chunk_are_two_blocks():
    calls = [
        {"index": index, "id": f"c{index}", "function": {"name": "X", "arguments": f'{{"n":{index}}}'}}
        for index in range(2)
    ]
    assert_lines(
        ended(chunk({"tool_calls": calls}), finish("tool_calls")),
        "0 start tool_use c0 X", '0 input_json {"n":0}', "0 stop",
        "1 start tool_use c1 X", '1 input_json {"n":1}', "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_interleaved_arguments_stay_with_their_call():
    assert_lines(
        ended(
            call(0, "a", "X", '{"x":'), call(1, "b", "Y", '{"y":'),
            call(0, args="1"), call(1, args="2}"), call(0, args="}"),
            finish("tool_calls"),
        ),
        "0 start tool_use a X", '0 input_json {"x":1}', "0 stop",
        "1 start tool_use b Y", '1 input_json {"y":2}', "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_the_first_call_is_forwarded_while_it_grows():
    stream = stream_of()
    stream.feed(sse(call(0, "a", "X", '{"x":"')))
    assert lines(stream.feed(sse(call(0, args="abc")))) == ["0 input_json abc"]


# the end


def test_the_finish_reason_waits_for_usage():
    stream = stream_of()
    stream.feed(sse(text("a"), finish("stop")))
    assert stream.awaiting_trailer and not stream.done
    events = stream.feed(sse(usage(20, 3)))
    assert events[-2]["usage"]["input_tokens"] == 20
    assert stream.done and not stream.awaiting_trailer


def test_patience_ends_a_stream_without_a_trailer():
    stream = stream_of()
    stream.feed(sse(text("a"), finish("stop")))
    assert lines(stream.finish()) == ["0 stop", "end end_turn", "message_stop"]


def test_content_behind_the_finish_reason_is_kept():
    assert "0 text ab" in lines(ended(text("a"), finish("stop"), text("b")))


def test_done_with_blanks_is_an_end():
    assert lines(play(stream_of(), text("a"), b"data: [DONE] \n\n"))[-1] == "message_stop"


def test_nothing_is_read_behind_the_end():
    stream = stream_of()
    play(stream, text("a"), finish("stop"), DONE)
    assert stream.feed(sse(text("b"))) == []
    assert stream.finish() == []


@pytest.mark.parametrize(
    "reasons, stop",
    [
        (["tool_calls", "stop"], "end_turn"),  # no call was made
        (["stop", "length"], "max_tokens"),
        (["length", "stop"], "max_tokens"),
        (["length", "content_filter"], "refusal"),
        (["stop", "stop"], "end_turn"),
    ],
)
def test_of_two_finish_reasons_the_stronger_one_counts(reasons, stop):
    assert lines(ended(text("a"), *map(finish, reasons)))[-2] == f"end {stop}"


def test_usage_of_each_chunk_replaces_the_earlier_one():
    events = ended(
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
        chunk({"content": "b"}, usage={"prompt_tokens": 5, "completion_tokens": 2}),
        finish("stop", usage=None),
    )
    assert events[-2]["usage"]["output_tokens"] == 2


def test_usage_null_everywhere_then_a_usage_chunk():
    stream = stream_of()
    events = play(stream, chunk({"content": "a"}, usage=None), finish("stop", usage=None), usage(9, 4))
    assert events[-2]["usage"] == {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 4,
    }
    assert not stream.usage_estimated


def test_without_usage_the_numbers_are_estimates():
    stream, ledger = stream_of(), Ledger()
    stream = stream_of(ledger=ledger)
    events = play(stream, text("some words that cost something"), finish("stop"), DONE)
    assert events[-2]["usage"]["input_tokens"] == 11
    assert events[-2]["usage"]["output_tokens"] > 0
    assert stream.usage_estimated
    assert ("defaulted", "usage") in [(entry.code, entry.path) for entry in ledger.entries]


@pytest.mark.parametrize("where", ["x_groq", "choice"])
def test_usage_in_odd_places_is_found(where):
    counts = {"prompt_tokens": 7, "completion_tokens": 3}
    last = finish("stop")
    if where == "x_groq":
        last["x_groq"] = {"usage": counts}
    else:
        last["choices"][0]["usage"] = counts
    assert ended(text("a"), last)[-2]["usage"]["input_tokens"] == 7


def test_the_end_of_the_connection_behind_the_finish_reason_is_normal():
    assert lines(play(stream_of(), text("a"), finish("stop")))[-1] == "message_stop"


def test_done_without_finish_reason_is_normal():
    assert lines(ended(call(0, "a", "X", '{"a":1}')))[-2] == "end tool_use"


def test_a_usage_chunk_without_finish_reason_is_an_end():
    assert lines(play(stream_of(), text("a"), usage(5, 5)))[-2] == "end end_turn"


def test_a_usage_chunk_in_front_of_the_text_is_no_end():
    assert lines(play(stream_of(), usage(5, 0), text("a")))[-1].startswith("error api_error")


def test_a_cut_stream_is_an_error_and_never_a_complete_answer():
    events = play(stream_of(), text("partial"))
    assert_legal(events)
    assert_lines(
        events,
        "0 start text",
        "0 text partial",
        "error api_error: upstream closed the stream before the response was complete",
    )


@pytest.mark.parametrize(
    "data", [b"", b": comment\n\n", b"data: hello\n\n", b"<html></html>", b"data: [DONE]\n\n"]
)
def test_a_stream_without_a_chunk_is_an_http_error(data):
    stream = stream_of()
    assert play_bytes(stream, [data]) == []
    assert stream.failure.status == 502
    assert stream.failure.message == "upstream returned no valid stream data"


def test_a_stream_without_a_chunk_behind_an_early_start_is_an_error_event():
    stream = stream_of()
    stream.start()
    assert lines(stream.finish() + failed(stream)) == [
        "error api_error: upstream returned no valid stream data"
    ]


def test_a_damaged_chunk_is_an_error_since_its_text_is_lost():
    events = play(stream_of(), text("Hello "), b'data: {"choices": [{"index": 0,\n\n', text("world"), DONE)
    assert_legal(events)
    assert_lines(
        events, "0 start text", "0 text Hello ", "error api_error: upstream sent malformed stream data"
    )


def test_a_damaged_first_chunk_is_an_http_error():
    stream = stream_of()
    assert play(stream, b"data: {not valid json\n\n", text("a"), finish("stop"), DONE) == []
    assert (stream.failure.status, stream.failure.message) == (502, "upstream sent malformed stream data")


def test_data_that_is_no_chunk_is_skipped():
    events = ended(text("a"), b"data: ping\n\n", b"data: [1]\n\n", text("b"), finish("stop"))
    assert "0 text ab" in lines(events)


def test_a_damaged_chunk_behind_the_finish_reason_costs_nothing():
    events = ended(text("a"), finish("stop"), b'data: {"usage": {\n\n')
    assert "end end_turn" in lines(events)


def test_a_chunk_that_is_cut_by_the_end_is_told_as_the_cut():
    events = play_bytes(stream_of(), [sse(text("a")), b'data: {"choices": [{"ind'])
    assert lines(events)[-1] == (
        "error api_error: upstream closed the stream before the response was complete"
    )


def test_an_empty_answer_has_no_blocks():
    assert_lines(ended(chunk({"role": "assistant", "content": None}), finish("stop")), "end end_turn")


def test_an_answer_that_is_spread_over_choices_is_joined():
    calls = [call(0, f"c{number}", "X", {"n": number}) for number in range(2)]
    for number, each in enumerate(calls, 1):
        each["choices"][0]["index"] = number
    last = finish("stop")
    last["choices"].append({"index": 1, "delta": {}, "finish_reason": "tool_calls"})
    assert_lines(
        ended(text("a"), *calls, text("b"), last),
        "0 start text", "0 text a", "0 stop",
        "1 start tool_use c0 X", '1 input_json {"n":0}', "1 stop",
        "2 start tool_use c1 X", '2 input_json {"n":1}', "2 stop",
        "3 start text", "3 text b", "3 stop",
        "end tool_use",
    )  # fmt: skip


def test_message_in_place_of_delta_is_read():
    whole = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]
    }
    assert "0 text hi" in lines(ended(whole))


def test_content_parts_are_joined_and_their_thinking_is_thinking():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    events = ended(chunk({"content": parts}), finish("stop"), **ASKED)
    assert "0 thinking hm" in lines(events) and "1 text ab" in lines(events)


@pytest.mark.parametrize(
    "reason, stop",
    [
        ("content_filter", "refusal"),
        ("length", "max_tokens"),
        ("model_length", "model_context_window_exceeded"),
    ],
)
def test_finish_reasons_without_calls(reason, stop):
    assert lines(ended(text("a"), finish(reason)))[-2] == f"end {stop}"


@pytest.mark.parametrize("reason", ["stop", "function_call", "tool_calls", "gibberish"])
def test_a_call_is_tool_use_whatever_the_finish_reason_says(reason):
    assert lines(ended(call(0, "a", "X", "{}"), finish(reason)))[-2] == "end tool_use"


def test_a_refusal_has_its_details():
    events = ended(text("a"), finish("content_filter"))
    assert events[-2]["delta"]["stop_details"] == {"type": "refusal", "category": None, "explanation": None}


def test_the_text_of_a_refusal_is_shown_when_there_is_no_other():
    events = ended(chunk({"refusal": "I ca"}), chunk({"refusal": "nnot."}), finish("stop"))
    assert "0 text I cannot." in lines(events)
    assert events[-2]["delta"]["stop_details"]["explanation"] == "I cannot."


def test_a_refused_answer_loses_its_unfinished_call():
    events = ended(call(0, "a", "X", ""), call(0, args=""), finish("content_filter"))
    assert lines(events)[-2] == "end refusal"


def test_a_matched_stop_sequence_is_reported():
    last = finish("stop")
    last["choices"][0]["stop_reason"] = "END"
    assert lines(ended(text("a"), last, native_stops=("END",)))[-2] == "end stop_sequence END"
    assert lines(ended(text("a"), last))[-2] == "end end_turn"


def test_context_management_is_reported_when_it_was_asked_for():
    events = ended(text("a"), finish("stop"), report_context_management=True)
    assert events[-2]["context_management"] == {"applied_edits": []}


# 6.5 tool calls


def test_a_missing_index_is_told_by_the_id():
    assert_lines(
        ended(
            call(None, "a", "X", '{"x":'), call(None, "b", "Y", '{"y":2}'), call(None, "a", args="1}"),
            finish("tool_calls"),
        ),
        "0 start tool_use a X", '0 input_json {"x":1}', "0 stop",
        "1 start tool_use b Y", '1 input_json {"y":2}', "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_a_missing_index_and_id_continue_the_latest_call():
    events = ended(call(None, "a", "X", '{"x":'), call(None, args="1}"), finish("stop"))
    assert '0 input_json {"x":1}' in lines(events)


def test_calls_with_neither_index_nor_id_are_told_apart_when_whole():
    events = ended(call(None, name="X", args='{"n":1}'), call(None, name="X", args='{"n":2}'), finish("stop"))
    assert [line for line in lines(events) if "input_json" in line] == [
        '0 input_json {"n":1}',
        '1 input_json {"n":2}',
    ]


def test_a_new_id_with_the_same_index_is_a_new_call():
    events = ended(call(0, "a", "X", "{}"), call(0, "b", "X", "{}"), finish("stop"))
    assert "1 start tool_use b X" in lines(events)


def test_a_whole_call_that_is_sent_again_is_not_doubled():
    events = ended(call(0, "a", "X", "{}"), call(0, "a", "X", "{}"), finish("stop"))
    assert sum("start tool_use" in line for line in lines(events)) == 1


def test_a_name_in_pieces_is_put_together():
    events = ended(call(0, "a", "get_"), call(0, name="weather"), call(0, args="{}"), finish("stop"))
    assert "0 start tool_use a get_weather" in lines(events)


def test_a_whole_name_in_every_chunk_is_not_doubled():
    events = ended(
        call(0, "a", "X", ""),
        call(0, "a", "X", '{"a"'),
        call(0, "a", "X", ":1}"),
        call(0, "a", "X", ""),
        finish("stop"),
    )
    assert_lines(events, "0 start tool_use a X", '0 input_json {"a":1}', "0 stop", "end tool_use")


def test_arguments_before_the_name_wait_for_it():
    stream = stream_of()
    assert lines(stream.feed(sse(call(0, "a", args='{"a":')))) == ["message_start"]
    assert lines(stream.feed(sse(call(0, name="X")))) == ["0 start tool_use a X", '0 input_json {"a":']


def test_a_call_without_arguments_opens_when_the_next_one_begins():
    stream = stream_of()
    assert lines(stream.feed(sse(call(0, "a", "X")))) == ["message_start"]
    assert lines(stream.feed(sse(call(1, "b", "Y", "{}")))) == ["0 start tool_use a X"]


def test_without_index_and_id_the_call_of_the_latest_fragment_goes_on():
    events = ended(
        call(0, "a", "X", '{"x":'), call(1, "b", "Y", '{"y":'),
        call(0, args="1"), call(None, args="}"), call(1, args="2}"), finish("tool_calls"),
    )  # fmt: skip
    assert [line for line in lines(events) if "input_json" in line] == [
        '0 input_json {"x":1}',
        '1 input_json {"y":2}',
    ]


def test_an_object_inside_the_arguments_is_no_new_call():
    events = ended(call(None, name="X", args='{"a":'), call(None, name="X", args='{"b":1}}'), finish("stop"))
    assert '0 input_json {"a":{"b":1}}' in lines(events)


def test_a_late_id_is_ignored_when_the_block_is_open():
    events = ended(call(0, None, "X", '{"a":'), call(0, "late", args="1}"), finish("stop"))
    started = next(event for event in events if event["type"] == "content_block_start")
    assert started["content_block"]["id"].startswith("toolu_")


def test_an_id_that_comes_with_the_arguments_is_used():
    assert "0 start tool_use a X" in lines(ended(call(0, None, "X"), call(0, "a", args="{}"), finish("stop")))


@pytest.mark.parametrize("arguments", [None, "", "  "])
def test_no_arguments_are_an_empty_object(arguments):
    events = ended(call(0, "a", "X", arguments), finish("tool_calls"))
    assert_lines(events, "0 start tool_use a X", "0 input_json {}", "0 stop", "end tool_use")


def test_arguments_as_an_object_are_written_out():
    events = ended(call(0, "a", "X", {"a": [1, "é"]}), finish("stop"))
    assert '0 input_json {"a":[1,"é"]}' in lines(events)


def test_a_legacy_function_call_is_a_call():
    events = ended(
        chunk({"function_call": {"name": "X", "arguments": '{"a'}}),
        chunk({"function_call": {"arguments": '":1}'}}),
        finish("function_call"),
    )
    assert '0 input_json {"a":1}' in lines(events) and lines(events)[-2] == "end tool_use"


def test_a_custom_call_gives_its_text_as_input():
    fragments = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "Patch", "input": '{"x'}},
        {"index": 0, "custom": {"input": "\n"}},
    ]
    events = ended(*(chunk({"tool_calls": [fragment]}) for fragment in fragments), finish("tool_calls"))
    assert '0 input_json {"input":"{\\"x\\n"}' in lines(events)


def test_an_escape_that_is_cut_in_two_arrives_whole():
    stream = stream_of()
    stream.feed(sse(call(0, "a", "X", '{"a":"\\u00')))
    assert lines(stream.feed(sse(call(0, args='e9"}')))) == ['0 input_json \\u00e9"}']


def test_arguments_that_do_not_begin_with_a_brace_are_repaired_at_the_end():
    events = ended(call(0, "a", "X", '```json\n{"a":'), call(0, args="1}\n```"), finish("tool_calls"))
    assert_lines(events, "0 start tool_use a X", '0 input_json {"a":1}', "0 stop", "end tool_use")


def test_arguments_that_are_no_json_are_handed_over_as_invalid():
    events = ended(call(0, "a", "X", "city=Bern"), finish("tool_calls"))
    assert '0 input_json {"INVALID_JSON":"city=Bern"}' in lines(events)


def test_a_byte_beyond_repair_behind_sent_arguments_is_an_error():
    stream = stream_of()
    events = play(stream, call(0, "a", "X", '{"a":'), call(0, args="]"), finish("stop"), DONE)
    assert_legal(events)
    assert lines(events)[-1] == "error api_error: upstream sent malformed tool arguments"


def test_truncated_arguments_are_an_error_and_never_completed():
    events = play(stream_of(), call(0, "a", "X", '{"a":"b'), finish("tool_calls"), DONE)
    assert_legal(events)
    assert lines(events)[-1] == "error api_error: upstream sent malformed tool arguments"


def test_arguments_cut_by_the_token_limit_stay_as_they_are():
    events = ended(call(0, "a", "X", '{"a":"b'), finish("length"))
    assert_lines(events, "0 start tool_use a X", '0 input_json {"a":"b', "0 stop", "end max_tokens")


@pytest.mark.parametrize(
    "options, tools",
    [({}, {"buffered": frozenset({"X"})}), ({"tool_args": "buffer"}, {})],
)
def test_buffered_arguments_come_in_one_piece_behind_an_early_start(options, tools):
    stream = stream_of(options, tools=ToolFacts(**tools))
    assert lines(stream.feed(sse(call(0, "a", "X", '{"a":'))))[1:] == ["0 start tool_use a X"]
    assert stream.feed(sse(call(0, args="1,}"))) == []
    assert lines(play(stream, finish("stop"), DONE))[:2] == ['0 input_json {"a":1}', "0 stop"]


def test_a_live_tool_streams_although_the_profile_buffers():
    stream = stream_of({"tool_args": "buffer"}, tools=ToolFacts(live=frozenset({"X"})))
    assert '0 input_json {"a":' in lines(stream.feed(sse(call(0, "a", "X", '{"a":'))))


def test_only_the_first_call_is_kept_when_parallel_calls_are_off():
    ledger = Ledger()
    events = ended(
        call(0, "a", "X", '{"a":'), call(1, "b", "Y", "{}"), call(0, args="1}"), call(1, args=" "),
        finish("tool_calls"), tools=ToolFacts(single_call=True), ledger=ledger,
    )  # fmt: skip
    assert_lines(events, "0 start tool_use a X", '0 input_json {"a":1}', "0 stop", "end tool_use")
    assert [entry.code for entry in ledger.entries if "only one" in entry.note] == ["dropped"]


def test_names_are_the_clients_again():
    tools = ToolFacts(
        original_names={"short": "a very long name"}, toolsets={"computer__wait": ("wait", "computer")}
    )
    stream = stream_of(tools=tools)
    events = play(
        stream, call(0, "a", "short", "{}"), call(1, "b", "computer__wait", "{}"), finish("stop"), DONE
    )
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert blocks[0]["name"] == "a very long name"
    assert blocks[1]["name"] == "wait" and blocks[1]["toolset_name"] == "computer"
    assert blocks[1]["caller"] == {"type": "direct"}
    assert stream.tool_names == ["a very long name", "wait"]


@pytest.mark.parametrize("bad", ["functions.X:0", "a", ""])
def test_bad_and_repeated_ids_are_replaced(bad):
    events = ended(call(0, "a", "X", '{"n":0}'), call(1, bad, "X", '{"n":1}'), finish("stop"))
    ids = [event["content_block"]["id"] for event in events if event["type"] == "content_block_start"]
    assert ids[0] == "a" and ids[1].startswith("toolu_")


def test_a_call_without_a_name_is_dropped_beside_others():
    events = ended(text("a"), call(0, "x", args="{}"), finish("stop"))
    assert_lines(events, "0 start text", "0 text a", "0 stop", "end end_turn")


def test_an_answer_of_nothing_but_a_nameless_call_is_an_error():
    events = play(stream_of(), call(0, "x", args="{}"), finish("stop"), DONE)
    assert lines(events)[-1] == "error api_error: upstream returned a tool call without a name"


GEMINI = {
    "provider": "gemini",
    "upstream_model": "up",
    "tool_call_extras": {"extra_content": {"google": {"thought_signature": "skip"}}},
}


def test_opaque_data_of_a_call_travels_in_its_id():
    first = call(0, "a", "X")
    first["choices"][0]["delta"]["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "S"}}
    events = ended(first, call(0, args="{}"), finish("stop"), options=GEMINI)
    block = next(event["content_block"] for event in events if event["type"] == "content_block_start")
    assert provider_state.split_id(block["id"]) == (
        "a",
        {"v": 1, "p": "gemini", "m": "up", "x": {"extra_content": {"google": {"thought_signature": "S"}}}},
    )


def test_opaque_data_that_comes_too_late_is_written_down():
    late = call(0, args="}")
    late["choices"][0]["delta"]["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "S"}}
    ledger = Ledger()
    chunks = call(0, "a", "X", '{"a":1'), call(1, "b", "X", "{}"), late, finish("tool_calls")
    events = ended(*chunks, options=GEMINI, ledger=ledger)
    assert "0 start tool_use a X" in lines(events)
    assert [entry.note for entry in ledger.entries if entry.code == "dropped"]


def test_opaque_marks_of_the_upstream_itself_are_not_trusted():
    events = ended(call(0, "a_gw1_b", "X", "{}"), finish("stop"))
    assert "_gw1_" not in str(events)


# 5.4 thinking


def signatures(events):
    return [
        provider_state.read_signature(event["delta"]["signature"])
        for event in events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "signature_delta"
    ]


def test_thinking_that_was_not_asked_for_is_not_shown_and_written_down():
    ledger = Ledger()
    events = ended(thought("secret"), text("a"), finish("stop"), ledger=ledger)
    assert "secret" not in str(events)
    assert ("dropped", "content.thinking") in [(entry.code, entry.path) for entry in ledger.entries]


def test_the_signature_says_where_thinking_came_from():
    events = ended(
        thought("a"), text("b"), finish("stop"), options={"provider": "p", "upstream_model": "m"}, **ASKED
    )
    assert signatures(events) == [{"v": 1, "p": "p", "m": "m", "f": "reasoning_content"}]


def test_omitted_thinking_is_empty_and_its_text_rides_in_the_signature():
    events = ended(
        thought("a"), thought("b"), text("c"), finish("stop"),
        options={"reasoning_replay": "reasoning_content"}, thinking_display="omitted", **ASKED,
    )  # fmt: skip
    assert_lines(
        events,
        "0 start thinking", "0 signature *", "0 stop",
        "1 start text", "1 text c", "1 stop",
        "end end_turn",
    )  # fmt: skip
    assert signatures(events)[0]["t"] == "ab"


def test_reasoning_details_come_back_as_whole_entries():
    def details(**entry):
        return chunk({"reasoning_details": [{"type": "reasoning.text", "index": 0, **entry}]})

    events = ended(
        details(text="le"), details(text="t"), details(signature="S"), text("b"), finish("stop"),
        options={"reasoning_replay": "reasoning_details"}, **ASKED,
    )  # fmt: skip
    assert "0 thinking let" in lines(events)
    assert signatures(events)[0]["rd"] == [
        {"type": "reasoning.text", "index": 0, "text": "let", "signature": "S"}
    ]


def test_encrypted_reasoning_makes_an_empty_thinking_block_in_front():
    secret = {"type": "reasoning.encrypted", "data": "xyz"}
    events = ended(
        chunk({"reasoning_details": [secret]}), text("b"), finish("stop"),
        options={"reasoning_replay": "reasoning_details"}, **ASKED,
    )  # fmt: skip
    assert lines(events)[1:4] == ["0 start thinking", "0 signature *", "0 stop"]
    assert signatures(events)[0]["rd"] == [secret]


def test_opaque_data_without_thinking_is_written_down():
    ledger = Ledger()
    extras = {"message_extras": ["reasoning_opaque"]}
    ended(text("b"), chunk({"reasoning_opaque": "xyz"}), finish("stop"), options=extras, ledger=ledger)
    assert ("dropped", "content.thinking") in [(entry.code, entry.path) for entry in ledger.entries]


def test_opaque_data_behind_the_text_is_not_lost():
    events = ended(
        text("b"), chunk({"reasoning_opaque": "xyz"}), finish("stop"),
        options={"message_extras": ["reasoning_opaque"]}, **ASKED,
    )  # fmt: skip
    assert signatures(events)[0]["x"] == {"reasoning_opaque": "xyz"}
    assert lines(events)[4:7] == ["1 start thinking", "1 signature *", "1 stop"]


def test_the_first_place_alone_is_read():
    both = chunk({"reasoning": "a", "reasoning_content": "b"})
    events = ended(
        both, finish("stop"), options={"reasoning_in": ["reasoning", "reasoning_content"]}, **ASKED
    )
    assert "0 thinking a" in lines(events)


def test_a_google_thought_is_not_text():
    marked = chunk({"content": "hm", "extra_content": {"google": {"thought": True}}})
    events = ended(marked, text("a"), finish("stop"), options={"reasoning_in": ["google_thought"]}, **ASKED)
    assert "0 thinking hm" in lines(events) and "1 text a" in lines(events)


def test_think_tags_are_split_off_wherever_they_are_cut():
    pieces = ["\n<th", "ink>a", "b</thi", "nk>", "\n", "c"]
    options = {"reasoning_in": ["think_tags"]}
    events = ended(*map(text, pieces), finish("stop"), options=options, **ASKED)
    assert "0 thinking ab" in lines(events) and "1 text c" in lines(events)


# 6.6 local stops, prefill, strict schemas


def test_a_local_stop_ends_the_answer_and_the_reading():
    stream = stream_of(local_stops=("STOP",))
    events = [event for piece in ("one S", "TO", "P two") for event in stream.feed(sse(text(piece)))]
    assert_legal(events)
    assert_lines(events, "0 start text", "0 text one ", "0 stop", "end stop_sequence STOP")
    assert stream.done and stream.failure is None


def test_a_near_miss_of_a_stop_loses_nothing():
    events = ended(text("a STO"), text("X"), finish("stop"), local_stops=("STOP",))
    assert "0 text a STOX" in lines(events)


def test_text_held_back_for_a_stop_is_released_in_front_of_a_call():
    events = ended(text("a ST"), call(0, "c", "X", "{}"), finish("stop"), local_stops=("STOP",))
    assert lines(events)[1:4] == ["0 start text", "0 text a ST", "0 stop"]


def test_a_repeated_prefill_is_removed():
    events = ended(text("{"), text('"a"'), text(":1}"), finish("stop"), prefill='{"a"')
    assert "0 text :1}" in lines(events)


def test_an_answer_that_only_begins_like_the_prefill_is_kept():
    assert "0 text {x" in lines(ended(text("{"), text("x"), finish("stop"), prefill='{"a"'))


def test_invented_nulls_are_taken_out_of_a_buffered_answer():
    stream = stream_of(nullable_paths=(("b",),))
    assert lines(stream.feed(sse(text('{"a":1,'), text('"b":null}')))) == ["message_start"]
    events = play(stream, finish("stop"), DONE)
    assert lines(events)[:3] == ["0 start text", '0 text {"a":1}', "0 stop"]


# 6.7 errors


def test_an_error_as_first_data_is_an_http_error():
    stream = stream_of()
    assert play(stream, {"error": {"message": "slow down", "code": 429}}) == []
    assert (stream.failure.status, stream.failure.error_type) == (429, "rate_limit_error")


@pytest.mark.parametrize(
    "error, kind",
    [
        ({"error": {"message": "m", "code": 503}}, "overloaded_error"),
        ({"error": "m"}, "api_error"),
        (b'event: error\ndata: {"message": "m"}\n\n', "api_error"),
        (b"event: error\ndata: m\n\n", "api_error"),
        ({"object": "error", "message": "m", "code": 400}, "invalid_request_error"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, "overloaded_error"),
        ({"detail": "m"}, "api_error"),
        ({"base_resp": {"status_code": 1002, "status_msg": "m"}}, "api_error"),
        (chunk({"content": ""}, "error", error={"message": "m", "code": 502}), "api_error"),
        (chunk({}, "insufficient_system_resource"), "overloaded_error"),
        (chunk({}, "error"), "api_error"),
    ],
)
def test_an_error_behind_content_is_one_event_and_nothing_more(error, kind):
    stream = stream_of()
    events = play(stream, text("par"), error, text("more"), DONE)
    assert_legal(events)
    assert lines(events)[1:3] == ["0 start text", "0 text par"]
    assert events[-1]["error"]["type"] == kind
    assert events[-1]["request_id"] == "req_test"
    assert len(lines(events)) == 4


def test_an_overflow_inside_the_stream_is_translated():
    stream = stream_of()
    said = "The number of tokens to keep from the initial prompt is greater than the context length."
    play(stream, b'event: error\ndata: {"error":{"message":"%s"}}\n\n' % said.encode())
    assert stream.failure.status == 400
    assert stream.failure.message == "prompt is too long: 11 tokens > 10 maximum"


def test_a_content_filter_error_ends_as_a_refusal():
    filtered = {"error": {"code": "content_filter", "message": "blocked"}}
    events = play(stream_of(), text("a"), filtered)
    assert_legal(events)
    assert events[-2]["delta"]["stop_details"]["explanation"] == "blocked"


def test_the_caller_can_fail_a_stream_that_went_silent():
    stream = stream_of()
    stream.feed(sse(text("a")))
    events = stream.fail(UpstreamTimedOut("upstream stream timed out"), "req_1")
    assert lines(events) == ["error timeout_error: upstream stream timed out"]
    assert stream.done


def test_failing_before_the_start_sends_nothing():
    stream = stream_of()
    assert stream.fail(UpstreamTimedOut("late"), "req_1") == []
    assert stream.failure.status == 504 and not stream.started


def test_a_complete_message_cannot_fail():
    stream = stream_of()
    play(stream, text("a"), finish("stop"), DONE)
    assert stream.fail(UpstreamTimedOut("late"), "req_1") == []
    assert stream.failure is None


def test_an_event_without_end_is_an_error():
    stream = stream_of()
    with_limit = b"data: " + b"x" * (17 * 1024 * 1024)
    events = play_bytes(stream, [sse(text("a")), with_limit])
    assert lines(events)[-1] == "error api_error: upstream sent an event of more than 16 MiB"


# keep-alive


def test_keepalive_writes_nothing_into_the_open_block():
    stream = stream_of()
    stream.feed(sse(text("a")))
    assert stream.keepalive() == [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}
    ]


@pytest.mark.parametrize("asked, kind", [(True, "thinking"), (False, "text")])
def test_keepalive_opens_a_block_when_none_is_open(asked, kind):
    stream = stream_of(thinking_requested=asked)
    events = stream.keepalive()
    assert [event["type"] for event in events] == [
        "message_start", "ping", "content_block_start", "content_block_delta",
    ]  # fmt: skip
    assert events[2]["content_block"]["type"] == kind
    events += stream.keepalive() + play(
        stream, thought("a"), text("b"), call(0, "c", "X", "{}"), finish("stop"), DONE
    )
    assert_legal(events)
    assert "end tool_use" in lines(events)


def test_keepalive_while_blank_text_is_held():
    stream = stream_of()
    events = stream.feed(sse(text("\n"))) + stream.keepalive() + play(stream, text("a"), finish("stop"), DONE)
    assert_legal(events)
    assert "0 text \na" in lines(events)


def test_keepalive_while_a_call_waits_for_its_name():
    stream = stream_of()
    events = stream.feed(sse(call(0, "c", args='{"a":')))
    events += stream.keepalive() + play(stream, call(0, name="X"), call(0, args="1}"), finish("stop"), DONE)
    assert_legal(events)
    assert "1 start tool_use c X" in lines(events)


def test_keepalive_during_buffered_arguments():
    stream = stream_of({"tool_args": "buffer"})
    events = stream.feed(sse(call(0, "c", "X", '{"a":')))
    events += stream.keepalive() + play(stream, call(0, args="1}"), finish("stop"), DONE)
    assert_legal(events)
    assert '0 input_json {"a":1}' in lines(events)


def test_keepalive_behind_the_end_gives_nothing():
    stream = stream_of()
    play(stream, text("a"), finish("stop"), DONE)
    assert stream.keepalive() == []


# what a row of the history needs


def test_the_facts_of_the_answer():
    stream = stream_of()
    play(stream, thought("hmm"), text("hello"), call(0, "c", "X", "{}"), finish("stop"), usage(5, 7))
    assert stream.stop_reason == "tool_use"
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (5, 7)
    assert (stream.text_length, stream.thinking_length, stream.tool_names) == (5, 3, ["X"])
    assert stream.chunks == 5


def test_the_facts_of_an_answer_that_was_left_early():
    stream = stream_of()
    stream.feed(sse(text("some words for nobody")))
    assert stream.stop_reason is None
    assert stream.usage.output_tokens > 0 and stream.usage_estimated


def test_citations_of_a_web_search_come_before_the_text_ends():
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2},
    }
    events = ended(text("hello"), chunk({"annotations": [cited]}), finish("stop"), web_search_active=True)
    citation = next(
        event["delta"]["citation"]
        for event in events
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "citations_delta"
    )
    assert citation == {
        "type": "web_search_result_location",
        "cited_text": "he",
        "encrypted_index": "",
        "title": "t",
        "url": "u",
    }


# what a call is (call_table)


def calls_of(events):
    return [
        line.partition(" ")[2] for line in lines(events) if "start tool_use" in line or "input_json" in line
    ]


A, B = '{"a":1}', '{"b":2}'
HALVES = ['{"a"', ":1}"]


@pytest.mark.parametrize(
    "fragments, expected",
    [
        ([call(0, "x", "X", "{}"), call(0, args=A)], ["X" + A]),
        ([call(0, "x", "X", "null"), call(0, args=A)], ["X" + A]),
        ([call(0, "x", "X", '""'), call(0, args=A)], ["X" + A]),
        (
            [call(0, "x", "X", "{}"), call(1, "y", "Y", "{}"), call(1, args=B), call(0, args=A)],
            ["X" + A, "Y" + B],
        ),
        ([call(0, "x", "X", A), call(0, args="{}")], ["X" + A]),
        ([call(0, "x", "X", "{}"), call(1, "y", "Y", "{}")], ["X{}", "Y{}"]),
        ([call(0, "x", "X", ""), *(call(n, args=half) for n, half in enumerate(HALVES, 1))], ["X" + A]),
        ([call(0, "x", "X", ""), *(call(n, "x", "X", half) for n, half in enumerate(HALVES, 1))], ["X" + A]),
        ([call(0, "x", "X", ""), *(call(0, f"i{n}", args=half) for n, half in enumerate(HALVES))], ["X" + A]),
        ([call(n, None, "X", half) for n, half in enumerate(HALVES)], ["X" + A]),
        ([call(0, "x", "X", ""), call(1, "x", "X", A)], ["X" + A]),
        ([call(0, "x", "X", A), call(1, "x", "X", A)], ["X" + A]),
        ([call(0, "x", "X", A), call(1, "y", "X", A)], ["X" + A, "X" + A]),
        ([call(0, "x", "X", A), call(0, "x", "X", B)], ["X" + A, "X" + B]),
        ([call(0, "x", "X", A), call(0, "x", "X", B), call(0, "x", "X", A)], ["X" + A, "X" + B]),
        ([call(0, "x", "X", A), call(0, "x", "Y", B)], ["X" + A, "Y" + B]),
        ([call(0, "x", "X", A), call(0, "x", "X", '{"b"'), call(0, "x", args=":2}")], ["X" + A, "X" + B]),
        ([call(0, "x", "X", A), call(0, None, "Y", B)], ["X" + A, "Y" + B]),
        ([call(0, "x", "X", A + B)], ["X" + A, "X" + B]),
        ([call(0, "x", "X", A + B[:3]), call(0, args=B[3:])], ["X" + A, "X" + B]),
        ([call(0, "x", "X", A + "{}" + A)], ["X" + A]),
        ([call(None, "X", "X", A), call(None, "X", "X", B)], ["X" + A, "X" + B]),
        ([call(None, None, "X", A), call(None, None, "X", A)], ["X" + A, "X" + A]),
    ],
)
def test_calls_are_told_apart_by_all_evidence_there_is(fragments, expected):
    for fed in (fragments, [chunk({"tool_calls": [entry]}) for entry in joined(fragments)]):
        got = calls_of(ended(*fed, finish("tool_calls")))
        assert [f"{a.split()[-1]}{b.split(' ', 1)[-1]}" for a, b in pairs(got)] == expected


def joined(fragments):
    return [entry for each in fragments for entry in each["choices"][0]["delta"]["tool_calls"]]


def pairs(told):
    return list(zip(told[::2], told[1::2], strict=True))


@pytest.mark.parametrize(
    "fragments",
    [
        [call(0, "x", "X", A), call(0, "x", "X", '{"b"')],  # half a second call
        [call(0, "x", "X", A), call(1, "y", args=B)],  # no name
        [call(0, "x", "X", "{"), call(1, "y", "Y", B)],  # half a first one
    ],
)
def test_a_call_that_did_not_come_whole_is_an_error(fragments):
    events = play(stream_of(), *fragments, finish("tool_calls"), DONE)
    assert_legal(events)
    assert lines(events)[-1].startswith("error api_error")


def test_what_tells_calls_apart_against_ids_is_written_down():
    ledger = Ledger()
    ended(call(0, "x", "X", A + B), finish("tool_calls"), ledger=ledger)
    assert [entry.path for entry in ledger.entries if entry.code != "defaulted"] == ["content.tool_use"]


# what is said again


def test_a_whole_message_at_the_end_is_not_said_again():
    called = {"id": "c", "function": {"name": "X", "arguments": A}}
    whole = {"role": "assistant", "content": "Hello", "reasoning_content": "hm", "tool_calls": [called]}
    last = finish("tool_calls")
    last["choices"][0]["message"] = whole
    once = [thought("hm"), text("Hel"), text("lo"), call(0, "c", "X", A)]
    assert lines(ended(*once, last, **ASKED)) == lines(ended(*once, finish("tool_calls"), **ASKED))


def test_what_only_the_whole_message_at_the_end_says_is_said():
    last = finish("stop")
    last["choices"][0]["message"] = {
        "content": "Hello",
        "tool_calls": [{"function": {"name": "X", "arguments": A}}],
    }
    events = ended(text("Hel"), call(0, "c", "X", A[:4]), last)
    assert '1 input_json {"a":1}' in lines(events) and "2 text lo" in lines(events)


def test_a_whole_message_that_contradicts_a_call_is_an_error():
    last = finish("tool_calls")
    last["choices"][0]["message"] = {"tool_calls": [{"id": "c", "function": {"name": "X", "arguments": B}}]}
    events = play(stream_of(), call(0, "c", "X", A), last, DONE)
    assert lines(events)[-1] == "error api_error: upstream sent malformed tool arguments"


# the reason at the end


def test_a_reason_counts_at_the_end_only():
    events = ended(
        chunk({"reasoning_content": "a"}, "stop"),
        chunk({"content": "b"}, "length"),
        text("c"),
        finish("stop"),
    )
    assert lines(events)[-2] == "end end_turn"


def test_text_behind_the_reason_that_is_cut_is_no_whole_answer():
    events = play(stream_of(), chunk({"content": "a"}, "stop"), text("b"))
    assert lines(events)[-1].startswith("error api_error")


def test_a_model_that_has_only_thought_is_given_time():
    stream = stream_of()
    stream.feed(sse(chunk({"reasoning_content": "a"}, "stop")))
    assert not stream.awaiting_trailer
    stream.feed(sse(chunk({"content": "a"}, "stop")))
    assert not stream.awaiting_trailer  # it said so before


@pytest.mark.parametrize("place", ["choice", "delta", "message"])
def test_an_error_inside_a_choice_is_the_providers_error(place):
    choice = {"index": 0, "delta": {}, "finish_reason": None}
    where = choice if place == "choice" else choice.setdefault(place, {})
    where["error"] = {"code": 429, "message": "Provider gone"}
    events = play(stream_of(), text("Hel"), {"choices": [choice]}, DONE)
    assert lines(events)[-1] == "error rate_limit_error: Provider gone"


# characters in two halves


@pytest.mark.parametrize("said", [text, thought, lambda piece: call(0, args=piece)])
def test_a_character_that_is_cut_in_two_arrives_whole(said):
    front = [call(0, "c", "X", '{"a":"')] if said not in (text, thought) else [said("a")]
    behind = [call(0, args='"}')] if said not in (text, thought) else []
    events = ended(*front, said("x\ud83d"), said("\ude00y"), said("\ud83d"), said("z"), *behind, **ASKED)
    assert "x\U0001f600y\ufffdz" in "".join(lines(events))


def test_half_a_character_at_the_end_is_left_out_and_said():
    ledger = Ledger()
    events = ended(text("x\ud83d"), finish("stop"), ledger=ledger)
    assert "x" in "".join(lines(events))
    assert [entry.code for entry in ledger.entries if "half a character" in entry.note] == ["dropped"]
    whole = Ledger()
    ended(text("x\ud83d"), text("\ude00"), finish("stop"), ledger=whole)
    assert not any("half a character" in entry.note for entry in whole.entries)


@pytest.mark.parametrize(
    "name",
    ["X<|channel|>commentary", " X\n", "functions.X", "X", "X<\uff5ctool\u2581sep\uff5c>", "default_api:X"],
)
def test_a_name_with_tokens_of_a_template_is_the_tool_that_was_sent(name):
    events = ended(call(0, "c", name, A), finish("stop"), tools=ToolFacts(offered=frozenset({"X", "Y"})))
    assert "0 start tool_use c X" in lines(events)


def test_a_name_that_was_not_sent_stays():
    events = ended(call(0, "c", "Z<|x|>", A), finish("stop"), tools=ToolFacts(offered=frozenset({"X"})))
    assert "0 start tool_use c Z<|x|>" in lines(events)


@pytest.mark.parametrize("place", ["reasoning_content", "reasoning_details"])
def test_thinking_that_is_repeated_from_its_beginning_with_each_chunk_is_told_once(place):
    def grown(said):
        entry = {"type": "reasoning.text", "id": "r", "index": 0, "text": said}
        return chunk({place: said if place == "reasoning_content" else [entry]})

    texts = ["I ", "I think ", "I think ", "I think so."]
    events = play(stream_of(thinking_requested=True), *map(grown, texts), text("Yes"), finish("stop"), DONE)
    said = [event["delta"]["thinking"] for event in events if "thinking" in event.get("delta", {})]
    assert "".join(said) == "I think so."


def test_thinking_in_deltas_may_repeat_itself_after_its_beginning():
    texts = ["ha", "ha", "haha", "ha"]
    events = play(stream_of(thinking_requested=True), *map(thought, texts), text("Yes"), finish("stop"), DONE)
    said = [event["delta"]["thinking"] for event in events if "thinking" in event.get("delta", {})]
    assert "".join(said) == "".join(texts)
