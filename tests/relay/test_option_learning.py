"""Options that learn: a provider that refuses a parameter, on a real socket, streamed and not."""

import asyncio
import json

import pytest

from gateway.relay.option_learning import MOST_LESSONS
from gateway.routing.snapshot import Target
from gateway.upstream.failover.learnt_options import Lessons
from tests.conftest import asking, rule
from tests.fakes.provider import FakeProvider, completion, error, stream

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {"n": {"exclusiveMinimum": 0}}}}


class StrictProvider(FakeProvider):
    """Refuses what `judge` has a word against: body -> Answer or None."""

    judge = staticmethod(lambda body: None)

    async def _answered(self, answer, reader, writer):
        refusal = self.judge(self.requests[-1].body)
        return await super()._answered(refusal or answer, reader, writer)


def refuses(name, message, status=400):
    """A judge that refuses a field of the body."""
    return lambda body: error(status, message) if name in body else None


def says(text, message, status=400):
    """A judge that refuses a text anywhere in the body."""
    return lambda body: error(status, message) if text in json.dumps(body) else None


# what is learnt -> (options before, more of the request, the judge)
KINDS = {
    ("max_tokens_field", "max_completion_tokens"): (
        {},
        {},
        refuses(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
        ),
    ),
    ("sampling", "drop"): (
        {},
        {"temperature": 0.2},
        refuses("temperature", "Unsupported value: 'temperature' does not support 0.2 with this model."),
    ),
    ("parallel_tool_calls", "drop"): (
        {},
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        refuses("parallel_tool_calls", "Unrecognized request argument supplied: parallel_tool_calls"),
    ),
    ("efforts", ("low", "medium")): (
        {"reasoning": "effort"},
        {"output_config": {"effort": "high"}},
        says(
            '"reasoning_effort": "high"',
            "Unsupported value: 'reasoning_effort' does not support 'high' with this model. "
            "Supported values are: 'low' and 'medium'.",
        ),
    ),
    ("tool_choice", "no_forced"): (
        {},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        says('"tool_choice": "required"', "deepseek-reasoner does not support this tool_choice"),
    ),
    ("schema_rewrites", ("gemini",)): (
        {},
        {"tools": [TOOL]},
        says('"exclusiveMinimum"', 'Unknown name "exclusiveMinimum" at tools[0]: Cannot find field.'),
    ),
    ("system_role", "system"): (
        {"system_role": "developer"},
        {"system": "be brief"},
        says('"developer"', "'developer' is not one of ['system', 'assistant', 'user'] - 'messages.0.role'"),
    ),
    ("mid_system", "user"): (
        {},
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "be brief"},
            ]
        },
        lambda body: (
            error(400, "System message must be at the beginning.")
            if any(message["role"] == "system" for message in body["messages"][1:])
            else None
        ),
    ),
    ("images", "text"): (
        {},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        says("image_url", "image input is not supported - hint: you may need to provide the mmproj", 500),
    ),
    ("max_output_tokens", 50): (
        {},
        {},
        lambda body: (
            error(400, "Invalid max_tokens value, the valid range of max_tokens is [1, 64]")
            if body["max_tokens"] > 64
            else None
        ),
    ),
}
KINDS[("max_output_tokens", 64)] = KINDS.pop(("max_output_tokens", 50))


@pytest.fixture
async def strict(bench):
    """The bench with a provider that refuses; `taught` is what the records would hear."""
    provider = await StrictProvider().start()
    provider.answers("m", completion("hello"))
    bench.strict, bench.taught = provider, []
    bench.base = bench.base.__class__(
        slug="fake",
        name="Fake",
        base_url=provider.base_url,
        credentials=bench.base.credentials,
        max_retries=0,
    )
    bench.set(lessons=Lessons(bench.taught.append))
    bench.configure()
    yield bench
    await provider.stop()


def prepared(bench, kind, streamed):
    options, request, judge = KINDS[kind]
    bench.strict.judge = judge
    bench.strict.answers("m", stream("hello") if streamed else completion("hello"))
    bench.configure(provider={"options": options})
    return (
        asking(stream=streamed, **request)
        if "messages" not in request
        else {
            **asking(stream=streamed),
            **request,
        }
    )


def tries(bench):
    return [(one.status, one.next_step) for one in bench.recorder.last.tries]


@STREAMED
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]} {kind[1]}")
async def test_one_more_attempt_answers_and_the_next_request_is_not_refused(strict, kind, streamed):
    request = prepared(strict, kind, streamed)
    refused_with = 500 if kind[0] == "images" else 400
    answer = await strict.client.messages(request)
    assert answer.status == 200, answer.text
    assert b"hello" in answer.text
    assert tries(strict) == [(refused_with, "learnt"), (200, "answered")]
    again = await strict.client.messages(request)
    assert again.status == 200
    assert tries(strict) == [(200, "answered")]
    [taught] = strict.taught
    new = list(kind[1]) if isinstance(kind[1], tuple) else kind[1]
    assert (taught.provider, taught.upstream_model, taught.option, taught.new) == ("fake", "m", kind[0], new)
    assert taught.words and taught.mapping_pk == 1


async def test_stream_options_are_learnt(strict):
    strict.strict.judge = refuses("stream_options", "Unrecognized request argument supplied: stream_options")
    strict.strict.answers("m", stream("hello"))
    assert (await strict.client.messages(asking(stream=True))).status == 200
    assert [taught.option for taught in strict.taught] == ["stream_usage"]


async def test_two_parameters_are_learnt_in_one_exchange(strict):
    strict.strict.judge = lambda body: (
        error(400, "Unsupported parameter: 'max_tokens'")
        if "max_tokens" in body
        else error(400, "Unsupported parameter: 'temperature'")
        if "temperature" in body
        else None
    )
    assert (await strict.client.messages(asking(temperature=0.5))).status == 200
    assert [step for _, step in tries(strict)] == ["learnt", "learnt", "answered"]
    assert [taught.option for taught in strict.taught] == ["max_tokens_field", "sampling"]


@STREAMED
async def test_when_the_change_does_not_help_the_client_is_told_the_original_error(strict, streamed):
    strict.strict.judge = lambda body: (
        error(400, "Unsupported parameter: 'max_tokens'") if "max_tokens" in body else error(400, "I am odd")
    )
    answer = await strict.client.messages(asking(stream=streamed))
    assert answer.status == 400
    assert answer.json["error"]["message"] == "Unsupported parameter: 'max_tokens'"
    assert tries(strict) == [(400, "learnt"), (400, "gave_up")]
    assert strict.taught == []


async def test_lessons_of_an_exchange_are_bounded(strict):
    names = ["max_tokens", "temperature", "user", "stop"]

    def judge(body):
        found = next((name for name in names if name in body), None)
        return error(400, f"Unsupported parameter: '{found}'") if found else None

    strict.strict.judge = judge
    request = asking(temperature=0.5, stop_sequences=["x"], metadata={"user_id": "me"})
    answer = await strict.client.messages(request)
    assert answer.status == 400
    assert len(strict.strict.requests) == 1 + MOST_LESSONS


async def test_a_change_that_changes_nothing_is_not_sent(strict):
    strict.strict.judge = lambda body: error(400, "System message must be at the beginning.")
    assert (await strict.client.messages(asking())).status == 400
    assert tries(strict) == [(400, "gave_up")]


async def test_two_requests_at_the_same_time_are_both_answered_and_teach_once(strict):
    request = prepared(strict, ("max_tokens_field", "max_completion_tokens"), False)
    answers = await asyncio.gather(*(strict.client.messages(request) for _ in range(2)))
    assert [answer.status for answer in answers] == [200, 200]
    assert len(strict.taught) == 1


async def test_a_refused_option_is_never_applied(strict):
    strict.strict.judge = refuses("max_tokens", "Unsupported parameter: 'max_tokens'")
    strict.configure(refused_options={("fake", "m"): frozenset({"max_tokens_field"})})
    answer = await strict.client.messages(asking())
    assert answer.status == 400
    assert tries(strict) == [(400, "gave_up")]
    assert strict.taught == []


async def test_an_option_that_is_refused_later_is_no_longer_applied(strict):
    strict.strict.judge = refuses("max_tokens", "Unsupported parameter: 'max_tokens'")
    assert (await strict.client.messages(asking())).status == 200
    strict.configure(refused_options={("fake", "m"): frozenset({"max_tokens_field"})})
    assert (await strict.client.messages(asking())).status == 400
    assert "max_tokens" in strict.strict.requests[-1].body


async def test_another_process_learns_from_what_was_confirmed(strict):
    strict.strict.judge = refuses("max_tokens", "Unsupported parameter: 'max_tokens'")
    strict.configure(learnt={("fake", "m"): {"max_tokens_field": "max_completion_tokens"}})
    assert (await strict.client.messages(asking())).status == 200
    assert tries(strict) == [(200, "answered")]


async def test_a_setting_of_an_admin_goes_before_what_was_learnt(strict):
    strict.strict.judge = refuses("temperature", "Unsupported parameter: 'temperature'")
    assert (await strict.client.messages(asking(temperature=0))).status == 200
    strict.strict.judge = staticmethod(lambda body: None)
    strict.configure(provider={"options": {"sampling": "positive"}})
    await strict.client.messages(asking(temperature=0))
    assert strict.strict.requests[-1].body["temperature"] == 0.01


async def test_a_lesson_holds_for_its_own_model_only(strict):
    strict.strict.answers("n", completion("hello"))
    strict.strict.judge = refuses("max_tokens", "Unsupported parameter: 'max_tokens'")
    await strict.client.messages(asking())
    await strict.client.messages(asking(model="n"))
    assert [step for _, step in tries(strict)] == ["learnt", "answered"]


async def test_a_credential_that_is_limited_meanwhile_goes_on_with_what_was_changed(two):
    taught = []
    two.bench.set(lessons=Lessons(taught.append))
    two.first.answers("one", error(400, "Unsupported parameter: 'max_tokens'"), error(503, "full"))
    two.second.answers("two", completion("hello"))
    answer = await two.ask(asking())
    assert answer.status == 200
    assert [step for *_, step in two.tries] == ["learnt", "target", "answered"]
    # the first target never answered with it; the second was never asked with it
    assert taught == []
    assert "max_tokens" in two.second.requests[-1].body


async def test_a_window_that_an_overflow_tells_is_noted_and_the_client_compacts(strict):
    message = (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. "
        "Please reduce the length of the messages."
    )
    strict.strict.judge = lambda body: error(400, message, code="context_length_exceeded")
    strict.configure(provider={"options": {"window_check": "fit"}})
    answer = await strict.client.messages(asking())
    assert answer.json["error"]["message"] == "prompt is too long: 9000 tokens > 8192 maximum"
    assert tries(strict) == [(400, "gave_up")]
    [taught] = strict.taught
    assert (taught.option, taught.old, taught.new) == ("context_window", None, 8192)
    strict.strict.judge = staticmethod(lambda body: None)
    await strict.client.messages({**asking(), "max_tokens": 50_000})
    assert strict.strict.requests[-1].body["max_tokens"] < 8192


TOGETHER = (
    "This model's maximum context length is 8192 tokens. However, you requested 10100 tokens "
    "(100 in the messages, 10000 in the completion). Please reduce the length of the messages or completion."
)


@STREAMED
async def test_max_tokens_that_do_not_fit_beside_the_prompt_are_fitted_from_then_on(strict, streamed):
    strict.strict.judge = lambda body: error(400, TOGETHER) if body["max_tokens"] + 100 > 8192 else None
    strict.strict.answers("m", stream("hello") if streamed else completion("hello"))
    request = {**asking(stream=streamed), "max_tokens": 10_000}
    assert (await strict.client.messages(request)).status == 200
    assert tries(strict) == [(400, "learnt"), (200, "answered")]
    assert [(taught.option, taught.new) for taught in strict.taught] == [
        ("context_window", 8192),
        ("window_check", "fit"),
    ]
    assert (await strict.client.messages(request)).status == 200
    assert tries(strict) == [(200, "answered")]


@STREAMED
async def test_max_tokens_that_a_minute_counts_are_fitted_for_this_request_alone(strict, streamed):
    def judge(body):
        wanted = 900 + body["max_tokens"]
        message = (
            f"Request too large for model `m` on tokens per minute (TPM): Limit 8000, Requested {wanted}"
        )
        return error(413, message, code="rate_limit_exceeded") if wanted > 8000 else None

    strict.strict.judge = judge
    strict.strict.answers("m", stream("hello") if streamed else completion("hello"))
    request = {**asking(stream=streamed), "max_tokens": 32_000}
    assert (await strict.client.messages(request)).status == 200
    assert tries(strict) == [(413, "learnt"), (200, "answered")]
    assert [sent.body["max_tokens"] for sent in strict.strict.requests] == [32_000, 7_100]
    assert strict.taught == []


async def test_when_even_the_fitted_request_is_too_long_the_client_is_told_so(strict):
    strict.strict.judge = lambda body: error(400, TOGETHER)
    answer = await strict.client.messages({**asking(), "max_tokens": 10_000})
    assert answer.json["error"]["message"].startswith("input length and `max_tokens` exceed context limit")
    assert tries(strict) == [(400, "learnt"), (400, "gave_up")]
    assert [taught.option for taught in strict.taught] == ["context_window"]


async def test_an_error_inside_a_200_teaches_too(strict):
    strict.strict.answers("m", completion("hello"))
    strict.strict.judge = lambda body: (
        error(200, "Unsupported parameter: 'max_tokens'", code=400) if "max_tokens" in body else None
    )
    assert (await strict.client.messages(asking())).status == 200
    assert [step for _, step in tries(strict)] == ["learnt", "answered"]


async def test_after_the_commit_nothing_is_tried_again(strict):
    late = error(400, "Unsupported parameter: 'max_tokens'")
    late.before_head = [0.1]
    strict.strict.judge = lambda body: late
    strict.set(commit_after=0.02)
    answer = await strict.client.messages(asking(stream=True))
    assert answer.events[-1]["type"] == "error"
    assert len(strict.strict.requests) == 1


async def test_a_wildcard_mapping_learns_for_the_model_that_was_asked(strict):
    strict.configure(rules=[rule(targets=(Target("fake", "*"),))])
    strict.strict.judge = refuses("max_tokens", "Unsupported parameter: 'max_tokens'")
    await strict.client.messages(asking())
    assert strict.taught[0].upstream_model == "m"
