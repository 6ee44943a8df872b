"""Ids that a provider made and a client cannot send: they come back to that provider, and to no other."""

from __future__ import annotations

import random

import pytest

from gateway.conversion.answers.chat_message import message
from gateway.conversion.ledger import Ledger
from tests.conversion.converting import assistant, convert, request_of, result, user
from tests.playbook import context_of

OWN = ["call_28ba7d8f49__thought__CpwB+abc/def==", "functions.Read:0", "a" * 30 + ".b"]
MADE = {"provider": "p1", "upstream_model": "m1"}


def client_id_of(call_id, options=MADE):
    entry = {"id": call_id, "type": "function", "function": {"name": "Read", "arguments": '{"a":1}'}}
    choice = {"index": 0, "message": {"tool_calls": [entry]}, "finish_reason": "tool_calls"}
    return message({"choices": [choice]}, context_of(options), Ledger())["content"][0]["id"]


def sent_ids(client_id, options):
    block = {"type": "tool_use", "id": client_id, "name": "Read", "input": {"a": 1}}
    sent = convert(request_of("a", assistant(block), user(result(client_id, "x"))), options)
    return sent.messages[1]["tool_calls"][0]["id"], sent.messages[2]["tool_call_id"]


@pytest.mark.parametrize("own", OWN)
def test_an_id_with_odd_characters_comes_back_to_its_provider_and_model(own):
    client_id = client_id_of(own)
    assert client_id.startswith("toolu_") and client_id.replace("_", "").replace("-", "").isalnum()
    assert sent_ids(client_id, MADE) == (own, own)
    for stranger in ({**MADE, "provider": "p2"}, {**MADE, "upstream_model": "m2"}):
        call_id, result_id = sent_ids(client_id, stranger)
        assert call_id == result_id == client_id.partition("_gw1_")[0]


def test_an_id_that_is_too_long_to_carry_is_replaced_alone():

    noise = "".join(random.Random(1).choices("abcdefghij.:/+0123456789", k=200_000))
    assert "_gw1_" not in client_id_of(noise)


def test_a_legal_id_stays_as_it_is():
    assert client_id_of("call_1") == "call_1"
    assert sent_ids("call_1", MADE) == ("call_1", "call_1")
