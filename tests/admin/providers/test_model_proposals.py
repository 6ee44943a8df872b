"""Loaded models come with a proposal for opus, sonnet and haiku."""

import pytest

from gateway.admin.providers.model_proposals import NamedModel, proposed


def models(*names):
    return [NamedModel(name, 1000) for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("only-one",), {"only-one": "*"}),
        (("only-one", "text-embedding-3-large"), {"only-one": "*"}),
        (
            ("gpt-6.1", "gpt-6.1-mini", "gpt-6.1-pro", "whisper-1"),
            {"gpt-6.1-pro": "*opus*", "gpt-6.1": "*sonnet*", "gpt-6.1-mini": "*haiku*"},
        ),
        (
            ("anthropic/claude-haiku-5", "anthropic/claude-opus-5", "anthropic/claude-sonnet-5", "x-pro"),
            {
                "anthropic/claude-opus-5": "*opus*",
                "anthropic/claude-sonnet-5": "*sonnet*",
                "anthropic/claude-haiku-5": "*haiku*",
            },
        ),
        (
            ("llama3.3:70b", "qwen3:8b", "qwen3:235b"),
            {"qwen3:235b": "*opus*", "llama3.3:70b": "*sonnet*", "qwen3:8b": "*haiku*"},
        ),
        ((), {}),
        (("tts-1", "dall-e-3"), {}),
    ],
)
def test_sizes_are_read_from_names(names, expected):
    assert proposed(models(*names), ()) == expected


def test_of_one_size_the_largest_window_is_taken_and_of_those_the_first():
    some = [NamedModel("a-pro", 10), NamedModel("b-pro", 30), NamedModel("c-pro", 30), NamedModel("d", 0)]
    assert proposed(some, ())["b-pro"] == "*opus*"


def test_a_name_that_a_mapping_has_is_not_proposed_again():
    assert proposed(models("x-pro", "x-mini"), {"*opus*"}) == {"x-mini": "*haiku*"}
    assert proposed(models("one"), {"*"}) == {}
