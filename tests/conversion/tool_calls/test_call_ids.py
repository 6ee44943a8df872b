"""Ids of tool calls on their way upstream."""

import re

import pytest

from gateway.conversion.provider_state import id_with
from gateway.conversion.tool_calls.call_ids import plain_id, upstream_id
from tests.conversion.converting import assistant, call, convert, request_of, result, user


@pytest.mark.parametrize("legal", ["t", "toolu_01-X", "a" * 40])
def test_a_short_legal_id_is_unchanged(legal):
    assert upstream_id(legal, "any") == legal


@pytest.mark.parametrize("odd", ["a" * 41, "a" * 50, "a|b", "é", "", "half\ud800"])
def test_any_other_id_becomes_a_digest(odd):
    assert re.fullmatch(r"call_[0-9a-f]{24}", upstream_id(odd, "any"))
    assert upstream_id(odd, "any") == upstream_id(odd, "any")


def test_mistral_gets_nine_characters():
    ids = {upstream_id(f"toolu_{n}", "mistral9") for n in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9]{9}", one) for one in ids)


def test_the_opaque_data_is_cut_off_at_the_first_mark():
    assert plain_id(id_with("call_1", {"p": "x"})) == "call_1"
    assert plain_id("a_gw1_b_gw1_c") == "a"
    assert plain_id("plain") == "plain"


@pytest.mark.parametrize("form", ["any", "mistral9"])
def test_a_call_and_its_result_get_the_same_id(form):
    outcome = convert(
        request_of("a", assistant(call("x" * 50)), user(result("x" * 50))), {"tool_id_format": form}
    )
    assert outcome.messages[1]["tool_calls"][0]["id"] == outcome.messages[2]["tool_call_id"]
    assert outcome.codes == ["renamed"]


def test_two_ids_that_differ_only_in_their_data_stay_apart():
    one, other = id_with("call_1", {"x": 1}), id_with("call_1", {"x": 2})
    messages = convert(
        request_of("a", assistant(call(one), call(other)), user(result(other), result(one)))
    ).messages
    assert [c["id"] for c in messages[1]["tool_calls"]] == ["call_1", "call_1_2"]
    assert [m["tool_call_id"] for m in messages[2:]] == ["call_1_2", "call_1"]
