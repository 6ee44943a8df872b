"""Every known wording of an overflow becomes the one that makes Claude Code compact."""

import json
import re
from pathlib import Path

import pytest

from gateway.conversion.answers.chat_message import whole_answer
from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors.upstream import upstream_error
from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.errors import UpstreamError

ENTRIES = json.loads(Path(__file__).with_name("overflow_wordings.json").read_text())["entries"]
IN_BODY = [entry for entry in ENTRIES if entry["where"] in ("http_body", "error.metadata.raw")]
WINDOW, ESTIMATE = 1_048_576, 1_048_000
COMPACTS = ("prompt is too long: ", "input length and `max_tokens` exceed context limit: ")


def named(entry):
    return f"{entry['provider']}-{entry['regex'][:30]}"


def context():
    return AnswerContext(
        "m",
        lambda prefix: prefix + "1",
        profile=Profile(context_window=WINDOW),
        max_tokens=100,
        estimated_input_tokens=ESTIMATE,
    )


def error_for(status, body):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return upstream_error(
        status, {}, data, model="m", context_window=WINDOW, estimated_tokens=ESTIMATE, now=0.0
    )


def compacts(error):
    """Claude Code compacts on these words with status 400, and on any 413.

    See docs/client-behaviour.md, "Compaction".
    """
    return (error.status == 400 and error.message.startswith(COMPACTS)) or error.status == 413


@pytest.mark.parametrize("entry", [e for e in IN_BODY if e["kind"] != "max_tokens"], ids=named)
def test_an_error_that_says_overflow_makes_the_client_compact(entry):
    assert compacts(error_for(entry["status"], entry["body_example"]))


@pytest.mark.parametrize(
    "entry",
    # Kimi's `total message size` is in bytes
    [e for e in IN_BODY if "limit" in e["captures"] and "message size" not in e["regex"]],
    ids=named,
)
def test_the_providers_own_limit_is_told(entry):
    body = json.dumps(entry["body_example"]).replace('"', '"')
    limit = re.search(entry["regex"], body, re.IGNORECASE | re.DOTALL)["limit"].replace(",", "")
    assert f"> {limit}" in error_for(entry["status"], entry["body_example"]).message


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["kind"] == "max_tokens"], ids=named)
def test_a_cap_that_is_too_large_is_no_overflow(entry):
    assert not compacts(error_for(entry["status"], entry["body_example"]))


@pytest.mark.parametrize("status", [400, 413])
def test_an_empty_error_is_an_overflow_when_the_request_fills_the_window(status):
    assert compacts(error_for(status, ""))


def test_an_empty_error_is_none_when_the_request_is_small():
    error = upstream_error(400, {}, b"", model="m", context_window=WINDOW, estimated_tokens=100)
    assert not compacts(error)


def test_an_error_event_inside_a_stream_makes_the_client_compact():
    [entry] = [e for e in ENTRIES if e["where"] == "sse_event"]
    stream = MessageStream(context(), Ledger())
    assert stream.feed(entry["body_example"].encode()) == []
    assert not stream.started
    assert compacts(stream.failure)


ENDS = [e for e in ENTRIES if e["where"].startswith("finish_reason")]


def ended(entry):
    """The completion of an entry; the entries about streams say only how it ends."""
    return {"usage": {"prompt_tokens": WINDOW, "completion_tokens": 0}, **entry["body_example"]}


@pytest.mark.parametrize("entry", ENDS, ids=named)
def test_an_answer_that_ends_full_and_empty_is_an_error(entry):
    with pytest.raises(UpstreamError) as raised:
        whole_answer(ended(entry), context(), Ledger())
    assert compacts(raised.value)


@pytest.mark.parametrize("entry", ENDS, ids=named)
def test_a_stream_that_ends_full_and_empty_fails(entry):
    stream = MessageStream(context(), Ledger())
    events = stream.feed(f"data: {json.dumps(ended(entry))}\n\ndata: [DONE]\n\n".encode())
    # Claude Code repeats a stream that fails before any block was closed, not streamed: see above
    assert [event["type"] for event in events] == ["message_start", "ping"]
    assert compacts(stream.failure)


def test_an_answer_that_says_something_before_the_window_is_full_is_kept():
    said = {"index": 0, "message": {"content": "so"}, "finish_reason": "model_context_window_exceeded"}
    answer = whole_answer({"choices": [said]}, context(), Ledger()).message
    assert (answer["content"][0]["text"], answer["stop_reason"]) == ("so", "model_context_window_exceeded")


def test_an_empty_answer_at_a_small_cap_is_no_overflow():
    cut = {"index": 0, "message": {"content": ""}, "finish_reason": "length"}
    usage = {"prompt_tokens": 50, "completion_tokens": 0}
    answer = whole_answer({"choices": [cut], "usage": usage}, context(), Ledger()).message
    assert answer["stop_reason"] == "max_tokens"


def test_a_413_that_clients_know_is_left_as_it_is():
    body = {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the size"}}
    assert error_for(413, body).error_type == "request_too_large"
