"""No secret of a provider reaches a client (docs/conversion.md, "Errors of providers")."""

from __future__ import annotations

import pytest

from gateway.masking.kinds import BUILT_IN
from gateway.masking.redaction import masked
from tests.history.secrets.test_masker import SECRETS


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abc",
        "sk-proj-AbCdEf0123456789",
        "sk-ant-api03-AbCdEf0123",
        "gsk_AbCdEf0123456789",
        "xai-AbCdEf0123456789",
        "AIzaSyAbCdEf0123456789",
        "hf_AbCdEf0123456789",
        "nvapi-AbCdEf0123456789",
        "ccp_AbCdEf0123456789",
        "Bearer AbCdEf0123456789",
        "https://user:pa55word@host/path",
        "https://host/v1?key=AbCdEf0123456789",
        "X-A-B-C-D-E-F-G-H-Api-Key: AbCdEf0123456789",
        "a_b_c_d_e_f_g_h_i_j_token=AbCdEf0123456789",
        "secret = AbCdEf0123456789",
        'api_key="AbCdEf0123456789"',
        '"api-key": "AbCdEf0123456789"',
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_secrets_are_masked(secret):
    shown = masked(f"before {secret} after")
    assert shown.startswith("before ") and shown.endswith(" after")
    assert "***" in shown
    for part in ("AbCdEf", "pa55word", "sk-abc", "eyJzdWIi"):
        assert part not in shown


@pytest.mark.parametrize(
    "text",
    [
        "The model does not exist",
        "maximum context length is 128000 tokens",
        "see https://example.com/docs?page=2",
        "max_tokens: 64000 is too large",
        "the key task-manager is unknown",
        'Unrecognized key: "response_format"',
        "use basic authentication",
        "a co-occurrence of or_something",
        "tool_choice: tool 'ask-user-question' not found",
    ],
)
def test_ordinary_text_is_untouched(text):
    assert masked(text) == text


def test_no_kind_of_secret_that_is_masked_in_stored_texts_is_left_in_a_message():
    left = {name for name, secret in SECRETS.items() if secret[:12] in masked(f"bad: {secret} (code 1)")}
    assert not left
    assert {kind.name for kind in BUILT_IN} - {"authorization", "password", "aws-secret"} == SECRETS.keys()
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert masked(f"AWS_SECRET_ACCESS_KEY={secret}") == "AWS_SECRET_ACCESS_KEY=***"
    assert "hunter22" not in masked("postgres://app:hunter22@db/app")
