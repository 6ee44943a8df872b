"""Any legal Messages request becomes a legal Responses request, for any kind of provider."""

import contextlib

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.conversion.provider_state import signature
from gateway.errors import InvalidRequest
from tests.conversion import openai_types
from tests.conversion.converting import convert, request_of
from tests.conversion.legal_responses import violations
from tests.conversion.requests.test_request_property import (
    fields,
    messages,
    more_fields,
    odd_values,
    options,
    places,
    some_texts,
    with_changed,
)
from tests.examples import examples

OURS = signature({"p": "", "m": "claude-test", "ri": "rs_1", "ec": "ENC"})[0]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def with_reasoning(history):
    """The history, its thinking signed as reasoning that this model can have back."""
    return [
        {**message, "content": [_sealed(block) for block in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in history
    ]


def _sealed(block):
    return {**block, "signature": OURS} if block.get("type") == "thinking" else block


@settings(max_examples=examples(400), suppress_health_check=SLOW)
@given(messages, some_texts, fields, options, st.booleans())
def test_any_legal_request_becomes_a_legal_responses_request(history, last, given_fields, given_options, own):
    history = with_reasoning(history) if own else history
    request = request_of(*history, {"role": "user", "content": last}, **{"max_tokens": 4096, **given_fields})
    outcome = convert(request, {**given_options, "protocol": "responses"})
    kinds = [item["type"] for item in outcome.body["input"]]
    event(f"reasoning: {min(kinds.count('reasoning'), 2)}, calls: {min(kinds.count('function_call'), 2)}")
    assert violations(outcome.body) == []
    openai_types.accept_response(outcome.body)
    assert outcome.body["input"][-1].get("role") != "assistant"


@settings(max_examples=examples(150), suppress_health_check=SLOW)
@given(messages, some_texts, options)
def test_a_longer_history_begins_like_the_shorter_one(history, last, given_options):
    """Otherwise no provider's prompt cache would ever hit."""
    given_options = {**given_options, "protocol": "responses", "cache_control": "strip"}
    history = with_reasoning([message for message in history if "clear_at" not in message])
    first = [*history, {"role": "user", "content": last}]
    answer = {"role": "assistant", "content": "fine"}
    shorter = convert(request_of(*first), given_options).body["input"]
    longer = convert(request_of(*first, answer, {"role": "user", "content": "next"}), given_options).body
    assert longer["input"][: len(shorter)] == shorter


@settings(max_examples=examples(400), suppress_health_check=SLOW)
@given(messages, fields, more_fields, options, st.data())
def test_a_request_with_anything_in_the_wrong_place_is_converted_or_refused(
    history, given_fields, others, given_options, data
):
    request = request_of(*history, "end", **{"max_tokens": 4096, **given_fields, **others})
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(places(request))[1:]))
        request = with_changed(request, path, data.draw(odd_values))
    with contextlib.suppress(InvalidRequest):
        convert(request, {**given_options, "protocol": "responses"})
