"""temperature, top_p, top_k and stop sequences."""

import pytest

from gateway.conversion.context import ClientFacts
from tests.conversion.converting import convert, refusal_of, request_of

OFF, ON = {"type": "disabled"}, {"type": "adaptive"}
SWITCH = {"reasoning": "thinking_object", "sampling": "drop_thinking"}


def outcome_of(options=None, **fields):
    return convert(request_of(**fields), options)


def test_sampling_passes_by_default_under_every_version():
    for version in (None, "2023-06-01", "2026-10-21"):
        body = convert(request_of(temperature=0.3, top_p=0.9), {}, ClientFacts(api_version=version)).body
        assert (body["temperature"], body["top_p"]) == (0.3, 0.9)


def test_enforcement_refuses_what_the_version_removed():
    message = refusal_of(
        request_of(temperature=0.3), {"enforce_api_version": True}, ClientFacts(api_version="2026-10-21")
    )
    assert message == "temperature: Extra inputs are not permitted"


def test_sampling_is_dropped_where_the_model_takes_none():
    outcome = outcome_of({"sampling": "drop"}, temperature=0.3, top_p=0.9)
    assert not outcome.body.keys() & {"temperature", "top_p"}
    assert [(code, path) for code, path, _ in outcome.entries] == [
        ("dropped", "temperature"),
        ("dropped", "top_p"),
    ]


@pytest.mark.parametrize(
    ("options", "thinking", "passes"),
    [
        (SWITCH, OFF, True),
        (SWITCH, ON, False),
        (SWITCH, None, False),
        ({**SWITCH, "reasoning": "none"}, ON, True),
        ({**SWITCH, "reasoning": "effort", "efforts": ["none", "low"]}, OFF, True),
        ({**SWITCH, "reasoning": "effort", "efforts": ["low"]}, OFF, False),
        ({**SWITCH, "reasoning": "openrouter"}, OFF, True),
        ({**SWITCH, "reasoning_off": False}, OFF, False),
    ],
)
def test_drop_thinking_lets_sampling_pass_only_when_thinking_is_surely_off(options, thinking, passes):
    fields = {"thinking": thinking} if thinking else {}
    assert ("temperature" in outcome_of(options, temperature=0.3, **fields).body) is passes


@pytest.mark.parametrize(("given", "sent"), [(0, 0.01), (0.005, 0.01), (0.01, 0.01), (1, 1)])
def test_positive_raises_zero(given, sent):
    outcome = outcome_of({"sampling": "positive"}, temperature=given)
    assert outcome.body["temperature"] == sent
    assert outcome.codes == (["clamped"] if given < 0.01 else [])


def test_top_k_is_dropped_unless_the_provider_has_it():
    assert outcome_of(top_k=5).codes == ["dropped"]
    assert "top_k" not in outcome_of(top_k=5).body
    assert outcome_of({"top_k": "pass"}, top_k=0).body["top_k"] == 0


FIVE = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("options", "sequences", "native", "local"),
    [
        ({}, ["a", "b"], ("a", "b"), ()),
        ({}, ["a", "b", "a"], ("a", "b"), ()),
        ({}, FIVE, (), tuple(FIVE)),
        ({}, [*FIVE[:4], "a"], ("a", "b", "c", "d"), ()),
        ({"stop_max": 5}, FIVE, tuple(FIVE), ()),
        ({"stop": "local"}, ["a"], (), ("a",)),
        ({"stop": "drop"}, ["a"], (), ()),
        ({}, [], (), ()),
    ],
)
def test_stop_sequences_are_watched_for_by_the_upstream_or_by_us(options, sequences, native, local):
    outcome = outcome_of(options, stop_sequences=sequences)
    assert outcome.body.get("stop", []) == list(native)
    assert (outcome.context.native_stops, outcome.context.local_stops) == (native, local)
    assert ("stop" in outcome.body) is bool(native)
    assert outcome.codes == (["dropped"] if options.get("stop") == "drop" else [])
