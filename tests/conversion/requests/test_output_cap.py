"""max_tokens within the limits of the upstream model."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes
from gateway.conversion.requests.plan import output_cap
from tests.conversion.converting import convert, refusal_of, request_of


@pytest.mark.parametrize(
    ("options", "asked", "estimate", "sent"),
    [
        ({}, 1024, 10, 1024),
        ({"max_output_tokens": 32_000}, 500_000, 10, 32_000),
        ({"max_output_tokens": 32_000}, 32_000, 10, 32_000),
        ({"min_output_tokens": 100}, 1, 10, 100),
        ({"min_output_tokens": 100, "max_output_tokens": 50}, 1, 10, 50),
        ({"context_window": 1000}, 5000, 10, 5000),
        ({"context_window": 1000, "window_check": "fit"}, 5000, 100, 388),
        ({"context_window": 1000, "window_check": "enforce"}, 5000, 100, 388),
        ({"context_window": 1000, "window_check": "fit"}, 200, 100, 200),
        ({"context_window": 1000, "window_check": "fit"}, 5000, 900, 256),
        ({"context_window": 1000, "window_check": "fit"}, 5000, 5000, 256),
        ({"context_window": 1000, "window_check": "enforce"}, 5000, 1000, 256),
        ({"window_check": "enforce"}, 5000, 10**9, 5000),
    ],
)
def test_the_cap_stays_within_the_model_and_its_window(options, asked, estimate, sent):
    notes, ledger = Notes(), Ledger()
    assert output_cap(asked, estimate, Profile.merged(options), notes) == sent
    notes.write(ledger)
    assert [entry.code for entry in ledger.entries] == (["clamped"] if sent != asked else [])


def test_the_cap_goes_into_the_field_of_the_profile_and_the_context():
    outcome = convert(request_of(max_tokens=9), {"max_tokens_field": "max_completion_tokens"})
    assert (outcome.body["max_completion_tokens"], outcome.context.max_tokens) == (9, 9)
    assert "max_tokens" not in outcome.body


def test_what_does_not_fit_is_refused_by_enforcement_so_that_clients_compact():
    message = refusal_of(request_of("word " * 4000), {"context_window": 1000, "window_check": "enforce"})
    assert message.startswith("prompt is too long: ")
    assert message.endswith(" tokens > 1000 maximum")
