"""What lists of models look like at the services, as far as sizes are in them."""

import json

import pytest

from gateway.upstream.trial.models_list import OfferedModel, offered_models, with_sizes

# service -> one entry of its list, the window and the output cap in it
ENTRIES = {
    "openrouter": (
        {
            "id": "vendor/m", "context_length": 1_000_000,
            "top_provider": {"context_length": 1_000_000, "max_completion_tokens": 128_000},
        },
        1_000_000, 128_000,
    ),
    "vllm": ({"id": "m", "max_model_len": 32_768}, 32_768, None),
    "groq": ({"id": "m", "context_window": 131_072, "max_completion_tokens": 65_536}, 131_072, 65_536),
    "mistral": ({"id": "m", "max_context_length": 128_000, "capabilities": {"vision": True}}, 128_000, None),
    "together": ({"id": "m", "context_length": 262_144, "pricing": {}}, 262_144, None),
    "gemini": (
        {"name": "models/m", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}, 1_048_576, 65_536,
    ),
    "lm-studio": ({"id": "m", "max_context_length": 131_072, "loaded_context_length": 8_192}, 8_192, None),
    # what it was trained with is not what it was started with
    "llama-cpp": ({"id": "m", "meta": {"n_ctx_train": 131_072, "n_params": 1}}, None, None),
    "anthropic": ({"id": "m", "max_input_tokens": 200_000, "max_tokens": 64_000}, 200_000, 64_000),
    "openai": ({"id": "m", "object": "model", "created": 1}, None, None),
}  # fmt: skip


@pytest.mark.parametrize("service", ENTRIES)
def test_the_sizes_of_a_list_are_found(service):
    entry, window, cap = ENTRIES[service]
    [model] = offered_models(json.dumps({"data": [entry]}).encode())
    assert (model.context_window, model.max_output_tokens) == (window, cap)


LISTED = [OfferedModel("a", 1000, 100), OfferedModel("b")]


def test_one_window_for_whatever_is_served():
    props = {"default_generation_settings": {"n_ctx": 32_768, "params": {}}, "total_slots": 1}
    assert with_sizes(LISTED, json.dumps(props).encode()) == [
        OfferedModel("a", 32_768, 100), OfferedModel("b", 32_768),
    ]  # fmt: skip


def test_the_window_that_a_model_was_loaded_with():
    running = {"models": [{"name": "b", "model": "b", "context_length": 4096}]}
    assert with_sizes(LISTED, json.dumps(running).encode()) == [LISTED[0], OfferedModel("b", 4096)]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data": 1}', b'{"default_generation_settings": 1}']
)
def test_what_cannot_be_read_changes_nothing(body):
    assert with_sizes(LISTED, body) == LISTED
