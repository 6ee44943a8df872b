"""Profile and its JSON Schema say the same."""

import dataclasses
import json
from pathlib import Path

import pytest

from gateway.conversion import profile as module
from gateway.conversion.profile import DEFAULTS, Profile

SCHEMA = json.loads((Path(module.__file__).parent / "profile.schema.json").read_text())


def plain(value):
    return [plain(inner) for inner in value] if isinstance(value, tuple) else value


def test_the_schema_has_the_same_options_and_defaults_as_the_class():
    defaults = {name: rule["default"] for name, rule in SCHEMA["properties"].items()}
    assert defaults == {f.name: plain(getattr(DEFAULTS, f.name)) for f in dataclasses.fields(Profile)}


def test_a_later_layer_replaces_an_earlier_value_as_a_whole():
    merged = Profile.merged({"efforts": ["low"], "extra_body": {"a": 1}}, {"extra_body": {"b": 2}})
    assert merged.efforts == ("low",)
    assert merged.extra_body == {"b": 2}


def test_null_is_back_to_the_default_even_over_an_earlier_layer():
    assert Profile.merged({"stop_max": 9}, {"stop_max": None}).stop_max == 4


def test_a_null_reasoning_placeholder_is_kept_because_it_leaves_the_field_out():
    assert Profile.merged({"reasoning_placeholder": None}).reasoning_placeholder is None


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(ValueError, match="no_such"):
        Profile.merged({"no_such": 1})


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({}, ()),
        ({"reasoning": "effort"}, ("low", "medium", "high")),
        ({"reasoning": "openrouter"}, ("low", "medium", "high")),
        ({"reasoning": "thinking_object"}, ()),
        ({"reasoning": "effort", "efforts": []}, ()),
    ],
)
def test_the_default_effort_levels_follow_the_form_of_reasoning(options, levels):
    assert Profile.merged(options).effort_levels == levels


def test_streams_of_thinking_models_may_be_silent_for_longer():
    assert Profile.merged({}).idle_timeout == 120
    assert Profile.merged({"reasoning": "effort"}).idle_timeout == 600
    assert Profile.merged({"stream_idle_timeout": 5}).idle_timeout == 5
