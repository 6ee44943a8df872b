"""Stored exchanges as cases for manage.py convert."""

import json

import pytest

from gateway.admin.requests.reproduce import case
from gateway.conversion.profile import Profile
from gateway.management import dryrun

REQUEST = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
PROFILE = Profile(upstream_model="gpt-4o", max_tokens_field="max_completion_tokens", efforts=("low",))


def test_a_request_converts_as_it_did():
    made = case(
        "req_1",
        PROFILE,
        {"anthropic-version": "x", "authorization": "no"},
        json.dumps(REQUEST).encode(),
        None,
    )
    assert made["options"] == {
        "upstream_model": "gpt-4o", "max_tokens_field": "max_completion_tokens", "efforts": ["low"]
    }  # fmt: skip
    assert made["headers"] == {"anthropic-version": "x"}
    upstream = dryrun.run(made)["upstream"]
    assert (upstream["model"], upstream["max_completion_tokens"]) == ("gpt-4o", 5)


@pytest.mark.parametrize("kind", ["stream", "response"])
def test_an_answer_is_taken_along(kind):
    choice = {"index": 0, "finish_reason": "stop", "delta": {"content": "x"}, "message": {"content": "x"}}
    chunk = json.dumps(
        {"id": "1", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    )
    answered = f"data: {chunk}\n\ndata: [DONE]\n\n" if kind == "stream" else chunk
    made = case(
        "req_1", None, {}, json.dumps({**REQUEST, "stream": kind == "stream"}).encode(), answered.encode()
    )
    assert made["kind"] == kind
    result = dryrun.run(json.loads(json.dumps(made)))
    assert "error" not in result
