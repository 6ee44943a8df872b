"""Answers without an upstream."""

from gateway.conversion.answers.local_answers import cache_warmed, spoken
from gateway.conversion.context import AnswerContext, AnsweredLocally
from tests.conversion.converting import new_ids

CONTEXT = AnswerContext(model="claude-test", new_id=new_ids(), estimated_input_tokens=7)
REPORTING = AnswerContext(model="claude-test", new_id=new_ids(), report_context_management=True)


def test_a_warmed_cache_has_nothing_to_say():
    answer = cache_warmed(CONTEXT)
    assert isinstance(answer, AnsweredLocally)
    assert answer.context is CONTEXT
    message = answer.message
    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "claude-test")
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == ([], "max_tokens", None)
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (7, 0)


def test_a_spoken_answer_is_one_text_block():
    message = spoken("Sorry.", CONTEXT).message
    assert message["content"] == [{"type": "text", "text": "Sorry."}]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output_tokens"] >= 1


def test_context_management_is_reported_where_it_was_asked_for():
    assert cache_warmed(REPORTING).message["context_management"] == {"applied_edits": []}
    assert "context_management" not in cache_warmed(CONTEXT).message
