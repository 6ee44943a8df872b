"""Errors that pass, and those that are converted all the same."""

import json

import pytest

from gateway.conversion.anthropic.errors import passed_error


def told(status, kind, message, **more):
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up", **more}
    return status, json.dumps(body, indent=1).encode()


def read(status, body, headers=None):
    return passed_error(
        status, headers or {}, body, model="claude-test", context_window=1000, estimated_tokens=1200
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        told(400, "invalid_request_error", "messages.3.content.0: unexpected thing"),
        told(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        told(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
        told(402, "billing_error", "no credit"),
        told(404, "not_found_error", "model: claude-up"),
        told(413, "request_too_large", "too large"),
        told(429, "rate_limit_error", "slow down"),
        told(500, "api_error", "oops"),
        told(529, "overloaded_error", "Overloaded", future=1),
    ],
)
def test_an_error_of_the_messages_api_passes_byte_for_byte(status, body):
    error = read(status, body)
    assert (error.status, error.upstream_status, error.verbatim) == (status, status, body)
    assert error.error_type == json.loads(body)["error"]["type"]


def test_limits_and_pauses_go_back_with_it():
    headers = {
        "Retry-After": "7",
        "retry-after-ms": "6500",
        "x-should-retry": "true",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-organization-id": "org",
        "request-id": "req_up",
        "set-cookie": "c",
    }
    error = read(*told(429, "rate_limit_error", "slow"), headers)
    assert error.headers() == {
        "retry-after": "7",
        "retry-after-ms": "6500",
        "x-should-retry": "true",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-organization-id": "org",
    }
    assert read(*told(529, "overloaded_error", "x"), {"x-should-retry": "false"}).should_retry is False


def test_the_gateways_own_credential_is_no_affair_of_the_client():
    error = read(*told(401, "authentication_error", "invalid x-api-key"))
    assert (error.status, error.error_type, error.should_retry) == (502, "api_error", False)
    assert error.verbatim is None
    assert read(*told(403, "permission_error", "no")).verbatim is None


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (502, b"<html>bad gateway</html>", 502, "upstream error (HTTP 502)"),
        (404, b"404 page not found", 404, "404 page not found"),
        (400, b'{"error":{"message":"no such field","code":400}}', 400, "no such field"),
        (
            400,
            b'{"error":{"code":400,"message":"too large","type":"exceed_context_size_error",'
            b'"n_prompt_tokens":1500,"n_ctx":1000}}',
            400,
            "prompt is too long: 1500 tokens > 1000 maximum",
        ),
        (
            *told(400, "invalid_request_error", "This model's maximum context length is 1000 tokens."),
            400,
            "prompt is too long: 1200 tokens > 1000 maximum",
        ),
    ],
)
def test_what_no_client_would_understand_is_converted(status, body, expected, message):
    error = read(status, body)
    assert (error.status, error.message, error.verbatim) == (expected, message, None)


@pytest.mark.parametrize(
    "body", [b"[]", b'{"type":"error"}', b'{"type":"error","error":{"type":7,"message":"x"}}', b"\xff"]
)
def test_a_body_in_no_form_is_an_error_all_the_same(body):
    assert read(500, body).status == 500


def test_an_empty_account_is_the_gateways_and_told_as_such():
    error = read(*told(400, "invalid_request_error", "Your credit balance is too low to access the API"))
    assert (error.status, error.error_type, error.verbatim) == (402, "billing_error", None)
