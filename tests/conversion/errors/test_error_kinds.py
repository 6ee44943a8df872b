"""What an error is about: every code and wording, and what only sounds like one or repeats a user's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.conversion.errors.error_body import read
from gateway.conversion.errors.error_kinds import BAD_CREDENTIAL, CONTENT_FILTER, NO_MODEL, NO_MONEY
from gateway.conversion.errors.overflow import compiled_wordings, wordings
from gateway.conversion.errors.upstream import upstream_error
from gateway.errors import UpstreamRefused
from gateway.upstream.failover.attempts import Fault, fault_of
from tests.conversion.errors.test_error_body import ways_to_echo

SAID = json.loads(Path(__file__).with_name("error_kinds.json").read_text())
KINDS = {
    "content_filter": CONTENT_FILTER,
    "no_money": NO_MONEY,
    "bad_credential": BAD_CREDENTIAL,
    "no_model": NO_MODEL,
}
# what only sounds like a kind
OTHERS = {
    "content_filter": "no_content_filter",
    "no_money": "no_lack_of_money",
    "bad_credential": "no_bad_credential",
    "no_model": "no_missing_model",
}


def error_of(status, body):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return upstream_error(status, {}, raw, model="m", context_window=200_000, estimated_tokens=12)


@pytest.mark.parametrize(("status", "body"), SAID["content_filter"])
def test_a_prompt_that_a_filter_refused_is_a_refusal(status, body):
    assert isinstance(error_of(status, body), UpstreamRefused)


@pytest.mark.parametrize(("status", "body"), SAID["no_content_filter"])
def test_what_sounds_like_a_filter_is_no_refusal(status, body):
    assert not isinstance(error_of(status, body), UpstreamRefused)


@pytest.mark.parametrize(("status", "body"), SAID["no_money"])
def test_missing_money_is_a_billing_error_that_is_not_retried(status, body):
    error = error_of(status, body)
    assert (error.status, error.error_type, error.should_retry) == (402, "billing_error", False)


@pytest.mark.parametrize(("status", "body"), SAID["no_lack_of_money"])
def test_what_sounds_like_missing_money_is_no_billing_error(status, body):
    assert error_of(status, body).error_type != "billing_error"


@pytest.mark.parametrize("kind", KINDS)
def test_every_wording_of_a_kind_is_met_in_something_said(kind):
    entry = wordings()["kinds"][kind]
    bodies = (body for _, body in (*SAID[kind], *SAID[OTHERS[kind]]))
    said = [text for body in bodies for text in read(body).texts]
    for entries in (entry["wordings"], entry.get("never", []), entry.get("despite_code", [])):
        missed = [
            one["pattern"]
            for one, pattern in zip(entries, compiled_wordings(entries), strict=True)
            if not any(pattern.search(text) for text in said)
        ]
        assert not missed
        assert all(one["source"] for one in entries)


@pytest.mark.parametrize(("status", "body"), SAID["bad_credential"])
def test_a_credential_refused_with_400_is_the_gateways(status, body):
    error = error_of(status, body)
    assert (error.status, error.should_retry) == (502, False)
    assert fault_of(error) is Fault.CREDENTIAL


@pytest.mark.parametrize(("status", "body"), SAID["no_model"])
def test_a_missing_model_told_with_400_is_the_targets_fault(status, body):
    error = error_of(status, body)
    assert (error.status, error.error_type, error.message) == (404, "not_found_error", "model: m")
    assert fault_of(error) is Fault.TARGET


@pytest.mark.parametrize(("status", "body"), [*SAID["no_bad_credential"], *SAID["no_missing_model"]])
def test_what_sounds_like_a_bad_credential_or_model_is_the_clients_fault(status, body):
    assert fault_of(error_of(status, body)) is Fault.CLIENT


def test_a_400_whose_words_did_not_arrive_is_no_overflow():
    facts = {"model": "m", "context_window": 1000, "estimated_tokens": 900}
    assert "prompt is too long" in upstream_error(400, {}, b"", **facts).message
    assert "prompt is too long" not in upstream_error(400, {}, b"", **facts, whole=False).message


@pytest.mark.parametrize("kind", ["content_filter", "no_money"])
def test_a_users_echoed_words_name_no_kind(kind):
    words = [text for _, body in SAID[kind] for text in read(body).texts if len(text.split()) > 4]
    words = [text for text in words if not set("\"'`{<") & set(text)]
    assert words
    wrong = [
        (text, body)
        for text in words
        for body in ways_to_echo(text)
        if KINDS[kind].is_told(
            read(body if isinstance(body, dict) else None, body if isinstance(body, str) else "")
        )
    ]
    assert not wrong
