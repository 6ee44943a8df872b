"""What the history notes of a request's content."""

import pytest

from gateway.history.record.request_facts import failed_tools


def asked(*messages):
    return {"messages": list(messages)}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def called(**names):
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": i, "name": n} for i, n in names.items()],
    }


def result(call, **fields):
    return {"type": "tool_result", "tool_use_id": call, "content": "", **fields}


def test_tools_failed_are_those_whose_new_results_are_errors():
    request = asked(
        called(a="Old"), user(result("a", is_error=True)),
        called(b="Bash", c="Read"), user(result("b", is_error=True), result("c", is_error=False)),
        user(result("x", is_error=True)),
    )  # fmt: skip
    assert failed_tools(request) == ["Bash", "?"]


@pytest.mark.parametrize(
    "request_body",
    [{}, {"messages": 3}, asked(None, "x", {"role": "assistant"}, user("text", result([], is_error=True)))],
)
def test_a_request_of_any_shape_is_no_error(request_body):
    assert failed_tools(request_body) in ([], ["?"])
