"""Opaque data is read by whom it was given to, if it is as it was given, and within a budget."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion import provider_state
from gateway.conversion.answers.chat_message import message
from gateway.conversion.context import ClientFacts
from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.answer import whole_response
from gateway.conversion.profile import Profile
from gateway.conversion.provider_state import MORE_THAN_BODY, Opener, Seal, id_with, signature
from gateway.conversion.requests.token_count import count_tokens
from gateway.wire import jsontext
from gateway.wire.request_cache import RequestReader
from tests.conversion.answers.test_stream_properties import accumulated
from tests.conversion.converting import assistant, call, convert, new_ids, request_of, result, thinking, user
from tests.playbook import DONE, chunk, context_of, finish, play, stream_of

KEYS = (b"new", b"old")
OURS = Seal(KEYS, "user:1")
DETAILS = [{"type": "reasoning.text", "text": "why"}]
PAYLOAD = {"p": "p1", "m": "m1", "rd": DETAILS}
OPTIONS = {"provider": "p1", "upstream_model": "m1", "reasoning_replay": "reasoning_details"}
GOOGLE = {"provider": "p1", "upstream_model": "m1", "tool_call_extras": {"extra": None}}


def sent(seal, message_signature, text="said", **facts):
    request = request_of("q", assistant(thinking(text, message_signature), "a"), "more")
    return convert(request, OPTIONS, ClientFacts(seal=seal, **facts))


def test_who_got_it_brings_it_back():
    signed, whole = signature(PAYLOAD, OURS)
    assert whole and re.fullmatch(r"gw1\.[\w-]+\.[\w-]{22}", signed)
    assert Opener(OURS).signature(signed) == {"v": 1, **PAYLOAD}
    assert sent(OURS, signed).messages[1]["reasoning_details"] == DETAILS


ENCRYPTED = {"type": "reasoning.encrypted", "data": "ENC", "id": "c1", "index": 0}
CALLING = {"id": "c1", "index": 0, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("calls", [[CALLING], []], ids=["with a call", "without"])
def test_state_that_a_call_needs_travels_though_thinking_was_not_asked_for(streamed, calls):
    options = {"reasoning_replay": "reasoning_details"}
    said = {"content": "I read it.", "reasoning_details": [ENCRYPTED]} | (
        {"tool_calls": calls} if calls else {}
    )
    if streamed:
        events = play(stream_of(options), chunk(said), finish("tool_calls"), DONE)
        content = accumulated(events)["content"]
    else:
        told = {"choices": [{"message": said, "finish_reason": "tool_calls"}]}
        content = message(told, context_of(options), Ledger())["content"]
    assert [block["type"] for block in content] == ["text", *(["tool_use", "thinking"] if calls else [])]
    if calls:
        assert content[2]["thinking"] == ""
        assert Opener().signature(content[2]["signature"])["rd"] == [ENCRYPTED]


@pytest.mark.parametrize("omitted", [True, False], ids=["omitted", "shown"])
def test_reasoning_without_encryption_goes_back_to_the_responses_api_as_text(omitted):
    options = {"protocol": "responses", "provider": "p1", "upstream_model": "m1"}
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    item["content"] = [{"type": "reasoning_text", "text": "I need it."}]
    function = {"type": "function_call", "id": "fc", "call_id": "t1", "name": "get_time", "arguments": "{}"}
    asked = {"thinking_requested": True, "thinking_display": "omitted" if omitted else None}
    told = {"status": "completed", "output": [item, function]}
    blocks = whole_response(told, context_of(options, **asked), Ledger()).message["content"]
    assert blocks[0]["thinking"] == ("" if omitted else "I need it.")
    again = convert(request_of("q", assistant(*blocks), user(result("t1", "ok"))), options)
    assert item in again.messages


def test_a_key_that_no_longer_signs_is_accepted_and_one_that_is_gone_is_not():
    signed, _ = signature(PAYLOAD, Seal((b"old",), "user:1"))
    assert Opener(OURS).signature(signed) is not None
    assert Opener(Seal((b"new",), "user:1")).signature(signed) is None


@pytest.mark.parametrize("seal", [Seal(KEYS, "user:2"), Seal(KEYS, ""), Seal((b"x",), "user:1")])
def test_what_another_one_got_is_left_out_and_its_visible_text_stays(seal):
    signed, _ = signature(PAYLOAD, seal)
    outcome = sent(OURS, signed)
    assert "reasoning_details" not in outcome.messages[1] and outcome.messages[1]["reasoning"] == "said"
    note = "opaque reasoning data that this gateway did not sign for this client"
    assert ("dropped", "messages.1.content.0", note) in outcome.entries


def test_what_was_made_before_payloads_were_signed_is_left_out_and_its_visible_text_stays():
    outcome = sent(OURS, signature(PAYLOAD)[0])
    assert "reasoning_details" not in outcome.messages[1] and outcome.messages[1]["reasoning"] == "said"
    assert any("did not sign" in note for _, _, note in outcome.entries)


@given(st.data())
def test_no_character_of_it_may_change(data):
    signed, _ = signature(PAYLOAD, OURS)
    marked = id_with("call", {"x": {"extra": 1}}, OURS)
    place = data.draw(st.integers(len("gw1."), len(signed) - 1))
    other = data.draw(st.sampled_from("AZaz09-_.=é\ud800").filter(lambda one: one != signed[place]))
    assert Opener(OURS).signature(signed[:place] + other + signed[place + 1 :]) is None
    place = data.draw(st.integers(0, len(marked) - 1))
    other = data.draw(st.sampled_from("AZaz09-_").filter(lambda one: one != marked[place]))
    assert Opener(OURS).call_id(marked[:place] + other + marked[place + 1 :])[1] is None
    assert Opener(OURS).call_id(marked) == ("call", {"v": 1, "x": {"extra": 1}})


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_nothing_of_it_may_be_missing_or_added(cut):
    signed, _ = signature(PAYLOAD, OURS)
    marked = id_with("call", {"x": 1}, OURS)
    for wrong in (signed[:-cut], signed + "A" * cut, signed[:4] + signed[4 + cut :]):
        assert Opener(OURS).signature(wrong) is None
    for wrong in (marked[:-cut], marked + "A" * cut):
        assert Opener(OURS).call_id(wrong)[1] is None


def test_nothing_is_unpacked_before_it_was_checked(monkeypatch):
    monkeypatch.setattr(provider_state, "_unpacked", lambda packed, limit: pytest.fail("unpacked"))
    for seal in (Seal(), Seal(KEYS, "user:2")):
        assert Opener(OURS).signature(signature(PAYLOAD, seal)[0]) is None
        assert Opener(OURS).call_id(id_with("c", PAYLOAD, seal))[1] is None


def test_the_data_of_one_call_is_not_that_of_another():
    marked = id_with("call_1", {"p": "p1", "m": "m1", "x": {"extra": "e"}}, OURS)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", marked)
    assert Opener(OURS).call_id(marked.replace("call_1", "call_2"))[1] is None

    def calls(call_id, seal):
        request = request_of("q", assistant(call(call_id)), user(result(call_id)))
        return convert(request, GOOGLE, ClientFacts(seal=seal)).messages[1]["tool_calls"]

    assert calls(marked, OURS)[0]["extra"] == "e" and calls(marked, OURS)[0]["id"] == "call_1"
    assert "extra" not in calls(marked, Seal(KEYS, "user:2"))[0]
    assert calls(marked, Seal(KEYS, "user:2"))[0]["id"] == "call_1"


def test_an_answer_is_signed_for_its_client_and_read_by_it_alone():
    context = convert(request_of("q"), OPTIONS, ClientFacts(seal=OURS)).context
    completion = {"choices": [{"message": {"content": "a", "reasoning_details": DETAILS}}]}
    context = dataclasses.replace(context, thinking_requested=True)
    message = DIALECTS["chat"].whole_answer(completion, context, Ledger()).message
    block = message["content"][0]
    assert Opener(OURS).signature(block["signature"])["rd"] == DETAILS
    assert Opener(Seal(KEYS, "user:2")).signature(block["signature"]) is None


# Several payloads, one budget


def long(size, number=0):
    details = [{"type": "reasoning.text", "text": f"{number:04d}" + "x" * size}]
    return signature({**PAYLOAD, "rd": details}, OURS)[0]


def conversation(count, size):
    turns = [
        one for n in range(count) for one in (assistant(thinking("said", long(size, n)), "a"), user("b"))
    ]
    return request_of("q", *turns)


def test_all_payloads_of_a_request_have_one_budget():
    request = conversation(20, 1_000_000)
    body = len(jsontext.dumps(request))
    assert body < 50_000
    outcome = convert(request, OPTIONS, ClientFacts(seal=OURS, opaque_budget=body + MORE_THAN_BODY))
    assert len(jsontext.dumps(outcome.body)) < body + MORE_THAN_BODY + 50_000
    assert any("beyond what one request may unpack" in note for _, _, note in outcome.entries)
    assert sum("reasoning_details" in message for message in outcome.messages) == 1


def test_the_same_payload_again_counts_again():
    same = assistant(thinking("said", long(400_000)), "a")
    request = request_of("q", *[one for _ in range(9) for one in (same, user("b"))])
    outcome = convert(request, OPTIONS, ClientFacts(seal=OURS, opaque_budget=1_000_000))
    assert sum("reasoning_details" in message for message in outcome.messages) == 2


def test_what_is_remembered_counts_too_and_a_budget_that_ended_is_not_remembered():
    reader, profile = RequestReader(least_body=0), Profile.merged(OPTIONS)
    body = jsontext.dumps(conversation(6, 100_000))

    def kept(seal, budget):
        request, recurring = reader.read(body)
        facts = ClientFacts(seal=seal, opaque_budget=budget)
        made = DIALECTS["chat"].request(request, profile, facts, new_ids(), Ledger(), recurring)
        return sum("reasoning_details" in message for message in made.body["messages"])

    for budget, expected in ((250_000, 2), (10**6, 6), (250_000, 2), (350_000, 3), (10**6, 6)):
        assert kept(OURS, budget) == expected
    # another client that sends the same words
    assert kept(Seal(KEYS, "user:2"), 10**6) == 0
    assert kept(OURS, 10**6) == 6


def test_counting_reads_what_its_client_may_read():
    hidden = signature({"p": "p1", "m": "m1", "t": "a word " * 2_000}, OURS)[0]
    request = request_of("q", assistant(thinking("", hidden), "a"), "more")
    profile = Profile.merged(OPTIONS)

    def tokens(seal, budget=10**6):
        return count_tokens(request, profile, ClientFacts(seal=seal, opaque_budget=budget))["input_tokens"]

    few = tokens(Seal(KEYS, "user:2"))
    assert few < 100 and tokens(OURS) > 1_000 and tokens(Seal(KEYS, "user:2")) == few
