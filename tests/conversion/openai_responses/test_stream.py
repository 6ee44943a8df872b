"""Typed events of a Responses stream, one by one."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.provider_state import read_signature
from tests.conversion.openai_responses.scripts import (
    event,
    function_call,
    halves,
    numbered,
    reasoning,
    response,
    said,
    search,
    sse,
    stream_of,
    streamed,
)
from tests.grammar import assert_legal
from tests.playbook import assert_lines, failed, play_bytes


def play(*events, options=None, ledger=None, **facts):
    out = play_bytes(stream_of(options, ledger=ledger, **facts), [sse(*events)])
    assert_legal(out)
    return out


def told(*items, **facts):
    fields = {key: facts.pop(key) for key in ("status", "incomplete_details") if key in facts}
    return play(*streamed(response(*items, **fields)), **facts)


def test_reasoning_text_and_a_call_in_their_order():
    items = [reasoning("plan A", "plan B"), said("Hello"), function_call("call_7", "f", '{"city":"Bern"}')]
    assert_lines(
        told(*items, thinking_requested=True),
        "0 start thinking",
        "0 thinking plan A\n\nplan B",
        "0 signature *",
        "0 stop",
        "1 start text",
        "1 text Hello",
        "1 stop",
        "2 start tool_use call_7 f",
        '2 input_json {"city":"Bern"}',
        "2 stop",
        "end tool_use",
    )


def test_a_call_is_shown_before_its_first_arguments():
    stream = stream_of()
    added = event("output_item.added", output_index=0, item=function_call(arguments=""))
    assert [each["type"] for each in stream.feed(sse(added))] == [
        "message_start",
        "ping",
        "content_block_start",
    ]


def test_the_message_is_not_started_before_the_model_says_something():
    stream = stream_of()
    assert stream.feed(sse(event("created", response=response(status="in_progress")))) == []
    assert not stream.started
    stream.feed(
        sse(event("failed", response=response(status="failed", error={"code": "rate_limit_exceeded"})))
    )
    assert (stream.failure.status, stream.started) == (429, False)


def test_each_reasoning_item_signs_its_own_block():
    items = [reasoning("a", id="rs_1", encrypted="E1"), reasoning("b", id="rs_2", encrypted="E2")]
    events = told(*items, said("x"), thinking_requested=True)
    signed = [e["delta"]["signature"] for e in events if e.get("delta", {}).get("type") == "signature_delta"]
    payloads = [read_signature(signature) for signature in signed]
    assert [(each["ri"], each["ec"], each["p"], each["m"]) for each in payloads] == [
        ("rs_1", "E1", "p1", "m1"),
        ("rs_2", "E2", "p1", "m1"),
    ]


def test_encrypted_reasoning_without_a_text_is_a_block_all_the_same():
    assert_lines(
        told(reasoning(), said("x"), thinking_requested=True),
        "0 start thinking",
        "0 signature *",
        "0 stop",
        "1 start text",
        "1 text x",
        "1 stop",
        "end end_turn",
    )


def test_reasoning_with_nothing_in_it_is_no_block():
    assert_lines(
        told(reasoning(encrypted=None), said("x"), thinking_requested=True),
        "0 start text", "0 text x", "0 stop", "end end_turn",
    )  # fmt: skip


def test_omitted_thinking_shows_no_text_and_carries_the_reasoning():
    events = told(reasoning("secret"), said("x"), thinking_requested=True, thinking_display="omitted")
    assert "secret" not in str(events)
    signature = next(e["delta"]["signature"] for e in events if "signature" in e.get("delta", {}))
    assert read_signature(signature)["ec"] == "ENC"


def test_thinking_that_nobody_asked_for_is_left_out_and_noted():
    ledger = Ledger()
    events = told(reasoning("hm"), said("x"), ledger=ledger)
    assert_lines(events, "0 start text", "0 text x", "0 stop", "end end_turn")
    assert ("dropped", "content.thinking", "thinking was not asked for") in [tuple(e) for e in ledger.entries]


def test_the_full_text_is_shown_where_there_is_no_summary():
    assert_lines(
        told(reasoning(content=["one", "two"], encrypted=None), thinking_requested=True),
        "0 start thinking", "0 thinking one\n\ntwo", "0 signature *", "0 stop", "end end_turn",
    )  # fmt: skip


def test_parts_of_a_message_are_blocks_of_their_own():
    assert_lines(
        told(said("one", "two"), said("three")),
        "0 start text", "0 text one", "0 stop",
        "1 start text", "1 text two", "1 stop",
        "2 start text", "2 text three", "2 stop",
        "end end_turn",
    )  # fmt: skip


def test_a_refusal_is_text_and_the_reason_of_the_end():
    events = told(said(refusal="I will not."))
    assert_lines(events, "0 start text", "0 text I will not.", "0 stop", "end refusal")
    assert events[-2]["delta"]["stop_details"]["explanation"] == "I will not."


@pytest.mark.parametrize(
    ("items", "status", "reason", "stop"),
    [
        ([said("x")], "completed", None, "end_turn"),
        ([function_call()], "completed", None, "tool_use"),
        ([said("x")], "incomplete", "max_output_tokens", "max_tokens"),
        ([said("x")], "incomplete", "content_filter", "refusal"),
        ([said("x")], "incomplete", "something new", "end_turn"),
        ([function_call()], "incomplete", None, "tool_use"),
        ([], "completed", None, "end_turn"),
    ],
)
def test_why_it_ended(items, status, reason, stop):
    details = {"reason": reason} if reason else None
    events = told(*items, status=status, incomplete_details=details)
    assert events[-2]["delta"]["stop_reason"] == stop


def test_the_numbers_are_disjoint():
    usage = told(said("x"))[-2]["usage"]
    assert usage == {
        "input_tokens": 20,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 12},
    }


def test_a_call_without_arguments_has_an_empty_object_and_does_not_hold_up_what_follows():
    whole = response(function_call("c1", arguments=""), function_call("c2", arguments="{}"))
    events = streamed(whole)
    stream = stream_of()
    before_second_ended = stream.feed(sse(*events[:-2]))
    assert [e["content_block"]["id"] for e in before_second_ended if "content_block" in e] == ["c1", "c2"]
    assert_legal(before_second_ended + stream.feed(sse(*events[-2:])))


def test_what_no_delta_told_is_taken_from_the_end_of_the_item():
    whole = response(reasoning("hm"), said("Hello", "you"), function_call(arguments='{"a":1}'))
    without = play(*streamed(whole, cut=lambda text: []), thinking_requested=True)
    assert_lines(
        without,
        "0 start thinking", "0 thinking hm", "0 signature *", "0 stop",
        "1 start text", "1 text Hello", "1 stop",
        "2 start text", "2 text you", "2 stop",
        "3 start tool_use call_1 f", '3 input_json {"a":1}', "3 stop",
        "end tool_use",
    )  # fmt: skip


def test_a_provider_that_sends_only_the_end_is_understood():
    events = play(event("completed", response=response(said("x"), function_call())))
    assert_lines(
        events,
        "0 start text", "0 text x", "0 stop",
        "1 start tool_use call_1 f", "1 input_json {}", "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_calls_that_come_interleaved_are_written_one_after_the_other():
    def delta(index, text):
        return event("function_call_arguments.delta", output_index=index, delta=text)

    added = [
        event("output_item.added", output_index=n, item=function_call(f"c{n}", arguments="")) for n in (0, 1)
    ]
    events = play(
        *added,
        delta(0, '{"a":'),
        delta(1, '{"b":2}'),
        delta(0, "1}"),
        event("completed", response=response(status="completed")),
    )
    assert_lines(
        events,
        "0 start tool_use c0 f", '0 input_json {"a":1}', "0 stop",
        "1 start tool_use c1 f", '1 input_json {"b":2}', "1 stop",
        "end tool_use",
    )  # fmt: skip


def test_a_web_search_is_a_call_and_its_result():
    cited = {
        "type": "url_citation",
        "url": "https://e.com/1",
        "title": "One",
        "start_index": 0,
        "end_index": 3,
    }
    items = [search("weather", "https://e.com/1"), said("Hot", annotations=[cited])]
    events = told(*items, web_search_active=True)
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    assert starts[0] == {
        "type": "server_tool_use",
        "id": "srvtoolu_000000000000000000000002",
        "name": "web_search",
        "input": {},
    }
    assert starts[1] == {
        "type": "web_search_tool_result",
        "tool_use_id": starts[0]["id"],
        "content": [
            {
                "type": "web_search_result",
                "title": "https://e.com/1",
                "url": "https://e.com/1",
                "encrypted_content": "",
                "page_age": None,
            }
        ],
    }
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    assert deltas[0] == {"type": "input_json_delta", "partial_json": '{"query":"weather"}'}
    assert deltas[-1]["citation"] == {
        "type": "web_search_result_location",
        "cited_text": "Hot",
        "encrypted_index": "",
        "title": "One",
        "url": "https://e.com/1",
    }
    assert events[-2]["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert events[-2]["delta"]["stop_reason"] == "end_turn"


def test_a_local_stop_sequence_ends_the_answer_where_it_stands():
    events = told(said("one STOP two"), function_call(), local_stops=("STOP",))
    assert_lines(events, "0 start text", "0 text one ", "0 stop", "end stop_sequence STOP")


def test_text_held_back_for_a_stop_sequence_comes_before_the_call():
    events = told(said("almost ST"), function_call(), local_stops=("STOP",))
    assert_lines(
        events,
        "0 start text", "0 text almost ST", "0 stop",
        "1 start tool_use call_1 f", "1 input_json {}", "1 stop",
        "end tool_use",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "status", "kind", "message"),
    [
        ({"code": "server_error", "message": "boom"}, 500, "api_error", "boom"),
        ({"code": "rate_limit_exceeded", "message": "slow"}, 429, "rate_limit_error", "slow"),
        ({"code": "invalid_prompt", "message": "no"}, 400, "invalid_request_error", "no"),
        ({"code": "image_parse_error", "message": "no"}, 400, "invalid_request_error", "no"),
        (
            {
                "code": "context_length_exceeded",
                "message": "Your input exceeds the context window of this model.",
            },
            400,
            "invalid_request_error",
            "prompt is too long: 11 tokens > 10 maximum",
        ),
        (None, 502, "api_error", "the upstream provider ended the response with an error"),
    ],
)
def test_a_response_that_failed(ending, status, kind, message):
    stream = stream_of()
    stream.feed(sse(event("failed", response=response(status="failed", error=ending))))
    failure = stream.failure
    assert (failure.status, failure.error_type, failure.message) == (status, kind, message)


def test_an_error_event_behind_text_ends_the_stream_with_one():
    error = {"type": "error", "code": "server_error", "message": "boom", "param": None}
    events = play(*streamed(response(said("Hello")))[:5], sse(error))
    assert_lines(events, "0 start text", "0 text He", "error api_error: boom")


def test_a_policy_that_stops_the_answer_is_a_refusal():
    failure = {"code": "bio_policy", "message": "not this"}
    events = play(event("failed", response=response(status="failed", error=failure)))
    assert events[-2]["delta"]["stop_details"]["explanation"] == "not this"


def test_a_cancelled_response_is_an_error():
    stream = stream_of()
    stream.feed(sse(event("cancelled", response=response(status="cancelled"))))
    assert stream.failure.status == 502


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_an_end_without_its_event_is_a_cut_answer(end):
    stream = stream_of()
    events = stream.feed(sse(*streamed(response(said("Hello")))[:-1], end)) + stream.finish() + failed(stream)
    assert_legal(events)
    assert events[-1]["error"]["message"] == "upstream closed the stream before the response was complete"


def test_what_comes_behind_the_end_is_not_read():
    events = play(*streamed(response(said("Hello"))), b"data: [DONE]\n\n", *streamed(response(said("again"))))
    assert_lines(events, "0 start text", "0 text Hello", "0 stop", "end end_turn")


def test_items_of_other_kinds_are_left_out_and_noted():
    ledger = Ledger()
    told({"type": "mcp_call", "id": "x"}, said("Hello"), ledger=ledger)
    assert [tuple(e) for e in ledger.entries] == [("dropped", "content", "an output item of type mcp_call")]


def test_cut_arguments_break_the_stream_unless_the_token_limit_cut_them():
    whole = response(function_call(arguments='{"a":"b'), status="incomplete")
    assert play(*streamed(whole))[-1]["type"] == "error"
    whole["incomplete_details"] = {"reason": "max_output_tokens"}
    assert play(*streamed(whole))[-2]["delta"]["stop_reason"] == "max_tokens"


def test_an_empty_delta_is_a_sign_of_life():
    stream = stream_of(thinking_requested=True)
    events = stream.start() + stream.keepalive()
    events += stream.feed(sse(*streamed(response(reasoning("a"), said("x")), halves)))
    assert_legal(events)
    assert stream.done


def test_items_are_known_by_their_ids_where_a_server_tells_no_place():
    # llama.cpp's server does so, and ends all items together
    items = numbered(reasoning("hm", encrypted=None), said("Hello"), function_call("c1"), function_call("c2"))
    events = [{key: value for key, value in each.items() if key != "output_index"}
              for each in streamed(response(*items))]  # fmt: skip
    ends = [each for each in events if each["type"] == "response.output_item.done"]
    others = [each for each in events if each not in ends]
    assert_lines(
        play(*others[:-1], *ends, others[-1], thinking_requested=True),
        "0 start thinking", "0 thinking hm", "0 signature *", "0 stop",
        "1 start text", "1 text Hello", "1 stop",
        "2 start tool_use c1 f", "2 input_json {}", "2 stop",
        "3 start tool_use c2 f", "3 input_json {}", "3 stop",
        "end tool_use",
    )  # fmt: skip
