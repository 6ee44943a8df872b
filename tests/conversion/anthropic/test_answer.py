"""A whole message that passes."""

import pytest

from gateway.conversion.anthropic.answer import passed_message
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken, UpstreamRejected
from tests.playbook import context_of

MESSAGE = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "claude-up",
    "content": [{"type": "hologram", "x": 1}],
    "stop_reason": "brand_new",
    "usage": {"input_tokens": 3, "output_tokens": 4, "future": {"a": 1}},
    "future": True,
}


def test_everything_passes_but_the_name_of_the_model():
    answer = passed_message(MESSAGE, context_of(), Ledger())
    assert answer[:3] == ({**MESSAGE, "model": "claude-test"}, False, "")
    assert list(answer.message) == list(MESSAGE)


def test_missing_numbers_are_noted():
    ledger = Ledger()
    assert passed_message({**MESSAGE, "usage": None}, context_of(), ledger).usage_estimated
    assert [entry.code for entry in ledger.entries] == ["defaulted"]


def test_an_error_in_a_200_is_an_error():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    with pytest.raises(UpstreamRejected) as caught:
        passed_message(error, context_of(), Ledger())
    assert (caught.value.status, caught.value.message) == (529, "busy")


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"content": "text"}])
def test_what_is_no_message_is_broken(body):
    with pytest.raises(UpstreamBroken):
        passed_message(body, context_of(), Ledger())
