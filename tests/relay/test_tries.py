"""Retry and failover before the first byte, each transition against real sockets."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from gateway.relay import tries
from gateway.upstream.failover.health import FAILURES_TO_COOL, FIRST_COOLING
from tests.conftest import asking
from tests.fakes.provider import CUT, SSE, Answer, chunk, completion, error, stream
from tests.relay.conftest import credential

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


def answer_of(text, streamed):
    return stream(text) if streamed else completion(text)


def said(answer, streamed):
    if not streamed:
        return answer.json["content"][0]["text"]
    deltas = (event.get("delta", {}) for event in answer.events)
    return "".join(delta.get("text", "") for delta in deltas)


def at(two, seconds):
    """Stop the clock of health at `seconds`."""
    two.bench.set(now=lambda: datetime.fromtimestamp(seconds, UTC))


def refused(status, **fields):
    return error(status, "no", **fields)


FAILURES = {
    "503": refused(503),
    "500": refused(500),
    "429": refused(429),
    "408": refused(408),
    "404": refused(404),
    "401": refused(401),
    "402": refused(402),
    "403": refused(403),
    "overloaded": refused(400, type="overloaded_error"),
    "reset before the head": Answer(before_head=[CUT]),
    "html": Answer(200, {"content-type": "text/html"}, b"<h1>hello</h1>"),
    "error in the first data": Answer(
        headers=SSE, pieces=[b'data: {"error": {"message": "full", "code": 503}}\n\n']
    ),
    "reset behind the head": Answer(headers=SSE, pieces=[CUT]),
}


@STREAMED
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_next_target_answers_when_the_first_cannot(two, failure, streamed):
    two.first.answers("one", failure)
    two.second.answers("two", answer_of("hello", streamed))
    answer = await two.ask(asking(stream=streamed))
    assert (answer.status, said(answer, streamed)) == (200, "hello")
    outcome = two.bench.recorder.last
    assert (outcome.state, outcome.provider, outcome.upstream_model) == ("ok", "second", "two")
    assert [step for *_, step in two.tries] == ["target", "answered"]
    assert outcome.tries[0].error_message


@STREAMED
async def test_the_next_target_answers_when_nobody_listens_at_the_first(two, streamed):
    await two.first.stop()
    two.second.answers("two", answer_of("hello", streamed))
    answer = await two.ask(asking(stream=streamed))
    assert said(answer, streamed) == "hello"
    assert "connection refused" in two.bench.recorder.last.tries[0].error_message


@STREAMED
async def test_the_next_target_answers_when_the_first_is_silent(two, streamed):
    two.configure(first={"first_byte_timeout": 0.05, "max_retries": 2})
    two.first.answers("one", Answer(before_head=[5]))
    two.second.answers("two", answer_of("hello", streamed))
    assert said(await two.ask(asking(stream=streamed)), streamed) == "hello"
    assert two.tries == [("one", None, "target"), ("two", 200, "answered")]


@STREAMED
async def test_the_first_target_is_tried_again_before_the_next(two, streamed):
    two.configure(first={"max_retries": 2})
    two.bench.set(retry_budget=5.0)
    two.first.answers("one", error(503, "no", {"retry-after-ms": "1"}), answer_of("hello", streamed))
    # a pause of whole seconds is asked for; the shortest is one second
    answer = await two.ask(asking(stream=streamed))
    assert said(answer, streamed) == "hello"
    assert [(t.next_step, t.pause_ms) for t in two.bench.recorder.last.tries] == [
        ("again", 1000),
        ("answered", None),
    ]
    assert two.second.requests == []


CLIENT_ERRORS = {
    "bad request": (refused(400), 400),
    "overflow": (refused(400, code="context_length_exceeded"), 400),
    "too large": (refused(413), 413),
}


@STREAMED
@pytest.mark.parametrize(("failure", "status"), CLIENT_ERRORS.values(), ids=CLIENT_ERRORS)
async def test_a_client_error_never_moves_on(two, failure, status, streamed):
    two.first.answers("one", failure)
    answer = await two.ask(asking(stream=streamed))
    assert answer.status == status
    assert two.second.requests == []
    assert two.tries[0][2] == "gave_up"


@STREAMED
@pytest.mark.parametrize(
    "failure", [refused(400, code="content_filter"), error(403, "Your input was flagged by moderation")]
)
async def test_a_content_filter_is_an_answer_and_never_moves_on(two, streamed, failure):
    two.first.answers("one", failure)
    answer = await two.ask(asking(stream=streamed))
    assert answer.status == 200
    assert two.second.requests == []


@STREAMED
@pytest.mark.parametrize(
    ("details", "known"), [({}, None), ({"cached_tokens": 0}, 0), ({"cached_tokens": 4}, 4)]
)
async def test_what_a_provider_does_not_tell_of_its_cache_is_unknown(two, streamed, details, known):
    counts = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": details}
    end = [chunk({}, "stop", usage=counts), b"data: [DONE]\n\n"]
    whole = {
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": counts,
    }
    json_body = Answer(headers={"content-type": "application/json"}, body=json.dumps(whole).encode())
    two.first.answers("one", stream("hi", tail=end) if streamed else json_body)
    answer = await two.ask(asking(stream=streamed))
    assert answer.status == 200
    assert two.bench.recorder.last.cache_read_tokens == known
    # the client always gets a number
    usage = (
        [event["usage"] for event in answer.events if "usage" in event][-1]
        if streamed
        else answer.json["usage"]
    )
    assert usage["cache_read_input_tokens"] == (known or 0)


async def test_when_all_targets_fail_the_client_is_told_the_last_error(two):
    two.first.answers("one", refused(500))
    two.second.answers("two", error(503, "full"))
    answer = await two.ask(asking())
    assert (answer.status, answer.json["error"]["message"]) == (529, "full")
    assert [step for *_, step in two.tries] == ["target", "gave_up"]


async def test_an_error_that_may_pass_is_told_rather_than_one_that_an_admin_must_mend(two):
    two.first.answers("one", error(503, "full"))
    two.second.answers("two", refused(401))
    answer = await two.ask(asking())
    assert (answer.status, answer.json["error"]["message"]) == (529, "full")
    assert "x-should-retry" not in answer.headers


async def test_a_smaller_window_at_the_next_target_is_not_the_client_s_concern(two):
    """Its client would throw away a part of the conversation for an outage of minutes."""
    two.first.answers("one", error(503, "full"))
    two.second.answers("two", refused(400, code="context_length_exceeded"))
    assert (await two.ask(asking())).status == 529


# --- conversions ---------------------------------------------------------------------


async def test_each_target_gets_a_request_in_its_own_dialect(two):
    two.configure(
        first={"options": {"max_tokens_field": "max_completion_tokens"}},
        second={"options": {"max_tokens_field": "max_tokens", "sampling": "drop"}},
    )
    two.first.answers("one", refused(503))
    two.second.answers("two", completion())
    await two.ask(asking(top_k=5))
    assert two.first.requests[0].body["model"] == "one"
    assert "max_completion_tokens" in two.first.requests[0].body
    assert two.second.requests[0].body["model"] == "two"
    assert two.second.requests[0].body["max_tokens"] == 100
    sent = two.bench.recorder.last.bodies.sent
    assert sent == two.second.requests[0].raw


async def test_the_ledger_is_that_of_the_attempt_that_answered(two):
    two.configure(second={"options": {"strip_attribution": True}})
    two.first.answers("one", refused(503))
    two.second.answers("two", completion())
    await two.ask(asking(top_k=5))
    entries = [(entry["code"], entry["path"]) for entry in two.bench.recorder.last.ledger]
    assert entries.count(("dropped", "top_k")) == 1


async def test_a_target_that_cannot_be_asked_this_is_passed_over(two):
    small = {"window_check": "enforce", "context_window": 1}
    two.configure(second={"options": small}, targets=(("first", "one"), ("second", "two"), ("first", "x")))
    two.first.answers("one", refused(503))
    two.first.answers("x", completion("third"))
    answer = await two.ask(asking())
    assert answer.json["content"][0]["text"] == "third"
    assert [t[0] for t in two.tries] == ["one", "x"]


async def test_when_the_next_target_cannot_be_asked_the_first_one_s_error_is_told(two):
    two.configure(second={"options": {"window_check": "enforce", "context_window": 1}})
    two.first.answers("one", refused(503))
    answer = await two.ask(asking())
    assert answer.status == 529
    assert two.second.requests == []


async def test_a_request_that_the_first_target_s_profile_refuses_goes_nowhere_else(two):
    two.configure(first={"options": {"window_check": "enforce", "context_window": 1}})
    answer = await two.ask(asking())
    assert answer.status == 400
    assert two.second.requests == two.first.requests == []


# --- credentials --------------------------------------------------------------------------------


def keys(provider):
    return [request.headers["authorization"].removeprefix("Bearer ") for request in provider.requests]


@STREAMED
@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refused_credential_is_set_aside_and_the_next_one_is_used(two, status, streamed):
    two.configure(first={"credentials": (credential(1), credential(2, position=1))})
    two.first.answers("one", refused(status), answer_of("hello", streamed))
    assert said(await two.ask(asking(stream=streamed)), streamed) == "hello"
    assert keys(two.first) == ["sk-1", "sk-2"]
    assert [(t.credential, t.next_step) for t in two.bench.recorder.last.tries] == [
        ("c1", "credential"),
        ("c2", "answered"),
    ]
    assert [(c.credential_id, c.status, c.refused) for c in two.changes] == [(1, status, True)]
    await two.ask(asking(stream=streamed))
    assert keys(two.first) == ["sk-1", "sk-2", "sk-2"]


async def test_a_spare_credential_does_not_hide_the_next_target(two):
    two.configure(first={"credentials": (credential(1), credential(2))})
    two.first.answers("one", refused(503))
    two.second.answers("two", completion("hello"))
    assert (await two.ask(asking())).status == 200
    assert [step for *_, step in two.tries] == ["target", "answered"]


async def test_a_credential_at_its_limit_is_left_for_the_next_one_at_once(two):
    two.configure(first={"credentials": (credential(1), credential(2, position=1)), "max_retries": 2})
    two.first.answers("one", error(429, "slow", {"retry-after": "60"}), completion("hello"))
    assert (await two.ask(asking())).status == 200
    assert keys(two.first) == ["sk-1", "sk-2"]
    assert two.second.requests == []


async def test_the_only_credential_is_tried_even_after_it_was_refused(two):
    two.configure(targets=(("first", "one"),))
    two.first.answers("one", refused(401), completion("hello"))
    assert (await two.ask(asking())).status == 502
    assert (await two.ask(asking())).status == 200
    assert [change.since is None for change in two.changes] == [False, True]


async def test_a_session_stays_with_its_credential(two):
    two.configure(first={"credentials": tuple(credential(n) for n in range(1, 6))})
    two.first.answers("one", completion())
    for session in ("s1", "s2", "s3", "s4", "s5", "s6"):
        two.first.requests.clear()
        for _ in range(3):
            await two.ask(asking(), headers={"x-claude-code-session-id": session})
        assert len(set(keys(two.first))) == 1


async def test_requests_without_a_session_are_spread(two):
    two.configure(first={"credentials": tuple(credential(n) for n in range(1, 4))})
    two.first.answers("one", completion())
    for _ in range(30):
        await two.ask(asking())
    assert len(set(keys(two.first))) == 3


async def test_attempts_end_before_a_client_would_give_up(two):
    two.configure(first={"credentials": tuple(credential(n) for n in range(1, 40))})
    two.first.answers("one", refused(401))
    await two.ask(asking())
    assert len(two.first.requests) == 12


# --- limits ---------------------------------------------------------------------------------


async def test_while_a_long_limit_runs_the_only_target_is_asked_once_for_each_request(two):
    two.configure(targets=(("first", "one"),), first={"max_retries": 2})
    two.first.answers(
        "one",
        error(429, "quota", {"retry-after": "300"}),
        error(429, "quota", {"retry-after": "290"}),
        error(429, "quota"),
        completion(),
    )
    at(two, 1000)
    answer = await two.ask(asking())
    assert (answer.status, answer.headers["retry-after"]) == (429, "300")
    assert answer.headers["x-should-retry"] == "false"
    at(two, 1010)
    answer = await two.ask(asking())
    assert (answer.status, answer.headers["retry-after"]) == (429, "290")
    assert answer.json["error"] == {"type": "rate_limit_error", "message": "quota"}
    at(two, 1020)
    assert (await two.ask(asking())).status == 429
    assert len(two.first.requests) == 3
    assert (two.bench.recorder.last.attempts, two.bench.recorder.last.status) == (1, 429)
    at(two, 1021)
    assert (await two.ask(asking())).status == 200


async def test_a_limit_of_seconds_is_told_without_forbidding_the_client_to_come_back(two):
    two.configure(targets=(("first", "one"),))
    two.first.answers("one", error(429, "slow", {"retry-after": "20"}))
    answer = await two.ask(asking())
    assert answer.headers["retry-after"] == "20"
    assert "x-should-retry" not in answer.headers


async def test_a_limit_that_is_over_soon_is_waited_for(two):
    two.configure(targets=(("first", "one"),))
    two.first.answers("one", error(429, "slow", {"retry-after": "1"}), completion())
    assert (await two.ask(asking())).status == 429
    assert (await two.ask(asking())).status == 200


# --- time ------------------------------------------------------------------------------------


@STREAMED
async def test_no_pause_goes_beyond_the_time_for_tries(two, streamed):
    two.configure(targets=(("first", "one"),), first={"max_retries": 5})
    two.bench.set(retry_budget=0.2, commit_after=5.0)
    two.first.answers("one", refused(503))
    assert (await two.ask(asking(stream=streamed))).status == 529
    assert len(two.first.requests) == 1


async def test_no_pause_of_a_stream_goes_beyond_the_commit_point(two):
    two.configure(targets=(("first", "one"),), first={"max_retries": 5})
    two.bench.set(commit_after=0.2)
    two.first.answers("one", error(429, "slow", {"retry-after": "1"}))
    answer = await two.ask(asking(stream=True))
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


async def test_nothing_is_tried_after_the_commit_point(two):
    go_on = asyncio.Event()
    two.bench.set(commit_after=0.01)
    two.configure(first={"max_retries": 2})
    two.first.answers("one", Answer(503, body=b"{}", before_head=[go_on]))
    answering = two.bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    assert b"message_start" in await answering.piece()
    go_on.set()
    await answering.rest()
    assert answering.events[-1]["error"]["type"] == "overloaded_error"
    assert two.second.requests == []
    assert (two.tries, two.bench.recorder.last.state) == ([("one", 503, "gave_up")], "broken")


@pytest.mark.parametrize("refusal", [503, 400])
async def test_a_stream_that_begins_while_the_next_request_is_converted_ends_with_an_error(
    two, monkeypatch, refusal
):
    go_on, real = asyncio.Event(), tries.conversion

    async def slow(exchange, gateway, route, request):
        if exchange.tries:
            await go_on.wait()
        return await real(exchange, gateway, route, request)

    monkeypatch.setattr(tries, "conversion", slow)
    two.bench.set(commit_after=0.05)
    two.configure(first={"max_retries": 0})
    words = "Unsupported parameter: 'max_tokens' is not supported" if refusal == 400 else "no"
    two.first.answers("one", error(refusal, words, param="max_tokens", code="unsupported_parameter"))
    two.second.answers("two", stream("hello"))
    answering = two.bench.client.open("POST", "/v1/messages", asking(stream=True))
    await answering.head()
    assert b"message_start" in await answering.piece()
    go_on.set()
    await answering.rest()
    assert answering.events[-1]["type"] == "error"
    assert two.bench.recorder.last.state == "broken"


async def test_a_stream_that_breaks_is_not_begun_anew_elsewhere(two):
    two.first.answers("one", Answer(headers=SSE, pieces=[chunk({"content": "half"}), CUT]))
    answer = await two.ask(asking(stream=True))
    assert answer.events[-1]["type"] == "error"
    assert two.second.requests == []
    [attempt] = two.bench.recorder.last.tries
    assert (attempt.state, attempt.status, attempt.next_step) == ("broken", 200, "answered")
    assert "closed the stream" in attempt.error_message


async def test_a_call_that_takes_too_long_says_so_in_its_attempt(two):
    two.bench.set(call_timeout=0.05)
    two.first.answers("one", Answer(before_head=[5]))
    assert (await two.ask(asking())).status == 504
    [attempt] = two.bench.recorder.last.tries
    assert (attempt.state, attempt.error_type) == ("error", "timeout_error")


# --- health -----------------------------------------------------------------------------------


async def test_a_target_that_keeps_failing_is_skipped_probed_and_brought_back(two):
    two.first.answers("one", refused(503))
    two.second.answers("two", completion())
    at(two, 1000)
    for _ in range(FAILURES_TO_COOL + 2):
        assert (await two.ask(asking())).status == 200
    assert len(two.first.requests) == FAILURES_TO_COOL
    assert [change.upstream_model for change in two.changes] == ["one"]

    at(two, 1000 + FIRST_COOLING)
    wait = asyncio.Event()
    two.first.answers("one", Answer(before_head=[wait], **vars_of(completion("back"))))
    probe = two.bench.client.open("POST", "/v1/messages", asking())
    two.first.arrived.clear()
    await two.first.arrived.wait()
    assert (await two.ask(asking())).status == 200
    assert len(two.first.requests) == FAILURES_TO_COOL + 1
    wait.set()
    await probe.head()
    await probe.rest()
    assert probe.json["content"][0]["text"] == "back"
    assert two.changes[-1].since is None
    await two.ask(asking())
    assert len(two.first.requests) == FAILURES_TO_COOL + 2


def vars_of(answer):
    return {"status": answer.status, "headers": answer.headers, "body": answer.body}


async def test_when_everything_is_set_aside_the_least_bad_target_is_tried(two):
    at(two, 1000)
    two.first.answers("one", refused(503))
    two.second.answers("two", refused(503))
    for _ in range(FAILURES_TO_COOL):
        await two.ask(asking())
    two.second.answers("two", completion("hello"))
    answer = await two.ask(asking())
    assert answer.json["content"][0]["text"] == "hello"


@STREAMED
async def test_a_credential_of_any_look_that_an_error_repeats_is_masked(two, streamed):
    two.configure(first={"credentials": (credential(1, value="Zm9vYmFyYmF6"),)}, targets=(("first", "one"),))
    two.first.answers("one", error(400, "wrong caller Zm9vYmFyYmF6!"))
    answer = await two.ask(asking(stream=streamed))
    assert answer.json["error"]["message"] == "wrong caller ***!"
    assert "Zm9v" not in two.bench.recorder.last.tries[0].error_message


@STREAMED
async def test_a_credential_of_words_and_a_headers_value_are_not_repeated(two, streamed):
    two.configure(
        first={
            "credentials": (credential(1, value="correct-horse-battery"), credential(2, value="ollama")),
            "own_headers": ("HEADERSECRET-42",),
        },
        targets=(("first", "one"),),
    )
    two.first.answers("one", error(400, "ollama: bad value HEADERSECRET-42 of correct-horse-battery"))
    answer = await two.ask(asking(stream=streamed))
    assert answer.json["error"]["message"] == "ollama: bad value *** of ***"
