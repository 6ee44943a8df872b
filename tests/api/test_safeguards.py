"""Auto mode's safety check with nothing set up: an honest answer in its place, for every protocol."""

import json

import pytest

from tests.conftest import asking, rule
from tests.conversion.openai_responses.scripts import said
from tests.fakes import messages, responses
from tests.fakes.provider import completion, error, stream

SECRET = "/home/ada/secret-project"
ASKED = [{"type": "dangerous_tool_use", "classifier_context": {"v": 1, "live_cwd": SECRET}}]
TOLD = [{"type": "dangerous_tool_use", "status": {"type": "unavailable", "reason": "disabled"}}]
BETA = {"anthropic-beta": "foo,dangerous-tool-use-2026-09-03", "anthropic-version": "2023-06-01"}

ANSWERS = {
    ("chat", False): lambda: completion("hi"),
    ("chat", True): lambda: stream("hi"),
    ("responses", False): responses.whole,
    ("responses", True): lambda: responses.told(said("hi")),
    ("anthropic", False): lambda: messages.whole({"type": "text", "text": "hi"}),
    ("anthropic", True): messages.told,
}


def configured(bench, protocol, **options):
    bench.configure(
        provider={"protocol": protocol, "options": options}, rules=[rule("claude-*", upstream_model="m")]
    )


def ask(streamed, **more):
    return asking(model="claude-test", stream=streamed, safeguards=ASKED, **more)


def results(answer, streamed):
    """Where the client looks: in the delta of message_delta, or at the top of a whole message."""
    if not streamed:
        return answer.json.get("safeguard_results")
    [delta] = [event for event in answer.events if event["type"] == "message_delta"]
    assert "safeguard_results" not in delta
    assert "safeguard_results" not in answer.events[0]["message"]
    return delta["delta"].get("safeguard_results")


@pytest.mark.parametrize(("protocol", "streamed"), ANSWERS)
async def test_the_client_is_told_that_nobody_judges_here(bench, protocol, streamed):
    configured(bench, protocol)
    bench.provider.answers("m", ANSWERS[protocol, streamed]())
    answer = await bench.client.messages(ask(streamed), headers=BETA)
    assert answer.status == 200
    assert results(answer, streamed) == TOLD
    [sent] = bench.provider.requests
    assert SECRET not in json.dumps(sent.body) and "safeguards" not in sent.body
    assert "dangerous" not in sent.headers.get("anthropic-beta", "")
    assert "safeguards" not in str(bench.recorder.last.ledger)


@pytest.mark.parametrize(("protocol", "streamed"), ANSWERS)
async def test_who_does_not_ask_is_told_nothing(bench, protocol, streamed):
    configured(bench, protocol)
    bench.provider.answers("m", ANSWERS[protocol, streamed]())
    answer = await bench.client.messages(asking(model="claude-test", stream=streamed))
    assert results(answer, streamed) is None


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_provider_that_judges_itself_is_asked_when_its_profile_says_so(bench, streamed):
    configured(bench, "anthropic", safeguards="pass")
    bench.provider.answers("m", ANSWERS["anthropic", streamed]())
    answer = await bench.client.messages(ask(streamed), headers=BETA)
    [sent] = bench.provider.requests
    assert sent.body["safeguards"] == ASKED
    assert sent.headers["anthropic-beta"] == BETA["anthropic-beta"]
    assert results(answer, streamed) is None


async def test_a_whole_answer_that_becomes_a_stream_has_it_in_its_delta(bench):
    configured(bench, "chat")
    bench.provider.answers("m", completion("hi"))
    assert results(await bench.client.messages(ask(True)), True) == TOLD


async def test_a_stream_that_becomes_a_whole_answer_has_it_at_its_top(bench):
    configured(bench, "chat")
    bench.provider.answers("m", stream("hi"))
    assert results(await bench.client.messages(ask(False)), False) == TOLD


async def test_an_answer_without_a_provider_has_it_too(bench):
    configured(bench, "chat")
    answer = await bench.client.messages(ask(False, max_tokens=0))
    assert answer.status == 200
    assert results(answer, False) == TOLD


async def test_an_error_stays_an_error(bench):
    configured(bench, "chat")
    bench.provider.answers("m", error(400, "no"))
    answer = await bench.client.messages(ask(True))
    assert answer.status == 400
    assert "safeguard" not in answer.text.decode()
