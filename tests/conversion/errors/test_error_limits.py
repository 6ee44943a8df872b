"""Windows and output caps that errors tell."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.errors.error_limits import told_limits
from gateway.conversion.profile import Profile

ENTRIES = json.loads(Path(__file__).with_name("overflow_wordings.json").read_text())["entries"]
WITH_WINDOW = [
    entry
    for entry in ENTRIES
    if entry["kind"] == "overflow" and "limit" in entry["captures"] and "message size" not in entry["regex"]
]


def told(message):
    return told_limits(json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode())


@pytest.mark.parametrize("entry", WITH_WINDOW, ids=lambda entry: f"{entry['provider']}-{entry['regex'][:30]}")
def test_every_window_that_an_overflow_names_is_found(entry):
    body = json.dumps(entry["body_example"])
    limit = re.search(entry["regex"], body.replace('\\"', '"'), re.IGNORECASE | re.DOTALL)["limit"]
    assert told_limits(body.encode()) == {"context_window": int(limit.replace(",", ""))}


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 65536]", 65536),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you "
         "provided 64000.", 16384),
        ("max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens", 32000),
        ("`max_tokens` must be less than or equal to `32768`, the maximum value for this model", 32768),
        ("max_completion_tokens must be at most 40,960", 40960),
        ("Unable to submit because it has a maxOutputTokens value of 99999 but the supported range is "
         "from 1 (inclusive) to 65537 (exclusive).", 65536),
        ("The maximum output tokens for this model is 4096.", 4096),
    ],
)  # fmt: skip
def test_a_cap_on_the_output_is_found(message, limit):
    assert told(message) == {"max_output_tokens": limit}


@pytest.mark.parametrize(
    "message",
    [
        "Request too large for model `x` on tokens per minute (TPM): Limit 8000, Requested 31234",
        "Rate limit reached: maximum context length is 128000 tokens",
        "The model is overloaded",
        "This model's maximum context length is 7 tokens. However, your messages resulted in 9 tokens.",
        "max_tokens must be less than or equal to 1",
        "Prompt exceeds max length",
    ],
)
def test_what_is_no_limit_of_the_model_teaches_nothing(message):
    assert told(message) == {}


def test_fields_with_numbers_are_read_as_well():
    body = {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available "
            "context size", "n_prompt_tokens": 40_000, "n_ctx": 32_768}}  # fmt: skip
    assert told_limits(json.dumps(body).encode()) == {"context_window": 32_768}


def test_what_is_told_is_a_layer_of_a_profile():
    assert Profile.merged({}, told("maximum context length is 128000 tokens")).context_window == 128_000


@given(st.binary(max_size=300))
def test_any_body_is_read_without_an_error(body):
    assert set(told_limits(body)) <= {"context_window", "max_output_tokens"}
