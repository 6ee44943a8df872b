"""Thinking settings and effort as reasoning fields."""

import pytest

from gateway.config.presets.presets import presets
from tests.conversion.converting import convert, request_of, system

TOOL = {"name": "f", "input_schema": {"type": "object"}}
ENABLED = {"type": "enabled", "budget_tokens": 10_000}
ADAPTIVE, DISABLED, BARE = {"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled"}
REASONING_FIELDS = (
    "reasoning_effort",
    "reasoning",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "chat_template_kwargs",
)


def converted(options, *messages, thinking=None, effort=None, **fields):
    if thinking is not None:
        fields["thinking"] = thinking
    if effort is not None:
        fields["output_config"] = {"effort": effort}
    return convert(request_of(*messages, **{"max_tokens": 100_000, **fields}), options)


def sent(options, *messages, **fields):
    body = converted(options, *messages, **fields).body
    return {name: body[name] for name in REASONING_FIELDS if name in body}


@pytest.mark.parametrize(
    ("budget", "level"),
    [(1024, "low"), (4999, "low"), (5000, "medium"), (15999, "medium"), (16000, "high"), (48000, "high")],
)
def test_a_budget_becomes_an_effort(budget, level):
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert sent({"reasoning": "effort"}, thinking=thinking) == {"reasoning_effort": level}


def test_a_large_budget_is_xhigh_where_there_is_one():
    options = {"reasoning": "effort", "efforts": ["high", "xhigh"]}
    thinking = {"type": "enabled", "budget_tokens": 48_000}
    assert sent(options, thinking=thinking) == {"reasoning_effort": "xhigh"}


@pytest.mark.parametrize("thinking", [None, ADAPTIVE, BARE, {"type": "between_tools"}])
def test_without_a_budget_or_an_effort_the_provider_chooses(thinking):
    assert sent({"reasoning": "effort"}, thinking=thinking) == {}


@pytest.mark.parametrize(
    ("efforts", "effort", "level"),
    [
        (None, "max", "high"),
        (["low", "high", "max"], "medium", "low"),
        (["low", "high", "max"], "xhigh", "high"),
        (["high", "max"], "low", "high"),
        (["none", "high"], "low", "high"),
        (["high", "low"], "medium", "low"),
        (["low", "medium", "high", "xhigh"], "max", "xhigh"),
    ],
)
def test_an_effort_is_clamped_to_the_nearest_lower_one_or_the_lowest(efforts, effort, level):
    outcome = converted({"reasoning": "effort", "efforts": efforts}, effort=effort)
    assert outcome.body["reasoning_effort"] == level
    assert outcome.codes == ["clamped"]


@pytest.mark.parametrize("efforts", [["none"], []])
def test_a_wish_to_think_never_turns_thinking_off(efforts):
    outcome = converted({"reasoning": "effort", "efforts": efforts}, effort="low")
    assert "reasoning_effort" not in outcome.body
    assert outcome.codes == ["dropped"]


@pytest.mark.parametrize(
    ("efforts", "level"),
    [
        (["none", "low"], "none"),
        (["minimal", "low"], "minimal"),
        (["low", "medium"], "low"),
        (["none", "high"], "none"),
    ],
)
def test_disabled_thinking_is_none_or_the_lowest(efforts, level):
    assert sent({"reasoning": "effort", "efforts": efforts}, thinking=DISABLED) == {"reasoning_effort": level}


def test_disabled_beside_an_effort_wins_only_where_none_is_accepted():
    for efforts, level in ((["none", "low", "high"], "none"), (["low", "high"], "high")):
        options = {"reasoning": "effort", "efforts": efforts}
        assert sent(options, thinking=DISABLED, effort="high") == {"reasoning_effort": level}


def test_the_effort_of_the_last_system_message_that_has_one_wins():
    low, high = system("s", output_config={"effort": "low"}), system("s", output_config={"effort": "high"})
    options = {"reasoning": "effort"}
    assert sent(options, "a", low, effort="high") == {"reasoning_effort": "low"}
    assert sent(options, "a", low, high, system("t"), effort="medium") == {"reasoning_effort": "high"}


@pytest.mark.parametrize("asked", [{}, {"thinking": ADAPTIVE, "effort": "high"}, {"thinking": DISABLED}])
def test_with_tools_the_effort_is_the_one_the_provider_insists_on(asked):
    options = {"reasoning": "effort", "efforts": ["none", "low", "high"], "effort_with_tools": "none"}
    assert sent(options, tools=[TOOL], **asked) == {"reasoning_effort": "none"}
    assert "clamped" not in converted(options, tools=[TOOL], thinking=DISABLED).codes
    assert "clamped" in converted(options, tools=[TOOL], effort="high").codes
    assert sent(options, effort="high", tools=[]) == {"reasoning_effort": "high"}


@pytest.mark.parametrize("asked", [{"thinking": ENABLED}, {"thinking": DISABLED}, {"effort": "high"}, {}])
def test_a_model_without_reasoning_gets_no_field_at_all(asked):
    outcome = converted({}, **asked)
    assert not outcome.body.keys() & set(REASONING_FIELDS)
    assert outcome.codes == (["dropped"] if "effort" in asked or asked.get("thinking") == ENABLED else [])


@pytest.mark.parametrize(
    ("asked", "object_"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, {"max_tokens": 4000}),
        ({"thinking": ENABLED, "effort": "high"}, {"effort": "high"}),
        ({"thinking": ADAPTIVE, "effort": "max"}, {"effort": "high"}),
        ({"thinking": DISABLED}, {"enabled": False}),
        ({"thinking": DISABLED, "effort": "high"}, {"enabled": False}),
        ({"thinking": ADAPTIVE}, {"enabled": True}),
        ({"thinking": BARE}, {"enabled": True}),
        ({"effort": "low"}, {"effort": "low"}),
        ({}, None),
    ],
)
def test_openrouter_has_one_object(asked, object_):
    assert sent({"reasoning": "openrouter"}, **asked) == ({"reasoning": object_} if object_ else {})


SWITCHES = {
    "thinking_object": ({"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
    "reasoning_enabled": ({"reasoning": {"enabled": True}}, {"reasoning": {"enabled": False}}),
    "enable_thinking": ({"enable_thinking": True}, {"enable_thinking": False}),
    "chat_template_kwargs": (
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ),
}


@pytest.mark.parametrize("form", SWITCHES)
def test_a_switch_is_on_off_or_absent(form):
    on, off = SWITCHES[form]
    options = {"reasoning": form, "efforts": ["low", "high"]}
    for thinking in (ADAPTIVE, BARE, {"type": "between_tools"}):
        assert sent(options, thinking=thinking) == on
    assert sent(options, thinking=DISABLED) == off
    assert sent(options, thinking=DISABLED, effort="high") == off
    assert sent(options) == {}
    assert sent(options, thinking=ADAPTIVE, effort="high") == {**on, "reasoning_effort": "high"}
    assert sent(options, effort="max") == {"reasoning_effort": "high"}
    assert sent({"reasoning": form}, thinking=ADAPTIVE, effort="high") == on


@pytest.mark.parametrize(
    ("form", "on"),
    [
        ("thinking_object", {"thinking": {"type": "adaptive"}}),
        ("chat_template_kwargs", {"chat_template_kwargs": {"adaptive": True}}),
    ],
)
def test_the_word_of_the_on_form_can_be_another(form, on):
    assert sent({"reasoning": form, "reasoning_on": "adaptive"}, thinking=ADAPTIVE) == on


@pytest.mark.parametrize("form", SWITCHES)
def test_a_model_that_always_thinks_gets_no_off_switch(form):
    options = {"reasoning": form, "reasoning_off": False}
    outcome = converted(options, thinking=DISABLED)
    assert not outcome.body.keys() & set(REASONING_FIELDS)
    assert "dropped" in outcome.codes
    assert sent({**options, "efforts": ["low", "high"]}, thinking=DISABLED) == {"reasoning_effort": "low"}


def test_openrouter_models_that_always_think_get_the_lowest_effort():
    assert sent({"reasoning": "openrouter", "reasoning_off": False}, thinking=DISABLED) == {
        "reasoning": {"effort": "low"}
    }


@pytest.mark.parametrize(("budget", "cut"), [(40_000, 32_768), (2048, 2048)])
def test_a_budget_goes_beside_enable_thinking_up_to_its_maximum(budget, cut):
    options = {"reasoning": "enable_thinking", "thinking_budget_max": 32_768}
    thinking = {"type": "enabled", "budget_tokens": budget}
    assert sent(options, thinking=thinking) == {"enable_thinking": True, "thinking_budget": cut}
    assert sent({**options, "efforts": ["high"]}, thinking=thinking) == {
        "enable_thinking": True,
        "reasoning_effort": "high",
    }


@pytest.mark.parametrize(
    ("cap", "object_"),
    [(20_000, {"max_tokens": 10_000}), (10_000, {"max_tokens": 8000}), (1200, {"effort": "medium"})],
)
def test_a_budget_leaves_room_for_an_answer_under_a_lowered_cap(cap, object_):
    options = {"reasoning": "openrouter", "max_output_tokens": cap}
    assert sent(options, thinking=ENABLED) == {"reasoning": object_}


@pytest.mark.parametrize(
    ("thinking", "requested", "display"),
    [
        (None, False, None),
        (DISABLED, False, None),
        ({**ADAPTIVE, "display": "omitted"}, True, "omitted"),
        (ENABLED, True, None),
        ({"type": "between_tools", "display": "updates"}, True, "updates"),
    ],
)
def test_the_answer_knows_whether_thinking_was_requested(thinking, requested, display):
    for form in ("none", "effort", "thinking_object"):
        context = converted({"reasoning": form}, thinking=thinking).context
        assert (context.thinking_requested, context.thinking_display) == (requested, display)


def test_a_model_that_thinks_in_streams_alone_is_switched_off_in_whole_answers():
    options = {"reasoning": "enable_thinking", "efforts": ["low", "high"], "whole_thinking": False}
    assert sent(options, thinking=ADAPTIVE, effort="high") == {"enable_thinking": False}
    assert sent(options) == {"enable_thinking": False}
    streamed = sent(options, thinking=ADAPTIVE, effort="high", stream=True)
    assert streamed == {"enable_thinking": True, "reasoning_effort": "high"}
    entries = converted(options, thinking=ADAPTIVE).entries
    assert ("dropped", "thinking", "the model thinks in streamed answers only") in entries


@pytest.mark.parametrize("form", [*SWITCHES, "openrouter"])
@pytest.mark.parametrize("efforts", [["low", "high"], ["none", "low"], []])
def test_a_switch_thrown_off_says_nothing_of_an_effort_that_is_not_sent(form, efforts):
    options = {"reasoning": form, "efforts": efforts}
    assert converted(options, thinking=DISABLED).entries == []
    beside = converted(options, thinking=DISABLED, effort="high").entries
    assert beside == [("dropped", "output_config.effort", "thinking is switched off")]


def test_every_preset_whose_thinking_is_a_switch_switches_it_off_without_an_entry():
    switches = (
        "thinking_object",
        "reasoning_enabled",
        "enable_thinking",
        "chat_template_kwargs",
        "openrouter",
    )
    found = 0
    for known in presets().values():
        for rule_options in ({}, *(rule.options for rule in known.model_rules)):
            options = {**known.options, **rule_options}
            if options.get("reasoning") in switches and options.get("reasoning_off", True):
                entries = converted({**options, "protocol": "chat"}, thinking=DISABLED).entries
                assert [entry for entry in entries if entry[1] in ("thinking", "output_config.effort")] == []
                found += 1
    assert found > 20


def test_an_effort_beside_disabled_thinking_is_in_the_ledger_where_none_is_sent():
    options = {"reasoning": "effort", "efforts": ["none", "high"]}
    assert converted(options, thinking=DISABLED).entries == []
    beside = converted(options, thinking=DISABLED, effort="high").entries
    assert beside == [("dropped", "output_config.effort", "thinking is switched off")]


@pytest.mark.parametrize("form", [*SWITCHES, "openrouter"])
def test_a_model_that_always_thinks_says_which_effort_the_wish_became(form):
    options = {"reasoning": form, "reasoning_off": False, "efforts": ["low", "high"]}
    always = ("dropped", "thinking", "the model always thinks")
    assert set(converted(options, thinking=DISABLED).entries) == {
        always, ("clamped", "thinking", "effort none became low"),
    }  # fmt: skip
    assert set(converted(options, thinking=DISABLED, effort="high").entries) == {
        always, ("clamped", "output_config.effort", "effort high became low"),
    }  # fmt: skip


def test_disabled_thinking_that_no_field_can_say_is_in_the_ledger():
    outcome = converted({"reasoning": "effort", "efforts": []}, thinking=DISABLED)
    assert outcome.entries == [("dropped", "thinking", "the model takes no effort")]


def test_a_budget_that_goes_as_a_budget_is_no_effort():
    outcome = converted({"reasoning": "openrouter", "efforts": ["low", "high"]}, thinking=ENABLED)
    assert outcome.body["reasoning"] == {"max_tokens": 10_000}
    assert outcome.entries == []


def test_a_budget_that_shrinks_or_goes_is_in_the_ledger():
    options = {"reasoning": "enable_thinking", "thinking_budget_max": 4096}
    assert converted(options, thinking=ENABLED).entries == [
        ("clamped", "thinking.budget_tokens", "10000 became 4096")
    ]
    assert converted({"reasoning": "thinking_object"}, thinking=ENABLED).entries == [
        ("dropped", "thinking.budget_tokens", "the model takes no budget")
    ]
