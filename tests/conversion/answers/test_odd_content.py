"""Contents, calls and JSON as single servers write them: streamed in pieces, streamed at once, and whole."""

from __future__ import annotations

import pytest

from tests.conversion.answers.test_odd_forms import OFFERED, accumulated, told, whole
from tests.grammar import assert_legal
from tests.playbook import DONE, call, chunk, finish, play, stream_of, text

A, B = '{"file_path": "a"}', '{"file_path": "b"}'
CALL_A, CALL_B = ("Read", {"file_path": "a"}), ("Read", {"file_path": "b"})


def played(*chunks, **facts):
    """(blocks, stop reason), or None for an answer that failed."""
    stream = stream_of(**facts)
    events = play(stream, *chunks, DONE)
    if stream.failure is not None:
        return None
    assert_legal(events)
    message = accumulated(events)
    return told(message["content"]), message["stop_reason"]


def calls(arguments):
    """The calls that the arguments of one are, in each way to send them; they have to be the same."""
    end = finish("tool_calls")
    pieces = [call(0, "c", "Read", ""), *(call(0, args=sign) for sign in arguments)]
    at_once = played(call(0, "c", "Read", arguments), end, **OFFERED)
    assert at_once == played(*pieces, end, **OFFERED)
    entry = {"id": "c", "function": {"name": "Read", "arguments": arguments}}
    assert whole({"tool_calls": [entry]}, **OFFERED) == at_once[0]
    return at_once[0]


@pytest.mark.parametrize(
    "arguments",
    [A + B, f"{A}\n{B}", f"{A}, {B}", f"{A};{B}", f"{A} ,\n{B}", "{}" + A + B, f"null{A}{B}", A + B + "{}"],
)
def test_two_objects_in_one_call_are_two_calls_of_its_tool(arguments):
    assert calls(arguments) == [CALL_A, CALL_B]


@pytest.mark.parametrize("arguments", [A + A, f"{A},{A}", A + "{}", A + "null", A + "}", A + ",", A + "\n"])
def test_the_same_object_again_or_nothing_behind_it_is_one_call(arguments):
    assert calls(arguments) == [CALL_A]


@pytest.mark.parametrize(
    "arguments", [f"[{A},{B}]", f"[{A}]", f"```json\n{A}\n{B}\n```", "{'file_path': 'a'}{'file_path': 'b'}"]
)
def test_objects_of_which_one_would_be_lost_are_shown_to_the_model(arguments):
    assert calls(arguments) == [("Read", {"INVALID_JSON": arguments})]


def raw(inner, *, delta='{"content":"hi"}'):
    choice = f'{{"index":0,"delta":{delta},"finish_reason":null{inner}}}'
    return f'data: {{"id":"c1","choices":[{choice}]}}\n\n'.encode()


@pytest.mark.parametrize(
    "inner",
    [
        ',"logprobs":NaN',
        ',"logprobs":{"content":[{"logprob":-Infinity},{"logprob":Infinity}]}',
        ',"n":123456789012345678901234567890',
        ',"note":"a\tb"',
        ',"usage":{"prompt_tokens":NaN,"completion_tokens":2}',
        ',"x":{"deep":[[[NaN]]]}',
    ],
)
def test_json_that_is_none_to_the_letter_beside_a_text_does_not_lose_it(inner):
    assert played(raw(inner), raw(inner), finish("stop")) == (["hihi"], "end_turn")


def test_words_of_a_text_that_look_like_such_json_stay():
    said = '"content":"NaN, -Infinity: a\tb"'
    assert played(raw(',"x":NaN', delta=f"{{{said}}}"), finish("stop")) == (
        ["NaN, -Infinity: a\tb"],
        "end_turn",
    )


@pytest.mark.parametrize("broken", ['{"choices":[{', '{"choices":[{"delta":{"content":"hi",}}]}', "{'a': 1}"])
def test_a_chunk_that_cannot_be_read_is_an_error(broken):
    assert played(text("x"), f"data: {broken}\n\n".encode(), finish("stop")) is None


@pytest.mark.parametrize(
    "content",
    [
        "ab",
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"type": "output_text", "text": "ab"}],
        [{"text": "a"}, {"text": "b"}],
        ["a", "b"],
        {"type": "text", "text": "ab"},
        {"text": "ab"},
        [{"type": "text", "text": [{"type": "text", "text": "ab"}]}],
        [None, {"type": "text", "text": "ab"}, 5],
    ],
)
def test_a_content_is_its_text_in_any_form(content):
    assert played(chunk({"content": content}), finish("stop")) == (["ab"], "end_turn")
    assert whole({"content": content}, "stop") == ["ab"]


@pytest.mark.parametrize(
    "chunks",
    [
        [{"choices": [{"index": 0, "delta": None, "finish_reason": None}]}, text("a"), finish("stop")],
        [{"choices": None}, text("a"), finish("stop")],
        [{"choices": [], "prompt_filter_results": []}, text("a"), finish("stop")],
        [chunk({"role": "assistant", "content": None}), text("a"), finish("stop")],
        [chunk({"content": "a", "tool_calls": [], "function_call": None}), finish("stop")],
        [text("a"), chunk({}, ["stop"])],
        [text("a"), finish("stop"), finish("stop")],
        [{"choices": [{"delta": {"content": "a"}}]}, finish("stop")],
        [{"choices": [{"index": 0, "delta": {"content": "a"}, "message": None, "finish_reason": "stop"}]}],
        [{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}, text("a"), finish("stop")],
        [text("a"), finish("tool_calls")],
    ],
)
def test_what_stands_around_a_text_does_not_change_it(chunks):
    assert played(*chunks) == (["a"], "end_turn")


@pytest.mark.parametrize(
    "chunks",
    [
        [call(0, "c", "Re", ""), call(0, name="ad"), call(0, args=A)],
        [call(0, "c", None, ""), call(0, args=A[:5]), call(0, name="Read"), call(0, args=A[5:])],
        [chunk({"tool_calls": [{"index": 0, "id": 5, "function": {"name": "Read", "arguments": A}}]})],
        [chunk({"tool_calls": [{"index": 0.0, "id": "c", "function": {"name": "Read", "arguments": A}}]})],
        [
            chunk({"function_call": {"name": "Read", "arguments": ""}}),
            chunk({"function_call": {"arguments": A}}),
        ],
        [call(None, "c", "Read", A[:4]), call(None, args=A[4:])],
        [call(0, "c", "Read", A), call(0, args=" \n")],
    ],
)
def test_a_call_is_put_together_from_whatever_tells_it(chunks):
    assert played(*chunks, finish("tool_calls"), **OFFERED) == ([CALL_A], "tool_use")


def test_a_call_that_was_cut_off_never_runs():
    begun = call(0, "c", "Read", A[:6])
    assert played(begun) is None
    assert played(begun, finish("stop")) is None
    assert played(begun, finish("tool_calls")) is None
    assert played(begun, finish("length"))[1] == "max_tokens"
