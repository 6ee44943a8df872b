"""Upstream errors: docs/conversion.md, "Errors of providers", row by row."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gateway.conversion.errors.error_kinds import OVERLOADED
from gateway.conversion.errors.upstream import MAX_MESSAGE, error_inside, upstream_error
from gateway.errors import UpstreamRefused, UpstreamRejected
from tests.playbook import context_of

OVERFLOWS = json.loads(Path(__file__).with_name("overflows.json").read_text())


def error_of(status, body=None, headers=None, **facts):
    raw = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    known = {"model": "claude-test", "context_window": None, "estimated_tokens": 1000, **facts}
    return upstream_error(status, headers or {}, raw, **known)


def told(message="m", **more):
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    "status, answer, kind",
    [
        (400, 400, "invalid_request_error"),
        (405, 400, "invalid_request_error"),
        (406, 400, "invalid_request_error"),
        (415, 400, "invalid_request_error"),
        (418, 400, "invalid_request_error"),
        (422, 400, "invalid_request_error"),
        (424, 502, "api_error"),
        (402, 402, "billing_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (408, 504, "timeout_error"),
        (409, 409, "conflict_error"),
        (413, 413, "request_too_large"),
        (429, 429, "rate_limit_error"),
        (498, 529, "overloaded_error"),
        (503, 529, "overloaded_error"),
        (529, 529, "overloaded_error"),
        (500, 500, "api_error"),
        (501, 502, "api_error"),
        (502, 502, "api_error"),
        (520, 502, "api_error"),
        (530, 502, "api_error"),
        (599, 502, "api_error"),
        (504, 504, "timeout_error"),
        (524, 504, "timeout_error"),
        (302, 502, "api_error"),
    ],
)
def test_every_status(status, answer, kind):
    error = error_of(status, told())
    assert (error.status, error.error_type) == (answer, kind)
    assert error.upstream_status == status
    assert error.message == ("unexpected redirect from the upstream provider" if status == 302 else "m")


def test_a_rejected_gateway_credential_is_not_the_clients_fault():
    error = error_of(401, told("Incorrect API key provided: sk-abc"))
    assert (error.status, error.error_type) == (502, "api_error")
    assert error.message == "the upstream provider rejected the gateway's credentials"
    assert error.headers() == {"x-should-retry": "false"}


def test_a_rejected_credential_of_the_client_is():
    error = error_of(401, told("bad key"), gateway_credential=False)
    assert (error.status, error.error_type, error.message) == (401, "authentication_error", "bad key")


@pytest.mark.parametrize(
    "status, body",
    [
        (402, told("Insufficient Balance")),
        (429, told("You exceeded your current quota", code="insufficient_quota")),
        (429, told("m", type="insufficient_quota")),
        (403, told("m", code="billing_hard_limit_reached")),
        (403, told("Your credit balance is too low to access the API")),
        (429, told("This request requires more credits")),
        (429, told("insufficient balance")),
    ],
)
def test_no_money_is_a_billing_error_and_not_retried(status, body):
    error = error_of(status, body)
    assert (error.status, error.error_type, error.should_retry) == (402, "billing_error", False)


def test_a_gemini_quota_is_a_rate_limit():
    error = error_of(
        429, [told("You exceeded your current quota, please check your plan", status="RESOURCE_EXHAUSTED")]
    )
    assert (error.status, error.error_type) == (429, "rate_limit_error")


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "body",
    [
        told("Failed to call a function. Please adjust your prompt.", code="tool_use_failed"),
        told("Failed to generate JSON.", code="json_validate_failed", type="invalid_request_error"),
        told("tool call validation failed: attempted to call tool 'x' which was not in request.tools"),
        told(
            "Parsing failed. The model generated output that could not be parsed.", code="output_parse_failed"
        ),
        told("error parsing tool call: raw='{\"a\":', err=unexpected end of JSON input"),
        told("Model produced invalid sequence as part of ToolUse. Please refer to the guide."),
        told("The model output could not be parsed as a tool call"),
        told("The model generated an invalid tool call"),
        told("Model output is not valid: malformed function call", status="INVALID_ARGUMENT"),
    ],
)
def test_what_the_model_wrote_and_the_provider_could_not_read_is_no_fault_of_the_request(status, body):
    error = error_of(status, body)
    assert (error.status, error.error_type) == (502, "api_error")
    assert error.message == body["error"]["message"]


@pytest.mark.parametrize("place", ["messages[2].tool_calls[0]", "input[3]", "messages.1.content", "tools.0"])
def test_what_cannot_be_read_of_the_request_is_its_fault(place):
    error = error_of(400, told(f"Failed to parse tool call arguments as JSON in {place}"))
    assert (error.status, error.error_type) == (400, "invalid_request_error")


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation", "moderation_blocked"])
def test_a_content_filter_is_a_refusal(code):
    error = error_of(400, told("blocked", code=code))
    assert isinstance(error, UpstreamRefused) and error.explanation == "blocked"


def test_the_content_filter_of_azure_is_a_refusal():
    body = told("filtered", code="x", innererror={"code": "ResponsibleAIPolicyViolation"})
    assert isinstance(error_of(400, body), UpstreamRefused)


def test_the_words_of_a_filter_inside_a_200_are_a_refusal():
    for payload in (
        {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}},
        {"error": {"code": "cyber_policy", "message": "blocked"}},
        {"error": {"code": 403, "message": "Your input was flagged"}},
    ):
        assert isinstance(error_inside(payload, context_of()), UpstreamRefused)


def test_an_answer_that_azure_stopped_and_sends_with_a_400_is_a_refusal():
    stopped = {"code": "content_filter", "message": "Response content blocked"}
    choice = {"finish_reason": "content_filter", "content_filter_results": {"error": stopped}}
    error = error_of(400, {"object": "chat.completion", "choices": [choice]})
    assert isinstance(error, UpstreamRefused)


@pytest.mark.parametrize("status", [500, 400, 502])
@pytest.mark.parametrize("word", sorted(OVERLOADED.codes))
def test_overload_by_word(status, word):
    assert error_of(status, told(code=word)).status == 529
    inside = error_inside({"error": {"message": "m", "type": "server_error", "code": word}}, context_of())
    assert (inside.status, inside.error_type) == (529, "overloaded_error")


@pytest.mark.parametrize(
    "body, message",
    [
        (told("x", code="model_not_found"), "model: claude-test"),
        (told("The model `up` does not exist"), "model: claude-test"),
        (told("No endpoints found for claude-test."), "model: claude-test"),
        (told("page not found"), "page not found"),
    ],
)
def test_an_unknown_model(body, message):
    error = error_of(404, body)
    assert (error.error_type, error.message) == ("not_found_error", message)


@pytest.mark.parametrize(
    "body, message",
    [
        (told("a"), "a"),
        ({"error": "a"}, "a"),
        ({"message": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"loc": ["body", "x", 0], "msg": "bad"}, {"msg": "worse"}]}, "body.x.0: bad; worse"),
        ([told("a")], "a"),
        ({"base_resp": {"status_code": 1, "status_msg": "a"}}, "a"),
        (told("Provider returned error", metadata={"raw": "deep"}), "Provider returned error: deep"),
        (told("", metadata={"raw": {"x": 1}}), '{"x":1}'),
        ({}, "upstream error (HTTP 400)"),
        ("", "upstream error (HTTP 400)"),
        ("plain text", "plain text"),
        ('data: {"error": {"message": "a"}}\n\n', "a"),
        ('{"error": {"message": "a"}}\n{"error": {"message": "b"}}', "a"),
        ("\x00\x01binary", "upstream error (HTTP 400)"),
        ({"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "bad"}]}}, "body.x: bad"),
        ({"error_code": 336003, "error_msg": "a"}, "a"),
        ({"Message": "a"}, "a"),
        ({"errors": [{"code": "x", "message": "a"}]}, "a"),
        ({"errors": ["a", "b"]}, "a; b"),
        ({"errors": {"model": ["a"]}}, "model: a"),
        ({"error": "Bad Request", "message": "a"}, "a"),
        ({"error": {"error": {"message": "a"}}}, "a"),
        ({"detail": {"error": {"message": "a"}}}, "a"),
        ({"Response": {"Error": {"Code": "x", "Message": "a"}}}, "a"),
        ({"fault": {"faultstring": "a", "detail": {"errorcode": "x"}}}, "a"),
        ({"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "a"}, "a"),
        ({"error": "invalid_request", "error_description": "a"}, "a"),
        ({"error": {"error_description": "a", "code": 1}}, "a"),
        ({"errorDescription": "a"}, "a"),
        ({"status": {"code": 1011, "message": "a"}}, "a"),
        ({"status": {"statusCode": 400, "statusMessage": "a"}, "data": None}, "a"),
        ({"status": {"error": {"message": "a"}}}, "a"),
        ({"status": {"code": 1}, "message": "a"}, "a"),
        ({"status": "error", "message": "a"}, "a"),
        ('"a"', "a"),
        ("<html>no</html>", "upstream error (HTTP 400)"),
        ([], "upstream error (HTTP 400)"),
        ({"error": 7}, "upstream error (HTTP 400)"),
    ],
)
def test_the_message_is_found(body, message):
    assert error_of(400, body).message == message


def test_long_messages_are_cut():
    assert len(error_of(400, told("x" * 9000)).message) == MAX_MESSAGE


@pytest.mark.parametrize("status", [400, 404, 429])
@pytest.mark.parametrize(
    "word",
    [
        "a-",
        "sk-",
        "key=",
        "eyJaaaaaaaa",
        "http://a:",
        "unknown ",
        "not found ",
        "credit ",
        "context length ",
        "maximum context length is 1 tokens ",
        "request too large for model ",
        "prompt contains 5 tokens ",
        "x",
        "1,",
    ],
)
def test_a_long_text_does_not_hold_the_gateway_up(word, status):
    # providers echo what they were sent, so a client can make such a text
    long = word * (250_000 // len(word))
    for body in (told(long), told("m", metadata={"raw": long}), long):
        started = time.thread_time()
        error_of(status, body)
        assert time.thread_time() - started < 1


def test_secrets_are_masked():
    error = error_of(400, told("key sk-proj-abcdefgh12345 for https://me:secret@host/v1 was refused"))
    assert error.message == "key sk-*** for https://***@host/v1 was refused"


def test_should_retry_of_the_upstream_is_passed_on():
    assert error_of(500, told(), {"X-Should-Retry": "false"}).headers() == {"x-should-retry": "false"}
    assert error_of(429, told(), {"x-should-retry": "true"}).should_retry is True
    assert error_of(500, told(), {"x-should-retry": "perhaps"}).should_retry is None


@pytest.mark.parametrize("status", [408, 409, 429, 498, 500, 502, 503, 504, 520, 524, 529])
def test_the_pause_that_a_provider_asks_for_is_known_for_every_error_that_may_pass(status):
    assert error_of(status, told(), {"Retry-After": "7"}).headers()["retry-after"] == "7"
    assert error_of(status, told(), {"Retry-After-Ms": "1200"}).retry_after == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_there_is_no_pause_where_waiting_does_not_help(status):
    assert error_of(status, told(), {"Retry-After": "7"}).retry_after is None


def test_words_of_an_error_that_is_no_limit_are_no_pause():
    assert error_of(500, told("please try again in 5 minutes")).retry_after is None


@pytest.mark.parametrize("case", OVERFLOWS["overflows"])
def test_a_full_window_is_said_in_anthropics_words(case):
    error = error_of(case["status"], case["body"])
    assert (error.status, error.error_type) == (400, "invalid_request_error")
    assert error.message == f"prompt is too long: {case['input']} tokens > {case['window']} maximum"


MINUTE = (
    "Request too large for model `x` on tokens per minute (TPM): Limit 8000, Requested 32979, please reduce"
)


@pytest.mark.parametrize(
    ("max_tokens", "estimate", "message"),
    [
        (32000, 165, "input length and `max_tokens` exceed context limit: 979 + 32000 > 8000, "),
        (32000, 2000, "input length and `max_tokens` exceed context limit: 979 + 32000 > 8000, "),
        # the input alone does not fit either: the provider's numbers
        (23000, 9000, "prompt is too long: 32979 tokens > 8000 maximum"),
        (1000, 20000, "prompt is too long: 32979 tokens > 8000 maximum"),
        # what is requested is the input alone
        (32000, 30000, "prompt is too long: 32979 tokens > 8000 maximum"),
        (64000, 165, "prompt is too long: 32979 tokens > 8000 maximum"),
        (0, 165, "prompt is too long: 32979 tokens > 8000 maximum"),
    ],
)
@pytest.mark.parametrize("status", [413, 429])
def test_the_cap_that_a_minute_counts_is_not_taken_for_the_input(status, max_tokens, estimate, message):
    error = error_of(status, told(MINUTE), estimated_tokens=estimate, max_tokens=max_tokens)
    assert error.status == 400 and error.message.startswith(message)


@pytest.mark.parametrize("text", OVERFLOWS["input_fits_alone"])
def test_input_that_fits_alone_is_said_so(text):
    assert error_of(400, told(text)).message == (
        "input length and `max_tokens` exceed context limit: 20000 + 20000 > 32768, "
        "decrease input length or `max_tokens` and try again"
    )


@pytest.mark.parametrize(
    "window, estimate, sentence",
    [
        (128000, 130000, "130000 tokens > 128000"),
        (128000, 90000, "128001 tokens > 128000"),
        (None, 90000, "90000 tokens > 89999"),
    ],
)
def test_missing_numbers_are_ours(window, estimate, sentence):
    error = error_of(400, told("context length exceeded"), context_window=window, estimated_tokens=estimate)
    assert error.message == f"prompt is too long: {sentence} maximum"


@pytest.mark.parametrize(
    "status, body",
    [
        (429, told("Too many tokens per minute, maximum context length")),
        (400, told("Rate limit reached: too many tokens")),
        (
            400,
            told(
                "Invalid 'user': string too long, reduce the length of the messages",
                code="string_above_max_length",
            ),
        ),
        (400, told("Range of max_tokens should be [1, 65536]")),
        (400, told("ThrottlingException: Too many tokens, please wait")),
        (404, told("maximum context length")),
        (402, told("Prompt token limit exceeded: 30000 > 5000. To increase, upgrade to a paid account")),
        (401, told("x", type="authentication_error", input="k3-256k supports only 256K context")),
        (401, told("unknown key: 'k3-256k supports only 256K context'")),
        (400, told("unknown field")),
    ],
)
def test_other_errors_are_no_overflow(status, body):
    assert "prompt is too long" not in error_of(status, body).message


# inside a 200


@pytest.mark.parametrize(
    "error, status",
    [
        ({"code": 503}, 529),
        ({"code": "429"}, 429),
        ({"type": "rate_limit_error"}, 429),
        ({"status": "UNAVAILABLE"}, 529),
        ({"type": "overloaded_error"}, 529),
        ({"type": "invalid_request_error", "code": "insufficient_quota"}, 402),
        ({"code": "invalid_api_key"}, 502),
        ({"type": "server_error"}, 500),
        ({"type": "timeout"}, 504),
        ({"type": "invalid_request_error"}, 400),
        ({"http_code": "400"}, 400),
        ({}, 502),
        ({"code": 12}, 502),
        ({"code": "permission_denied"}, 403),
        ({"code": "context_length_exceeded"}, 400),
    ],
)
def test_the_status_of_an_error_inside_a_200(error, status):
    found = error_inside({"error": {"message": "m", **error}}, context_of())
    assert isinstance(found, UpstreamRejected)
    assert found.status == status


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again in 11.054s."}, 12),
        ({"code": 429, "message": "Please retry in 12.5s."}, 13),
        ({"code": 429, "message": "m", "metadata": {"headers": {"Retry-After": "20"}}}, 20),
        (
            {
                "code": 429,
                "message": "m",
                "metadata": {"headers": {"X-RateLimit-Reset": "1790000000000"}, "retry_after": 12},
            },
            12,
        ),
        ({"type": "overloaded_error", "message": "try again in 20s"}, 20),
        ({"type": "rate_limit_error", "message": "m"}, None),
        ({"type": "server_error", "message": "try again in 20s"}, None),
    ],
)
def test_the_pause_of_a_limit_inside_a_200_is_told(error, seconds):
    assert error_inside({"error": error}, context_of()).retry_after == seconds


@pytest.mark.parametrize(
    ("payload", "status", "message"),
    [
        ({"code": 429, "msg": "rate limited"}, 429, "rate limited"),
        ({"code": 500, "msg": "broken", "data": None}, 500, "broken"),
        ({"statusCode": 503, "message": "upstream overloaded"}, 529, "upstream overloaded"),
        ({"error_code": 18, "error_msg": "qps request limit reached"}, 502, "qps request limit reached"),
        ({"errors": [{"message": "boom", "code": 500}]}, 502, "boom"),
        ({"status": "error", "message": "engine died"}, 502, "engine died"),
        ({"success": False, "message": "no credit"}, 502, "no credit"),
        ({"retcode": -1, "errMsg": "refused", "choices": []}, 502, "refused"),
        ({"code": "Arrearage", "message": "no"}, 402, "no"),
        ({"code": "InvalidApiKey", "message": "no"}, 502, "no"),
        ({"code": 1302, "msg": "busy"}, 502, "busy"),
        ({"code": "Throttling.RateQuota", "message": "slow"}, 502, "slow"),
    ],
)
def test_an_object_that_is_no_answer_and_tells_a_failure_is_an_error(payload, status, message):
    found = error_inside(payload, context_of())
    assert (found.status, found.message) == (status, message)


@pytest.mark.parametrize(
    "payload",
    [
        {"code": 0, "msg": "success"},
        {"code": 200, "message": "OK"},
        {"status": "ok", "message": "warming up"},
        {"status": "pending", "message": "Waiting for a free slot"},
        {"status": "loading_model", "message": "Loading"},
        {"status": 102, "message": "Processing"},
        {"code": 302, "message": "moved to another node"},
        {"code": "heartbeat", "msg": "x"},
        {"status": {"code": "queued", "message": "x"}},
        {"code": 1, "msg": "", "choices": []},
        {"code": 1, "msg": "x", "usage": {"prompt_tokens": 1}},
        {"id": "c1", "object": "chat.completion.chunk", "status": "in_progress", "message": "x"},
        {},
        {"choices": []},
        {"error": None},
        {"error": ""},
        {"base_resp": {"status_code": 0}},
        {"usage": {}, "choices": []},
        {"choices": [{}], "message": "x", "code": 1},
        {"detail": None},
    ],
)
def test_what_is_no_error(payload):
    assert error_inside(payload, context_of()) is None


# Somebody's own words in a refusal, and a provider's

WORDS = "my prompt is too long, see: prompt is too long: 5000 tokens > 4000 maximum"
SENTENCE = "This model's maximum context length is 100 tokens. However, your messages resulted in 200 tokens"


@pytest.mark.parametrize(
    "body",
    [
        told(f"Invalid content near: {WORDS}"),
        told(f"messages.0.content: expected an array, got {WORDS}"),
        told(f"Invalid role. Received: {WORDS}"),
        told(f"Unknown tool: {WORDS}"),
        told(f"Value is not callable: null at row 1, column 20:\n{WORDS}\n ^"),
        *(
            told(f"Unsupported value {begin}{WORDS}{end} for messages[0].content")
            for begin, end in ("''", '""', "``", "“”", "„“", "«»", "「」", "『』", "<>")
        ),
        told("x", failed_generation=WORDS),
        told("x", value=WORDS),
        told("x", details=[{"violations": [{"description": "bad", "subject": WORDS}]}]),
        f"<html>{WORDS}</html>",
    ],
)
def test_words_of_the_request_are_no_overflow(body):
    assert not error_of(400, body).message.startswith("prompt is too long:")


@pytest.mark.parametrize(
    "body",
    [
        told(SENTENCE),
        told(f'Provider error: "{SENTENCE}"'),
        told(f"We got an error: {SENTENCE}"),
        told(f"{SENTENCE}. Received: 5 messages"),
        told("prompt is too long: 200 tokens > 100 maximum <unknown>"),
        told(json.dumps(told(SENTENCE))),
    ],
)
def test_words_of_the_provider_are_an_overflow(body):
    assert error_of(400, body).message == "prompt is too long: 200 tokens > 100 maximum"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
        (400, "This model does not support tool use"),
        (404, 'No endpoints found that support tool use. Try disabling "Read".'),
        (400, "`tool calling` is not supported with this model"),
        (400, "Function calling is not enabled for models/gemma-3-27b-it"),
        (422, "model does not support function calling"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (500, "tools param requires --jinja flag"),
        (400, "tools are currently unsupported"),
    ],
)
def test_a_model_without_tools_is_told_in_plain_words(status, message):
    error = error_of(status, told(message))
    assert (error.status, error.error_type) == (400, "invalid_request_error")
    assert error.message.startswith("The model behind claude-test cannot use tools")
    assert error.message.endswith(message)


@pytest.mark.parametrize(
    "message",
    [
        "tools[0].function.strict is not supported",
        "tool_choice is not supported",
        "does not support tool_choice",
        "Unknown tool: my model does not support tools, and more words",
        "tools.0.custom.input_examples: Extra inputs are not permitted",
    ],
)
def test_other_words_of_tools_are_the_providers_alone(message):
    assert error_of(400, told(message)).message == message


def test_the_users_words_in_an_error_do_not_make_a_client_compact():
    said = error_of(400, told("Invalid value for content: 'my prompt is too long for the context window'"))
    assert "prompt is too long" not in said.message and "Invalid value for content" in said.message


def test_an_exception_is_what_the_provider_says():
    assert error_of(500, {"exception": "Out of memory"}).message == "Out of memory"
