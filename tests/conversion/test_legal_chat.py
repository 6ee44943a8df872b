"""The judges of the other tests reject what they should."""

import copy

import pydantic
import pytest

from tests.conversion import openai_types
from tests.conversion.legal_chat import violations

CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LEGAL = {
    "model": "m",
    "max_tokens": 5,
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "t1", "content": "r"},
        {"role": "user", "content": "b"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    ],
}


def changed(*path, value=None):
    body = copy.deepcopy(LEGAL)
    owner = body
    for step in path[:-1]:
        owner = owner[step]
    if value is None:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return body


def test_a_legal_request_has_no_violations_and_fits_the_types():
    assert violations(LEGAL) == []
    openai_types.accept(LEGAL)


@pytest.mark.parametrize(
    "body",
    [
        changed("model"),
        changed("messages"),
        changed("messages", 1, "role", value="human"),
        changed("messages", 1, "content", value=[{"type": "image", "source": {}}]),
        changed("messages", 1, "content", value=[{"type": "text"}]),
        changed("messages", 1, "content", value=[{"type": "image_url", "image_url": "x"}]),
        changed("messages", 2, "tool_calls", value=[{**CALL, "function": {"name": "f"}}]),
        changed("messages", 3, "tool_call_id"),
        changed("messages", 3, "content", value={"a": 1}),
        changed("tools", 0, "function", "name"),
        changed("max_tokens", value="many"),
    ],
)
def test_both_judges_reject_nonsense(body):
    with pytest.raises(pydantic.ValidationError):
        openai_types.accept(body)
    try:
        found = violations(body)
    except (KeyError, TypeError, AttributeError) as broken:
        found = [str(broken)]
    assert found


@pytest.mark.parametrize(
    "body",
    [
        changed("messages", 3),
        changed("messages", 4, "content", value=""),
        changed("messages", 2, "tool_calls", value=[CALL, CALL]),
        changed("messages", 2, "tool_calls", value=[{**CALL, "id": "t" * 41}]),
        changed("messages", 3, "tool_call_id", value="t2"),
        changed("messages", 1, "content", value=[{"type": "text", "text": "a", "citations": []}]),
        changed("messages", 4, value={"role": "assistant", "content": "b"}),
        changed("tools", value=[]),
        changed("tool_choice", value={"type": "function", "function": {"name": "g"}}),
        changed("thinking", value={}),
        changed("stream_options", value={}),
    ],
)
def test_our_judge_rejects_what_the_types_allow(body):
    assert violations(body)
