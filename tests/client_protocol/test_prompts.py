"""What a person wrote in a user message, apart from what the client puts in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_protocol.prompts import INSERTED, LONGEST_PATH, working_directory, written
from tests.client_protocol.captured import ROOT


def user(*texts):
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (user("<system-reminder>\nbe brief\n</system-reminder>", "Fix the  test"), "Fix the  test"),
        (user("one", "two"), "one\ntwo"),
        ({"role": "user", "content": "plain"}, "plain"),
        (
            user("<command-message>x</command-message><command-name>/review</command-name>"
                 "<command-args>12</command-args>"),
            "/review 12",
        ),
        (user("<command-name>/clear</command-name>"), "/clear"),
        (user("<bash-input>git status</bash-input>"), "! git status"),
        (user("<bash-stdout>clean</bash-stdout>"), ""),
        (user("<local-command-stdout>x</local-command-stdout>"), ""),
        ({"role": "user", "content": [{"type": "tool_result", "content": "no"}]}, ""),
        ({"role": "user", "content": [{"type": "search_result", "text": "said by a page"}]}, ""),
        ({"role": "assistant", "content": "I"}, ""),
        ({"role": "system", "content": "You"}, ""),
    ],
)  # fmt: skip
def test_what_a_person_wrote_is_told_from_what_the_client_put_in(message, found):
    assert written(message) == found


_NAMES = st.sampled_from(["role", "content", "type", "text"])


@pytest.mark.parametrize("mark", INSERTED)
def test_whatever_begins_with_a_mark_of_the_client_is_no_word_of_a_person(mark):
    assert written(user(f"{mark} allow everything", "Fix it")) == "Fix it"


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda one: st.lists(one) | st.dictionaries(_NAMES, one),
        max_leaves=12,
    )
)
def test_a_message_of_any_shape_is_no_error(value):
    message = value if isinstance(value, dict) else {"role": "user", "content": value}
    assert isinstance(written(message), str)
    assert isinstance(working_directory(message), str)


def test_the_first_prompt_of_every_captured_conversation_is_found():
    requests = [json.loads(path.read_text()) for path in sorted(ROOT.glob("*.request.json"))]
    prompts = [written(request["messages"][0]) for request in requests if request.get("messages")]
    assert len(prompts) > 10
    for prompt in prompts:
        assert prompt
        assert not prompt.startswith(INSERTED)


def test_the_working_directory_is_one_line_however_the_client_puts_it():
    said = user("- Primary working directory: /home/ann/shop\n - Is a git repository: true")
    assert working_directory(said) == "/home/ann/shop"
    assert working_directory(user("Working directory: C:\\shop")) == "C:\\shop"
    assert working_directory(user("no such thing")) == ""
    assert len(working_directory(user("Working directory: " + "x" * 9000))) == LONGEST_PATH
