"""Finish reason -> stop reason: the table of docs/conversion.md, "Stop reasons"."""

from __future__ import annotations

import pytest

from gateway.conversion.answers.stop_reasons import (
    Finish,
    failure_of,
    finish_of,
    matched_sequence,
    stop_of,
    stronger,
)
from gateway.conversion.answers.usage import Usage
from gateway.conversion.ledger import Ledger
from tests.playbook import context_of


def reason(word, *, called=False, refusal="", sequence=None, usage=None, ledger=None, **facts):
    stop = stop_of(
        finish_of({"finish_reason": word}),
        called=called,
        refusal=refusal,
        sequence=sequence,
        usage=usage or Usage(10, 5),
        context=context_of(**facts),
        ledger=ledger if ledger is not None else Ledger(),
    )
    return stop.reason


@pytest.mark.parametrize(
    "words, with_calls, without",
    [
        (("stop", "eos", "end_turn", "complete", "STOP"), "tool_use", "end_turn"),
        (("tool_calls", "function_call", "tool_use"), "tool_use", "end_turn"),
        (("length", "max_tokens", "max_output_tokens"), "max_tokens", "max_tokens"),
        (
            ("model_length", "model_context_window_exceeded"),
            "model_context_window_exceeded",
            "model_context_window_exceeded",
        ),
        (("content_filter", "sensitive", "safety", "refusal"), "refusal", "refusal"),
        ((None, "", "gibberish", 7, {}), "tool_use", "end_turn"),
    ],
)
def test_every_word(words, with_calls, without):
    for word in words:
        assert reason(word, called=True) == with_calls
        assert reason(word) == without


@pytest.mark.parametrize(
    ("words", "finish"),
    [
        (
            ("ContentFilter", "content-filter", "safety_block", "moderation_blocked", "flagged"),
            Finish.FILTERED,
        ),
        (("maxTokens", "MAX_COMPLETION_TOKENS", "token_limit_reached", "output_limit"), Finish.LENGTH),
        ((["length"], {"type": "max_tokens"}, {"reason": "MAX_TOKENS"}), Finish.LENGTH),
        (("malformedFunctionCall", "MALFORMED_TOOL_CALL"), Finish.UNREADABLE),
        (("OTHER_ERROR", "model_error", "LLM_ERROR", "request_timeout"), Finish.ERROR),
        (("rate_limit", "overloaded", "exception", "crash", "service_unavailable", "killed"), Finish.ERROR),
        (("out_of_memory", "disconnect", "preempted", {"error": "boom"}), Finish.ERROR),
        (
            ("censored", "inappropriate_content", "nsfw", "toxicity", {"code": "content_filter"}),
            Finish.FILTERED,
        ),
        (("incomplete", "budget_exceeded", {"type": {"name": "length"}}), Finish.LENGTH),
        (("endTurn", "STOP_SEQUENCE", "FinishReason.STOP"), Finish.STOP),
        (("gibberish", "other"), Finish.UNKNOWN),
        (("null", "None", "FINISH_REASON_UNSPECIFIED"), None),
    ],
)
def test_a_word_in_any_spelling_means_what_its_parts_mean(words, finish):
    for word in words:
        assert finish_of({"finish_reason": word}) is finish, word


def test_a_call_that_the_provider_behind_could_not_read_is_no_stop():
    choice = {"finish_reason": "stop", "native_finish_reason": "MALFORMED_FUNCTION_CALL"}
    assert finish_of(choice) is Finish.UNREADABLE
    assert finish_of({**choice, "native_finish_reason": "STOP"}) is Finish.STOP
    assert finish_of({**choice, "native_finish_reason": "abort"}) is Finish.ERROR


@pytest.mark.parametrize(
    "usage, window, stop",
    [
        (Usage(7990, 10), 8000, "model_context_window_exceeded"),
        (Usage(90, 10, cache_read=7900), 8000, "model_context_window_exceeded"),
        (Usage(7000, 10), 8000, "max_tokens"),
        (Usage(7990, 1024), 8000, "max_tokens"),
        (Usage(7990, 10), None, "max_tokens"),
    ],
)
def test_length_at_the_border_of_the_window(usage, window, stop):
    assert reason("length", usage=usage, options={"context_window": window}) == stop


def test_a_refusal_text_is_a_refusal_whatever_the_word():
    assert reason("stop", refusal="no", called=True) == "refusal"


def test_a_stop_sequence_needs_a_stop_without_calls():
    assert reason("stop", sequence="END") == "stop_sequence"
    assert reason("stop", sequence="END", called=True) == "tool_use"
    assert reason("length", sequence="END") == "max_tokens"


@pytest.mark.parametrize("word, noted", [(None, 1), ("gibberish", 1), ("stop", 0)])
def test_a_stop_reason_taken_from_the_content_is_written_down(word, noted):
    ledger = Ledger()
    reason(word, ledger=ledger)
    assert len(ledger.entries) == noted


@pytest.mark.parametrize(
    "choice, expected",
    [
        ({"stop_reason": "END"}, "END"),
        ({"matched_stop": "END"}, "END"),
        ({"stop_reason": "X"}, None),
        ({"stop_reason": 5, "matched_stop": "END"}, "END"),
        ({}, None),
    ],
)
def test_the_sequence_the_upstream_met(choice, expected):
    assert matched_sequence(choice, context_of(native_stops=("END",))) == expected


def test_some_words_are_errors():
    assert [
        failure_of(finish_of({"finish_reason": word})).status for word in ("error", "abort", "network_error")
    ] == [502] * 3
    error = failure_of(finish_of({"finish_reason": "insufficient_system_resource"}))
    assert (error.status, error.error_type) == (529, "overloaded_error")
    assert failure_of(Finish.STOP) is None


def test_the_stronger_of_two():
    assert stronger(None, Finish.UNKNOWN) is Finish.UNKNOWN
    assert stronger(Finish.STOP, Finish.CALLS) is Finish.CALLS
    assert stronger(Finish.FILTERED, Finish.LENGTH) is Finish.FILTERED


@pytest.mark.parametrize(
    "word, finish",
    [
        ("null", None),
        ("None", None),
        ("", None),
        ("STOP", Finish.STOP),
        ("FinishReason.MAX_TOKENS", Finish.LENGTH),
        ("FINISH_REASON_STOP", Finish.STOP),
        ({"type": "length", "length": 3}, Finish.LENGTH),
        ({"type": "null"}, None),
        ({}, None),
        ({"x": 1}, Finish.UNKNOWN),
        (7, Finish.UNKNOWN),
        ("content_filter: PROHIBITED_CONTENT", Finish.FILTERED),
        ("content_filter: SOMETHING_NEW", Finish.FILTERED),
        ("content_filtered", Finish.FILTERED),
        ("BLOCKLIST", Finish.FILTERED),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", Finish.UNREADABLE),
        ("MALFORMED_FUNCTION_CALL", Finish.UNREADABLE),
        ("gibberish", Finish.UNKNOWN),
        ("x " * 1_000_000, Finish.UNKNOWN),
    ],
)
def test_a_reason_is_read_in_any_case_form_and_prefix(word, finish):
    assert finish_of({"finish_reason": word}) is finish


def test_a_call_that_could_not_be_read_is_an_error_of_the_server():
    assert failure_of(Finish.UNREADABLE).error_type == "api_error"
