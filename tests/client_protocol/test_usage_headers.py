import pytest

from gateway.client_protocol.usage_headers import (
    refusal_headers,
    refusal_sentence,
    usage_document,
    usage_headers,
    usage_without_cap,
)

STEM = "anthropic-ratelimit-unified-"
RESET = 1796083200


@pytest.mark.parametrize(
    ("share", "shown", "threshold", "status"),
    [
        (0.0, "0.00", None, "allowed"), (0.749, "0.74", None, "allowed"),
        (0.75, "0.75", "0.75", "allowed_warning"), (0.82, "0.82", "0.75", "allowed_warning"),
        (0.96, "0.96", "0.95", "allowed_warning"), (0.9999, "0.99", "0.95", "allowed_warning"),
    ],
)  # fmt: skip
def test_the_headers_are_those_that_the_client_reads(share, shown, threshold, status):
    found = usage_headers(share, RESET)
    assert found[STEM + "overage-utilization"] == shown
    assert found.get(STEM + "overage-surpassed-threshold") == threshold
    assert found[STEM + "status"] == found[STEM + "overage-status"] == status
    assert found[STEM + "reset"] == found[STEM + "overage-reset"] == str(RESET)
    assert found[STEM + "representative-claim"] == "overage"


def test_a_refusal_has_what_shows_our_sentence_and_not_what_replaces_it():
    found = refusal_headers("day", RESET)
    assert found[STEM + "overage-disabled-reason"] == "org_spend_cap_reached"
    assert found[STEM + "overage-period"] == "daily"
    assert not {STEM + "representative-claim", STEM + "overage-status"} & found.keys()
    said = refusal_sentence("day", RESET, "Ann (ext. 7)")
    assert said.startswith("Your daily budget at this gateway is used up")
    assert said.endswith("Ask Ann (ext. 7) for more.")


def test_dollars_are_cents_and_the_reset_is_that_of_the_headers():
    found = usage_document("month", 8200, 10000, RESET)
    assert found["extra_usage"]["utilization"] == 82
    [row] = found["limits"]
    assert (row["group"], row["percent"], row["severity"], row["is_active"]) == (
        "monthly",
        82,
        "warning",
        True,
    )
    assert row["resets_at"].endswith(":00.000Z")
    assert usage_document("day", 1, 0, RESET)["extra_usage"]["utilization"] == 100


def test_without_a_cap_all_three_sums_are_told():
    found = usage_without_cap(1240, 9900, 31240)
    assert found["limits"] == []
    assert found["extra_usage"]["daily"]["used_credits"] == 1240
    assert found["extra_usage"]["used_credits"] == 31240
