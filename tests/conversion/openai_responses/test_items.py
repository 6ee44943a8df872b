"""Turns as input items: order, reasoning, results."""

import pytest

from gateway.conversion.provider_state import signature
from tests.conversion.converting import (
    assistant,
    call,
    convert,
    refusal_of,
    request_of,
    result,
    text,
    thinking,
)
from tests.conversion.converting import user as said_by_user
from tests.conversion.legal_responses import violations

OPTIONS = {"protocol": "responses", "provider": "p1", "upstream_model": "m1", "reasoning": "effort"}


def items_of(*messages, **options):
    return convert(request_of(*messages), {**OPTIONS, **options}).body["input"]


def short(items):
    """What each item is, and the text it is known by."""
    named = {"message": "content", "function_call": "name", "function_call_output": "output"}
    return [(item["type"], item.get(named.get(item["type"], "id"))) for item in items]


def sealed(ri="rs_1", ec="ENC", text="hm", **fields):
    return thinking(text, signature({"p": "p1", "m": "m1", "ri": ri, "ec": ec, **fields})[0])


def test_the_order_of_blocks_is_kept():
    turn = assistant(text("Look"), text("ing."), call("t1", "a"), text("And"), call("t2", "b"), text("Done"))
    items = items_of("go", turn, said_by_user(result("t1", "1"), result("t2", "2")))
    assert short(items)[1:] == [
        ("message", "Looking."),
        ("function_call", "a"),
        ("message", "And"),
        ("function_call", "b"),
        ("message", "Done"),
        ("function_call_output", "1"),
        ("function_call_output", "2"),
    ]


def test_reasoning_goes_back_in_front_of_what_it_led_to():
    turn = assistant(sealed("rs_1"), text("A"), sealed("rs_2", text=""), call("t1", "f"))
    items = items_of("go", turn, said_by_user(result("t1", "1")))
    assert items[1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "ENC",
        },
        {"type": "message", "role": "assistant", "content": "A"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ENC"},
        {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": "1"},
    ]


@pytest.mark.parametrize(
    ("block", "note"),
    [
        (sealed(p="p2"), "reasoning of another provider"),
        (sealed(m="m2"), "reasoning of another model"),
        (sealed(ec=""), "thinking that the provider cannot take back"),
        (sealed(ri=7), "thinking that the provider cannot take back"),
        (thinking("hm", "foreign"), "thinking without a signature of this gateway"),
        (thinking("hm", sealed()["signature"][:-9]), "thinking without a signature of this gateway"),
        (thinking("hm", "gw1." + "A" * 40), "thinking without a signature of this gateway"),
        ({"type": "redacted_thinking", "data": "x"}, "thinking without a signature of this gateway"),
    ],
)
def test_reasoning_that_this_model_did_not_make_is_left_out_and_noted(block, note):
    outcome = convert(request_of("go", assistant(block, text("A")), "on"), OPTIONS)
    assert short(outcome.body["input"])[1:2] == [("message", "A")]
    assert ("dropped", "messages.1.content.0", note) in outcome.entries


def test_reasoning_that_led_to_nothing_is_left_out():
    outcome = convert(request_of("go", assistant(text("A"), sealed(), sealed()), "on"), OPTIONS)
    assert [item["type"] for item in outcome.body["input"]] == ["message", "message", "message"]
    assert (
        "dropped",
        "messages.1.content.2",
        "reasoning with nothing behind it (2 times)",
    ) in outcome.entries
    assert violations(outcome.body) == []


def test_a_turn_of_nothing_but_lost_thinking_disappears():
    assert [item["role"] for item in items_of("go", assistant(thinking("hm", "x")), "on")] == ["user", "user"]


@pytest.mark.parametrize(
    ("content", "output"),
    [
        (None, "(no output)"),
        ("", "(no output)"),
        ("fine", "fine"),
        ([text("a"), text("b")], "a\n\nb"),
    ],
)
def test_a_result_of_text_is_a_string(content, output):
    items = items_of("go", assistant(call("t1")), said_by_user(result("t1", content)))
    assert items[-1] == {"type": "function_call_output", "call_id": "t1", "output": output}


def test_a_failed_call_says_so():
    items = items_of("go", assistant(call("t1")), said_by_user(result("t1", "boom", is_error=True)))
    assert items[-1]["output"] == "ERROR: boom"


def test_a_call_without_a_result_gets_one():
    outcome = convert(request_of("go", assistant(call("t1")), "on"), OPTIONS)
    assert short(outcome.body["input"])[2] == (
        "function_call_output",
        "[no result: the tool call was interrupted]",
    )
    assert violations(outcome.body) == []


def test_documents_are_files_or_addresses():
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
    url = {"type": "url", "url": "https://e.com/a.pdf"}
    turn = said_by_user(
        {"type": "document", "title": "T", "source": pdf}, {"type": "document", "source": url}
    )
    assert items_of(turn, pdf="file")[0]["content"] == [
        {"type": "input_file", "filename": "T.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"},
        {"type": "input_file", "file_url": "https://e.com/a.pdf"},
    ]
    assert items_of(turn, pdf="document_url")[0]["content"][0]["filename"] == "document.pdf"


def test_a_phase_says_whether_the_model_was_still_at_work():
    turn = assistant(text("A"), call("t1", "f"), text("B"))
    items = items_of(
        "go", turn, said_by_user(result("t1", "1")), assistant(text("C")), "on", assistant_phase=True
    )
    phases = [item.get("phase") for item in items if item.get("role") == "assistant"]
    assert phases == ["commentary", "final_answer", "final_answer"]
    assert violations({**convert(request_of(), OPTIONS).body, "input": items}) == []


def test_markers_on_parts_that_carry_them_are_kept():
    marked = text("a", cache_control={"type": "ephemeral", "ttl": "1h"})
    (item,) = items_of(said_by_user(marked), cache_control="openai_breakpoint", cache_lifetime="client")
    assert item["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit", "ttl": "12h"}
    outcome = convert(request_of(said_by_user(marked)), {**OPTIONS, "cache_control": "keep"})
    assert ("dropped", "cache_control", "cache markers: 1") in outcome.entries


def test_a_conversation_without_a_user_is_refused():
    assert refusal_of(request_of(assistant("a")), OPTIONS) == "messages: at least one message is required"
