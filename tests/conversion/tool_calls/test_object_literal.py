"""Arguments in the words of Python or JavaScript, and those that could mean several things."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.tool_calls.object_literal import object_literal
from tests.conversion.answers.test_odd_forms import OFFERED, response, streamed, told, typed, whole
from tests.conversion.openai_responses.scripts import event, function_call, message_of
from tests.playbook import call, finish

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1e9, 1e9),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "text, meant",
    [
        ("{'path': 'a'}", {"path": "a"}),
        ("{'a': None, 'b': True, 'c': [1, 'x', -2.5e3], 'd': {'e': 'f \"q\"'}}", None),
        ("{'a': \"it's\"}", {"a": "it's"}),
        ("{'a': 'it\\'s'}", {"a": "it's"}),
        ("{'a': 'x\\ny\\t\\x41\\u00e9\\U0001f600'}", {"a": "x\ny\tA\u00e9\U0001f600"}),
        ("{'a': '\\ud83d\\ude00'}", {"a": "\U0001f600"}),
        ("{'a': '\\ud83d'}", {"a": "\ufffd"}),
        ("{'a': 'C:\\\\dir \\d+'}", {"a": "C:\\dir \\d+"}),
        ("{'a': 'one\ntwo'}", {"a": "one\ntwo"}),
        ("{'a': 'x',}", {"a": "x"}),
        ("{'a': [1, 2,], }", {"a": [1, 2]}),
        ('{path: "a", all: true}', {"path": "a", "all": True}),
        ("{'a': 'b', \"c\": \"d\"}", {"a": "b", "c": "d"}),
        ("{ 'a' : { } }", {"a": {}}),
        ("{true: 1}", {"true": 1}),
    ],
)
def test_what_has_one_meaning_is_read(text, meant):
    assert object_literal(text) == (eval(text, {}) if meant is None else meant)


@pytest.mark.parametrize(
    "text",
    [
        "{'a': 'it's'}",
        "{'cmd': 'grep 'x' y'}",
        "{'a': ('x', 'y')}",
        "{'a': {'x'}}",
        "{'a': '''x'''}",
        "{'a': 'x' 'y'}",
        "{'a': b'x'}",
        "{'a': r'\\d'}",
        "{'a': undefined}",
        "{'a': open('x')}",
        "{'a': 1}{'b': 2}",
        "{'a': 1",
        "{'a' 1}",
        "{1: 'a'}",
        "{'a': 01}",
        "{'a': 1,, 'b': 2}",
        "{a b: 1}",
        "dict(a='b')",
        "",
    ],
)
def test_what_could_mean_something_else_is_not(text):
    assert object_literal(text) is None
    given = streamed(call(0, "c", "Read", text or "{'"), finish("tool_calls"), **OFFERED)
    assert given == [("Read", {"INVALID_JSON": text or "{'"})]


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_every_dict_of_json_values_is_read_as_python_prints_it(value):
    assert object_literal(repr(value)) == value


# a key with an apostrophe is written as in JSON, and a stream that has begun so cannot go on otherwise
@given(st.dictionaries(st.text('ab\\"\n'), st.text("ab'\\\"\n{}:,"), min_size=1), st.data())
def test_a_call_in_pythons_words_is_the_same_streamed_and_whole(value, data):
    text = repr(value)
    cut = data.draw(st.integers(0, len(text)))
    pieces = [call(0, "c", "Read", text[:cut]), call(0, args=text[cut:])]
    assert streamed(*pieces, finish("tool_calls"), **OFFERED) == [("Read", value)]
    message = {"tool_calls": [{"id": "c", "function": {"name": "Read", "arguments": text}}]}
    assert whole(message, **OFFERED) == [("Read", value)]
    item = function_call("c", "Read", text)
    assert told(message_of(response(item), **OFFERED)["content"]) == [("Read", value)]
    events = [
        event("output_item.added", output_index=0, item={**item, "arguments": ""}),
        event("function_call_arguments.delta", output_index=0, delta=text[:cut]),
        event("function_call_arguments.delta", output_index=0, delta=text[cut:]),
        event("completed", response=response(item)),
    ]
    assert told(typed(*events, **OFFERED)) == [("Read", value)]


@pytest.mark.parametrize("piece", ["'a': 'b', ", "[", "{'a':", "'\\'", "'", "a", "1,", "\\", "\"'", " "])
def test_a_long_text_takes_time_in_proportion(piece):
    def seconds(length):
        text = "{" + piece * (length // len(piece))
        began = time.thread_time()
        object_literal(text)
        return time.thread_time() - began

    seconds(1000)
    assert seconds(1_000_000) < 4
