"""Input counts for a client that assumes another window."""

import pytest

from gateway.conversion.profile import Profile
from gateway.conversion.tokens.client_window import scaled, usage_scale

LONG = {"anthropic-beta": "claude-code-20250219,context-1m-2025-08-07"}


def scale(options, model="claude-sonnet-5", headers=None):
    return usage_scale(Profile.merged(options), model, headers or {})


@pytest.mark.parametrize("options", [{}, {"client_window": "auto"}, {"context_window": 128_000}])
def test_nothing_is_scaled_without_the_option_or_without_a_window(options):
    assert scale(options) == 1.0


def test_the_ratio_of_the_windows_is_the_scale():
    assert scale({"client_window": 200_000, "context_window": 128_000}) == 1.5625
    assert scale({"client_window": "auto", "context_window": 128_000}) == 1.5625
    assert scale({"client_window": "auto", "context_window": 1_000_000}) == 0.2


def test_a_client_that_asked_for_the_long_context_assumes_a_million():
    options = {"client_window": "auto", "context_window": 500_000}
    assert scale(options) == 0.4
    assert scale(options, headers=LONG) == 2.0
    assert scale(options, model="claude-opus-5-5[1m]") == 2.0
    assert scale({**options, "client_window": 250_000}, headers=LONG) == 0.5


def test_only_the_input_counts_are_scaled_and_never_to_too_little():
    usage = {
        "input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0,
        "output_tokens": 7, "cache_creation": None, "service_tier": "standard",
    }  # fmt: skip
    told = scaled(usage, 1.5)
    assert told == {**usage, "input_tokens": 5, "cache_read_input_tokens": 150}
    assert usage["input_tokens"] == 3
    assert scaled(usage, 1.0) is usage
