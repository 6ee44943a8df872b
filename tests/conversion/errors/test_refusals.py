"""What refusals teach: one wording of a provider after the other."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.errors.refusal_rules import value_of
from gateway.conversion.errors.refusals import _ENTRIES, MAX_WORDS, Lesson, lesson, told_window, with_options
from gateway.conversion.profile import DEFAULTS, OPTION_NAMES, Profile

WORDINGS = json.loads(Path(__file__).with_name("refusal_wordings.json").read_text())
EVERYTHING = {
    "messages": [{"role": "user", "content": [{"type": "image_url"}]}],
    "max_tokens": 100,
    "temperature": 0.2,
    "top_p": 0.9,
    "stop": ["x"],
    "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "high",
    "response_format": {},
    "user": "me",
}


def profile_of(case):
    return Profile.merged(case.get("profile", {}))


def named(case):
    return f"{case['who']}: {case['lesson'][0]} {case['lesson'][1]}"


def body_of(case):
    return json.dumps(case["error"]).encode()


def refused(message, **more):
    return json.dumps({"error": {"message": message, **more}}).encode()


@pytest.mark.parametrize("case", WORDINGS, ids=map(named, WORDINGS))
def test_a_refusal_names_the_option_and_its_new_value(case):
    option, new = case["lesson"]
    found = lesson(case["status"], body_of(case), profile_of(case), case["sent"])
    assert found is not None
    assert (found.option, found.new, found.old) == (option, new, value_of(profile_of(case), option))
    assert found.words


def test_no_lesson_is_given_twice():
    for case in WORDINGS:
        option, new = case["lesson"]
        profile = with_options(profile_of(case), {option: new})
        again = lesson(case["status"], body_of(case), profile, case["sent"])
        assert again is None or (again.option, again.new) != (option, new), named(case)


def test_what_was_not_sent_teaches_nothing():
    for case in WORDINGS:
        assert lesson(case["status"], body_of(case), profile_of(case), {}) is None, named(case)


@pytest.mark.parametrize("status", [200, 401, 403, 429, 503])
def test_other_statuses_teach_nothing(status):
    for case in WORDINGS:
        assert lesson(status, body_of(case), profile_of(case), case["sent"]) is None, named(case)


def test_every_entry_of_the_table_has_a_wording_here():
    tried = {case["lesson"][0] for case in WORDINGS}
    known = {entry._option for entry in _ENTRIES}
    # an image inside a tool's result: no provider's own words are known
    assert known - tried == {"tool_result_images"}
    assert known <= OPTION_NAMES


OVERFLOWS = json.loads(Path(__file__).with_name("overflow_wordings.json").read_text())["entries"]


@pytest.mark.parametrize("entry", OVERFLOWS, ids=lambda entry: f"{entry['provider']}-{entry['regex'][:30]}")
def test_a_request_that_is_too_long_teaches_at_most_the_output_cap(entry):
    body = entry["body_example"]
    said = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    found = lesson(400, said, DEFAULTS, {**EVERYTHING, "max_tokens": 10_000_000})
    assert found is None or (found.option == "max_output_tokens" and entry["kind"] == "max_tokens")


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens (64000) cannot exceed the remaining 1200 tokens",
        "max_tokens cannot be greater than the space left by the prompt: 900",
        "max_tokens is set; temperature must be between 0 and 2",
        "thinking.budget_tokens must be less than max_tokens and between 1024 and 4096",
        "max_tokens or the output limit was reached: the length of messages must be between 1 and 2048",
    ],
)
def test_room_that_this_prompt_leaves_is_no_limit_of_the_model(message):
    assert lesson(400, refused(message), DEFAULTS, {**EVERYTHING, "max_tokens": 64_000}) is None


# the image of one request is broken, or is not allowed: other images are fine
BAD_IMAGES = [
    ("Invalid base64 image_url.", None),
    ("Invalid value", "invalid_image_url"),
    ("Invalid image_url: too large", None),
    ("Invalid image_url: not valid", None),
    ("Invalid image_url: must be base64", None),
    ("image is not supported: gif", None),
    ("Image input is not supported", "unsupported_image_media_type"),
    ("image input is not allowed by our safety system", None),
    ("Unsupported content type for image_url: the file could not be downloaded", None),
    ("images are not supported: larger than 20 MB", None),
]


@pytest.mark.parametrize(("message", "code"), BAD_IMAGES)
def test_one_bad_image_does_not_switch_images_off(message, code):
    assert lesson(400, refused(message, code=code, param="image_url"), DEFAULTS, EVERYTHING) is None


CONDITIONS = [
    "Reasoning is not supported for requests with images",
    "Thinking is not supported when a response is structured",
    "This model does not support reasoning while streaming",
    "thinking is not supported together with images",
    "Unsupported parameter: 'reasoning_effort' is not supported with this model when tools are used.",
]


@pytest.mark.parametrize("message", CONDITIONS)
@pytest.mark.parametrize("form", ["effort", "thinking_object", "openrouter", "enable_thinking"])
def test_a_refusal_under_a_condition_does_not_switch_thinking_off(message, form):
    sent = {"reasoning_effort": "high", "thinking": {}, "reasoning": {}, "enable_thinking": True}
    assert lesson(400, refused(message), Profile(reasoning=form), {**EVERYTHING, **sent}) is None


@pytest.mark.parametrize(
    "end", ["", ".", " for this model", " with model x-1", ". Retry when another model is loaded"]
)
def test_a_model_that_does_not_think_switches_thinking_off(end):
    found = lesson(400, refused("Thinking is not supported" + end), Profile(reasoning="effort"), EVERYTHING)
    assert (found.option, found.new) == ("efforts", [])


def test_the_words_of_a_refusal_in_a_users_sentence_teach_nothing():
    for case in WORDINGS[-60:]:
        message = case["error"].get("error", {}).get("message") if "error" in case["error"] else None
        if isinstance(message, str):
            said = {"detail": [{"loc": ["body"], "msg": "bad", "input": f"please explain: {message}"}]}
            echoed = json.dumps(said).encode()
            assert lesson(400, echoed, profile_of(case), case["sent"]) is None, named(case)


@pytest.mark.parametrize(
    "unit", ["max_tokens ", "does not support parameters: [", "supported ", "role ", "image "]
)
def test_a_long_refusal_is_read_in_linear_time(unit):
    began = time.thread_time()
    lesson(400, refused(unit * 200_000), Profile(reasoning="effort"), EVERYTHING)
    assert time.thread_time() - began < 2


PLAIN = [
    "Invalid request",
    "model not found",
    "This model is not supported",
    "Your request was flagged: temperature of the debate",
    "messages: at least one message is required",
    "The user is unknown to this organisation",
    "Invalid value for messages[3].content",
    "tools[0].function.name: string does not match pattern",
    "Request body is not valid JSON",
    "Insufficient Balance",
]


@pytest.mark.parametrize("message", PLAIN)
def test_an_error_about_something_else_teaches_nothing(message):
    assert lesson(400, refused(message), DEFAULTS, EVERYTHING) is None


def test_what_a_provider_echoes_is_not_read():
    said = {
        "detail": [
            {"loc": ["body", "messages"], "msg": "bad", "input": "Unsupported parameter: 'max_tokens'"}
        ]
    }
    assert lesson(400, json.dumps(said).encode(), DEFAULTS, EVERYTHING) is None


def test_secrets_in_the_words_are_masked_and_the_words_are_short():
    body = refused("Unsupported parameter: 'max_tokens' key=sk-abcdef1234567890 " + "x" * 2000)
    found = lesson(400, body, DEFAULTS, EVERYTHING)
    assert "abcdef1234567890" not in found.words
    assert len(found.words) <= MAX_WORDS


def test_a_forced_call_degrades_step_by_step():
    body = refused("Invalid value for tool_choice")
    named_call = {**EVERYTHING, "tool_choice": {"type": "function", "function": {"name": "f"}}}
    assert lesson(400, body, DEFAULTS, named_call).new == "no_named"
    assert lesson(400, body, Profile(tool_choice="no_named"), EVERYTHING).new == "no_forced"
    assert lesson(400, body, Profile(tool_choice="no_forced"), {**EVERYTHING, "tool_choice": "auto"}) is None


def test_a_schema_rewrite_is_added_behind_those_there_are():
    body = refused('Unknown name "$schema" at tools[0]')
    found = lesson(400, body, Profile(schema_rewrites=("inline_refs",)), EVERYTHING)
    assert (found.old, found.new) == (["inline_refs"], ["inline_refs", "gemini"])


def test_a_window_that_a_refusal_names_is_kept():
    body = refused(
        "This model's maximum context length is 32768 tokens. "
        "However, your messages resulted in 40000 tokens."
    )
    assert told_window(body, DEFAULTS)[:3] == ("context_window", None, 32768)
    assert told_window(body, Profile(context_window=32768)) is None
    assert told_window(refused("no"), DEFAULTS) is None


def test_null_is_the_default_and_a_list_becomes_a_tuple():
    profile = with_options(Profile(session_key="x"), {"session_key": None, "efforts": ["low"]})
    assert (profile.session_key, profile.efforts) == (None, ("low",))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()), st.integers(100, 599)
)
def test_garbage_never_raises_and_teaches_nothing(body, status):
    assert lesson(status, body, DEFAULTS, EVERYTHING) is None


@given(st.dictionaries(st.sampled_from(sorted(EVERYTHING)), json_values), st.sampled_from(WORDINGS))
def test_no_sent_body_makes_it_raise(sent, case):
    found = lesson(case["status"], body_of(case), profile_of(case), sent)
    assert found is None or isinstance(found, Lesson)
