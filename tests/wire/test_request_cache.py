"""A request is read the same whether its parts came before or not, and parts are known again."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import jsontext
from gateway.wire.request_cache import LEAST_BODY, NOTHING, RequestReader
from tests.examples import examples
from tests.test_cache import held

TOOLS = [{"name": "a", "input_schema": {"type": "object", "properties": {"messages": {"enum": [1, "]"]}}}}]


def text_of(request):
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()


def reader():
    return RequestReader(least_body=0)


def history(turns, begin=0):
    messages = [{"role": "user", "content": f"question {begin}"}]
    for number in range(turns):
        messages.append({"role": "assistant", "content": [{"type": "text", "text": f"answer {number}"}]})
        messages.append({"role": "user", "content": f"and then? {number}"})
    return messages


def request(turns, **fields):
    return {
        "model": "m",
        "messages": history(turns),
        "tools": TOOLS,
        "max_tokens": 9,
        "stream": True,
        **fields,
    }


def test_a_longer_conversation_gives_the_same_objects_for_what_came_before():
    known = reader()
    before, first = known.read(text_of(request(3)))
    after, second = known.read(text_of(request(4)))
    assert (before, after) == (request(3), request(4))
    assert [len(part.value) for part in second.passages] == [1, 2, 2, 2]
    assert [part.first for part in second.passages] == [0, 1, 3, 5]
    assert all(one is other for one, other in zip(first.passages, second.passages, strict=False))
    assert all(one is other for one, other in zip(before["messages"][:5], after["messages"], strict=False))
    assert first.tools is second.tools and after["tools"] is before["tools"] is second.tools.value


def test_the_order_of_the_fields_does_not_matter():
    known = reader()
    plain = request(2)
    for names in (
        ["tools", "messages"],
        ["messages", "tools"],
        ["stream", "tools"],
        ["messages"],
        ["max_tokens"],
    ):
        turned = {**{name: plain[name] for name in names}, **plain}
        for _ in range(2):
            value, recurring = known.read(text_of(turned))
            assert list(value.items()) == list(turned.items())
        assert recurring.tools is not None and len(recurring.passages) == 2


def test_system_blocks_are_known_again():
    known = reader()
    asked = request(
        1, system=[{"type": "text", "text": "be brief"}, {"type": "text", "text": "x", "a": [[]]}]
    )
    (one, first), (other, second) = known.read(text_of(asked)), known.read(text_of(asked))
    assert one == other == asked
    assert one["system"] is other["system"] is first.system.value is second.system.value
    assert known.read(text_of({**asked, "system": "be brief"}))[0]["system"] == "be brief"


def test_tools_are_found_wherever_they_stand_the_next_time():
    known = reader()
    _, first = known.read(text_of(request(1)))
    for fields in ({"metadata": {"user_id": "x" * 100}}, {}, {"system": "s" * 50, "thinking": {}}):
        value, recurring = known.read(text_of(request(1, **fields)))
        assert recurring.tools is first.tools and value == request(1, **fields)


def test_tools_are_found_where_they_stood_whatever_else_has_their_name_before_them():
    known = reader()
    _, first = known.read(text_of(request(3)))
    asked = {"metadata": {"tools": [1]}, **request(4)}
    read, second = known.read(text_of(asked))
    assert read == asked
    assert second.tools is first.tools is not None


def test_numbers_that_are_equal_to_python_are_told_apart():
    known = reader()
    for odd in (1, 1.0, True):
        tools = [{"name": "a", "input_schema": {"default": odd}}]
        messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": odd}, *history(2)]
        body = text_of({"model": "m", "messages": messages, "tools": tools})
        assert repr(known.read(body)[0]) == repr(json.loads(body))


@pytest.mark.parametrize(
    "body",
    [
        # a list of messages that is not the request's
        b'{"metadata":{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}]},"messages":[]}',
        b'{"x":{"messages":[{"a":1},{"role":"assistant"},1],"tools":[{"name":"a"}]},"tools":[{"name":"b"}],"y":1}',
        # a name that stands twice: the last wins
        b'{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}],"messages":[{"role":"user"}]}',
        b'{"messages":[{"role":"user"},{"role":"assistant"},1],"tools":[{"a":1}],"tools":[{"a":2}],"z":1}',
        # cuts inside of something
        b'{"messages":[{"role":"user","content":[{"messages":[{"role":"user"},{"role":"assistant"}]}]},'
        b'{"role":"assistant"},{"role":"user"}],"tools":[{"example":{"tools":[{"a":1}],"b":2}}],"b":3}',
        # no list, no object
        b'{"messages":[1,2],"tools":[]}',
        b'["messages":[]]',
        b'{"messages":{"messages":[]},"tools":{"tools":[]}}',
        b'{"tools":[{"messages":[{"a":{"b":{}},"c":1},{"role":"assistant"},2]}],"messages":[{"a":1},{"role":"assistant"}]}',
        # what stands for a part
        b'{"messages":["\\u0000recurring",{"x":{}},{"role":"assistant"},1],"tools":["\\u0000recurring"],"a":1}',
        # broken
        b'{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}],"tools":[',
        b'{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}]',
        b'{"messages":[{"role":user},{"role":"assistant"},{"role":"user"}]}',
        b'{"messages":[{"role":"user"},{"role":"assistant","content":"\xff"},{"role":"assistant"},1]}',
        b'{"messages":[',
        b"",
    ],
)
def test_what_looks_like_a_part_and_is_none_is_read_as_it_is(body):
    known = reader()
    known.read(text_of({"messages": history(1), "tools": [{"a": 1}], "b": 2}))
    for _ in range(3):
        try:
            expected = jsontext.loads(body)
        except jsontext.InvalidJSON as problem:
            with pytest.raises(jsontext.InvalidJSON) as caught:
                known.read(body)
            assert str(caught.value) == str(problem)
        else:
            assert repr(known.read(body)[0]) == repr(expected)


pieces = st.recursive(
    st.sampled_from([None, True, 1, 1.0, "", "x", '},{"role":"assistant"', '"messages":[', "\u2028é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "messages", "tools", "content", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
turns = st.one_of(
    pieces,
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        pieces,
    ),
)
bodies = st.dictionaries(
    st.sampled_from(["messages", "tools", "system", "a", "stream"]),
    st.lists(turns, max_size=6) | pieces,
    max_size=5,
)


@settings(max_examples=examples(500))
@given(st.lists(bodies, min_size=1, max_size=4))
def test_any_values_are_read_as_a_whole_parse_reads_them(several):
    known = reader()
    for value in several * 2:
        assert repr(known.read(text_of(value))[0]) == repr(jsontext.loads(text_of(value)))


def test_a_text_with_other_white_space_has_no_parts():
    value, recurring = reader().read(json.dumps(request(3)).encode())
    assert value == request(3) and recurring is NOTHING


def test_a_short_body_is_parsed_at_once():
    known = RequestReader()
    assert known.read(text_of(request(3))) == (request(3), NOTHING)
    long = request(3, system="s" * LEAST_BODY)
    known.read(text_of(long))
    assert len(known.read(text_of(long))[1].passages) == 3


def test_no_more_is_held_than_was_allowed_and_what_is_asked_for_stays():
    known = RequestReader(most_passages=4_000, most_lists=300, least_body=0)
    kept = request(2)
    for number in range(300):
        _, recurring = known.read(text_of(kept))
        if number == 0:
            first = recurring
        assert all(one is other for one, other in zip(first.passages, recurring.passages, strict=True))
        others = {"messages": history(3, begin=number), "tools": [{"name": f"tool {number}"}], "a": 1}
        others["system"] = [{"type": "text", "text": str(number)}]
        assert known.read(text_of(others))[0] == others
        assert held(known._passages._known) <= 4_000
        assert sum(part.size for part in known._lists["tools"]._known) <= 300


def test_a_passage_that_would_displace_all_others_is_not_kept():
    known = RequestReader(most_passages=1_000, least_body=0)
    long = {"messages": [{"role": "user", "content": "x" * 600}, *history(1)[1:]]}
    known.read(text_of(request(2)))
    assert known.read(text_of(long))[0] == long
    assert held(known._passages._known) < 600
