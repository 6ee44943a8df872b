"""Which texts are kept, and how headers are shown."""

import pytest

from gateway.history.record import capture


@pytest.mark.parametrize(
    ("key", "gateway", "expected"), [("", "full", "full"), ("none", "full", "none"), ("full", "none", "full")]
)
def test_a_keys_policy_comes_before_the_gateways(key, gateway, expected):
    assert capture.policy(key, gateway) == expected


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "x-api-key",
        "api-key",
        "cookie",
        "x-my-token",
        "X-Secret-Thing",
        "cf-access-jwt-assertion",
        "x-forwarded-user",
        "x-forwarded-client-cert",
        "x-goog-iap",
        "anything",
        "x-claude-code-credential",
        "accept-not",
    ],
)
def test_a_header_that_may_carry_a_secret_is_masked(name):
    assert capture.masked_headers({name: "s3cr3t", "accept": "x"}) == {name: capture.MASK, "accept": "x"}


@pytest.mark.parametrize(
    "name", ["User-Agent", "anthropic-beta", "x-stainless-os", "x-claude-code-session-id", "x-forwarded-for"]
)
def test_a_header_that_says_what_a_request_is_stays(name):
    assert capture.masked_headers({name: "said"}) == {name: "said"}


def test_a_stream_is_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(capture, "MAX_STREAM_BYTES", 10)
    log = capture.ByteLog()
    for _ in range(100):
        log.add(b"12345")
    assert log.text() == b"12345" * 2
    assert log.cut


def test_a_stream_that_fits_is_whole(monkeypatch):
    monkeypatch.setattr(capture, "MAX_STREAM_BYTES", 10)
    log = capture.ByteLog()
    for piece in (b"12345", b"12345", b""):
        log.add(piece)
    assert not log.cut


def test_the_order_of_headers_stays_and_long_names_are_masked_as_well():
    headers = {"accept": "x", "x-" + "a" * 3000 + "-token": "s3cr3t", "authorization": "s3cr3t", "b": "y"}
    for _ in range(2):
        masked = capture.masked_headers(headers)
        assert list(masked) == list(headers)
        assert list(masked.values()) == ["x", capture.MASK, capture.MASK, capture.MASK]
