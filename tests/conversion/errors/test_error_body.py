"""What a provider says, told from what it only echoes; in bounded time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.errors.error_body import parsed_body, read, without_echoes
from gateway.conversion.errors.error_limits import told_limits
from gateway.conversion.errors.overflow import (
    _CODES,
    _GENERAL,
    _MINUTE,
    _NEVER,
    _PLAIN,
    _SPECIFIC,
    compiled_wordings,
    overflow_in,
    wordings,
)
from gateway.conversion.errors.refusals import lesson
from gateway.conversion.errors.upstream import upstream_error
from gateway.conversion.profile import Profile

HERE = Path(__file__).parent
OVERFLOWS = json.loads((HERE / "overflows.json").read_text())
LIMITS = json.loads((HERE / "output_limits.json").read_text())
REFUSALS = json.loads((HERE / "refusal_wordings.json").read_text())


def sentences(body):
    parsed = parsed_body(body.encode() if isinstance(body, str) else json.dumps(body).encode())
    return read(parsed, body if parsed is None else "").texts


def texts_of(cases):
    return [text for case in cases for text in sentences(case["body"])]


SAID = texts_of(OVERFLOWS["overflows"]) + [
    text for said in OVERFLOWS["input_fits_alone"] for text in sentences({"error": {"message": said}})
]
# a person's words: what the provider would say, and what people say of it
USER = [
    "Please fix the code that handles the maximum context length of the model",
    "Why does it say: prompt is too long: 208310 tokens > 200000 maximum here",
    "the request exceeds the context window, says the log of our tool",
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "max_tokens must be less than or equal to 4096 in that other program",
    "Unsupported parameter: 'max_tokens' is what it said to me",
    *(text for text in SAID if len(text.split()) > 4 and not set("\"'`{") & set(text)),
]


def ways_to_echo(words):
    quoted = json.dumps(words, ensure_ascii=False)
    part = [{"type": "text", "text": words}]
    yield {"detail": [{"type": "string_type", "loc": ["body", "messages", 1, "content"],
                       "msg": "Input should be a valid string", "input": part}]}  # fmt: skip
    yield {"detail": [{"loc": ["body"], "msg": "bad", "ctx": {"given": words}, "input": {"messages": part}}]}
    yield {"error": {"message": "bad field", "input": words}}
    yield {"error": {"message": "bad field", "request": {"messages": [{"role": "user", "content": words}]}}}
    yield {"error": {"message": f"Invalid value: {quoted}. Supported values are: a, b."}}
    yield {"error": {"message": f"Invalid value for messages[0]: \u201c{words}\u201d is not of type array"}}
    yield {"error": {"message": f"1 validation error:\n  {{'type': 'x', 'loc': ('body', 'm'), 'msg': 'bad', "
                                f"'input': [{{'type': 'text', 'text': {words!r}}}]}}"}}  # fmt: skip
    yield {"error": {"message": "1 validation error for Chat\nmessages.1\n  Input should be a string "
                                f"[type=string_type, input_value={words!r}, input_type=str]"}}  # fmt: skip
    yield {"error": {"message": f"Failed to parse {json.dumps({'role': 'user', 'content': words})}"}}
    yield f"invalid request: {quoted}"


@pytest.mark.parametrize("case", range(len(list(ways_to_echo("x")))))
def test_a_users_echoed_words_are_no_overflow_no_limit_and_no_lesson(case):
    sent = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 64_000}
    wrong = []
    for words in dict.fromkeys(USER):
        body = list(ways_to_echo(words))[case]
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        error = upstream_error(400, {}, raw, model="m", context_window=200_000, estimated_tokens=12)
        if error.message.startswith(("prompt is too long", "input length and")) or told_limits(raw):
            wrong.append((words, error.message))
        if (found := lesson(400, raw, Profile(), sent)) is not None:
            wrong.append((words, found))
    assert not wrong


@pytest.mark.parametrize("section", ["minute", "never", "specific", "general"])
def test_every_wording_of_the_file_is_met_in_something_said(section):
    compiled = {"minute": _MINUTE, "never": _NEVER, "specific": _SPECIFIC, "general": _GENERAL}[section]
    said = [*SAID, *OVERFLOWS["something_else"]]
    missed = [
        entry["pattern"]
        for entry, pattern in zip(wordings()["overflow"][section], compiled, strict=True)
        if not any(pattern.search(text) for text in said)
    ]
    assert not missed


def test_every_wording_of_an_output_limit_is_met_in_something_said():
    entries = wordings()["output_limits"]
    missed = [
        entry["pattern"]
        for entry, pattern in zip(entries, compiled_wordings(entries), strict=True)
        if not any(pattern.search(case["message"]) for case in LIMITS)
    ]
    assert not missed


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case["message"][:40])
def test_a_cap_that_is_too_large_is_told_and_is_no_overflow(case):
    raw = json.dumps({"error": {"message": case["message"]}}).encode()
    assert told_limits(raw) == {"max_output_tokens": case["limit"]}
    error = upstream_error(400, {}, raw, model="m", context_window=200_000, estimated_tokens=12)
    assert error.message == case["message"]
    found = lesson(400, raw, Profile(), {"max_tokens": 10_000_000})
    assert (found.option, found.new) == ("max_output_tokens", case["limit"])


@pytest.mark.parametrize("text", OVERFLOWS["something_else"])
def test_what_sounds_like_an_overflow_and_is_none(text):
    assert overflow_in(set(), sentences({"error": {"message": text}}), None) is None


@pytest.mark.parametrize(
    "sentence",
    ["Unknown tool: my_{}_x", "Tool '{}_handler' not found", "Tool {} not found", "Function '{}' is invalid",
     "The property '{}' exceeds its schema", "no result for toolu_{}", "Tool '{} tool' is too long",
     "Extra inputs are not permitted: {{'{}': true}}", "body.tools.0.{} is too long"],
)  # fmt: skip
def test_the_name_of_a_tool_or_a_property_is_no_overflow(sentence):
    names = {*_PLAIN, *(code for code in _CODES if not code.isdigit()), "prompt_too_long", "too_many_tokens"}
    names |= {name.replace("_", " ") for name in names}
    said = [sentence.format(name) for name in sorted(names) if "_" in name or "'" in sentence]
    assert [text for text in said if overflow_in(set(), sentences({"error": {"message": text}}), None)] == []


@pytest.mark.parametrize("code", ["content_filter", "tool_use_failed"])
def test_a_code_for_something_else_is_surer_than_words(code):
    body = {"error": {"message": "expected string, but got: grep 'context length exceeded'", "code": code}}
    raw = json.dumps(body).encode()
    error = upstream_error(400, {}, raw, model="m", context_window=None, estimated_tokens=12)
    assert "prompt is too long" not in error.message


def test_every_entry_of_the_file_names_its_source():
    data = wordings()
    entries = [
        entry for name in ("minute", "never", "specific", "general") for entry in data["overflow"][name]
    ]
    assert all(entry["source"] for entry in (*entries, *data["output_limits"], *data["lessons"]))


def test_a_sentence_behind_a_long_echo_is_read():
    said = (
        "Invalid: " + json.dumps("my words " * 100_000) + ". prompt is too long: 9000 tokens > 8192 maximum"
    )
    assert overflow_in(set(), sentences({"error": {"message": said}}), None)[:3] == (9000, None, 8192)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Unsupported value: 'max_tokens'", "Unsupported value: 'max_tokens'"),
        ("the model's window isn't full", "the model's window isn't full"),
        ('{"message": "a b c d e"}', '{"message": "a b c d e"}'),
        ("got 'a b c d e'.", "got \u2026."),
        ("got 'don't do a b c' now", "got \u2026 now"),
        ('got "a b c d', "got \u2026"),
        ("raise('a b c d...\n Error: a b c d", "raise(\u2026\n Error: a b c d"),
        ("raise('a b...\n Error: a b c d", "raise('a b...\n Error: a b c d"),
        ("got 'a b c d\n e f' now", "got \u2026 now"),
        ("use `max_tokens` or `a b c d e`", "use `max_tokens` or \u2026"),
    ],
)
def test_quotations_of_several_words_are_cut_out(text, kept):
    assert without_echoes(text) == kept


@given(st.text(alphabet="ab '\"`:=\u201c\u201d\\message{}[]input_value", max_size=200))
def test_any_text_is_read_and_never_grows(text):
    assert len(without_echoes(text)) <= len(text) + text.count("'") + 1


@pytest.mark.parametrize(
    "repeated",
    ["'", '"', "' ", "'a ", ": 'a b c d e' ", "message:'", 'message:"a ', "input_value=", "\\'", "a'b ", "x",
     "[", "maximum context length is 5 tokens ", "max_tokens must be ", '{"message":"', '"{', "prompt is "],
)  # fmt: skip
def test_a_megabyte_of_an_error_is_read_in_time(repeated):
    text = repeated * (1_000_000 // len(repeated))
    for body in (text.encode(), json.dumps({"error": {"message": text}}).encode(),
                 json.dumps({"detail": [{"loc": ["a"], "msg": text}]}).encode()):  # fmt: skip
        began = time.process_time()
        upstream_error(400, {}, body, model="m", context_window=1000, estimated_tokens=10)
        lesson(400, body, Profile(), {"max_tokens": 5, "messages": []})
        told_limits(body)
        assert time.process_time() - began < 2.0


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['who']}: {case['lesson'][0]}")
def test_a_refusal_is_learnt_in_every_form_of_error_body(case):
    error = case["error"].get("error", case["error"]) if isinstance(case["error"], dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if not isinstance(message, str) or error.get("code") or message.lstrip().startswith(("{", "[")):
        return
    error = {"message": message}
    for body in (error, {"detail": message}, {"errors": [error]}, {"error_msg": message}, [{"error": error}]):
        found = lesson(
            case["status"], json.dumps(body).encode(), Profile.merged(case.get("profile", {})), case["sent"]
        )
        assert found is not None and [found.option, found.new] == case["lesson"]


W = "bad thing here"


@pytest.mark.parametrize(
    "body",
    [
        {"header": {"code": 10003, "message": W}},
        {"success": False, "info": W},
        {"output": {"message": W}},
        {"error": {"code": "x", "innererror": {"message": W}}},
        {"error": {"type": "x", "cause": W}},
        {"violations": [{"message": W}]},
        {"invalid_params": [{"reason": W}], "title": ""},
        {"userMessage": W},
        {"error": {"message": "", "code": W}},
        {"meta": {"error": W}},
        {"error": {"text": W}},
        {"__all__": [W]},
        {"non_field_errors": [W], "request_id": "req_1 and more"},
        {"status": 400, "body": json.dumps({"error": {"message": W}})},
        {"anything": {"else": [{"whatever": W}]}},
        "<?xml version='1.0'?><Error><Code>x</Code><Message>bad thing here</Message></Error>",
        "[ERROR] bad thing here",
        '{"error": {"message": "bad thing here',
        "{'error': {'message': 'bad thing here'}}",
    ],
    ids=str,
)
def test_the_providers_words_are_found_under_any_name(body):
    raw = body if isinstance(body, str) else json.dumps(body)
    error = upstream_error(400, {}, raw.encode(), model="m", context_window=None, estimated_tokens=12)
    assert W in error.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"type": "invalid_request_error", "message": None}}, "invalid_request_error"),
        ({"object": "error", "type": "error", "code": 400}, "upstream error (HTTP 400)"),
        ({"error": {}, "input": "my words are here"}, "upstream error (HTTP 400)"),
        ("<html><body><p>bad thing here</p></body></html>", "upstream error (HTTP 400)"),
        ("<!DOCTYPE html><message>bad thing here</message>", "upstream error (HTTP 400)"),
    ],
    ids=str,
)
def test_without_a_sentence_there_is_the_code_and_no_echo(body, message):
    raw = body if isinstance(body, str) else json.dumps(body)
    error = upstream_error(400, {}, raw.encode(), model="m", context_window=None, estimated_tokens=12)
    assert error.message == message
