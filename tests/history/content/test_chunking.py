"""Taking request bodies apart and putting them together again, without a database."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sessions import MARK, session
from gateway.history.content.chunking import packed_request, unpacked
from gateway.wire import jsontext

keys = st.sampled_from(["type", "text", "role", "content", "cache_control", "prompt_cache_breakpoint"])
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
blocks = st.dictionaries(keys, values, max_size=4) | values
messages = (
    st.fixed_dictionaries({"role": st.text(max_size=3)}, optional={"content": st.lists(blocks)}) | values
)
long_text = st.text("ab", min_size=190, max_size=210)
requests = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(messages, max_size=5) | long_text | values
        for name in ("model", "messages", "input", "system", "tools", "instructions", "cache_control")
    },
)


def pieces(request):
    return [*request.base.pieces(), *request.head.pieces()]


def rebuilt(request):
    """The body from its pieces alone, found from the ends of its chains."""
    places = {piece.digest: piece for piece in pieces(request)}

    def texts(end):
        found = []
        while end is not None:
            found.append(places[end].text())
            end = places[end].parent
        return found[::-1]

    return unpacked(request.recipe, texts(request.base.end), texts(request.head.end))


def in_order(value):
    """A JSON value with the order of its keys."""
    if isinstance(value, dict):
        return [(key, in_order(item)) for key, item in value.items()]
    return [in_order(item) for item in value] if isinstance(value, list) else value


@given(requests | values)
def test_any_json_is_rebuilt_equal_and_in_the_order_of_its_keys(value):
    body = jsontext.dumps(value)
    parsed = jsontext.loads(body)
    before = copy.deepcopy(parsed)
    request = packed_request(body, parsed)
    if request.recipe is not None:
        # as it is stored
        recipe = jsontext.loads(jsontext.dumps(request.recipe))
        request = type(request)(request.base, request.head, recipe)
    assert in_order(jsontext.loads(rebuilt(request))) == in_order(parsed)
    assert parsed == before


@given(st.binary(min_size=1))
def test_any_bytes_are_rebuilt_byte_by_byte(body):
    parsed_or_not = packed_request(body, None)
    assert rebuilt(parsed_or_not) == body


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b'{"messages": []}', b'{"a": 1, "a": 2}', b" null", b"[" * 5000]
)
def test_what_is_no_conversation_is_one_piece_as_it_came(body):
    request = packed_request(body, None)
    assert request.recipe is None
    assert [piece.value for piece in pieces(request)] == [body]


def test_no_body_is_no_piece():
    assert packed_request(b"", None) == packed_request(b"", {"messages": [1]})
    assert not pieces(packed_request(b"", None))


def test_a_turn_adds_its_new_messages_and_nothing_else():
    known: set[bytes] = set()
    added = []
    for received, _ in session(6):
        digests = {piece.digest for piece in pieces(packed_request(jsontext.dumps(received), received))}
        added.append(len(digests - known))
        known |= digests
    # three system blocks, the tool list, the first message
    assert added == [5, 2, 2, 2, 2, 2]


def test_markers_that_wander_leave_the_messages_alone_and_come_back_where_they_were():
    block = {"type": "text", **MARK, "text": "hi"}
    marked = {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, block]}]}
    texts = [{"type": "text", "text": text} for text in ("a", "hi")]
    plain = {"messages": [{"role": "user", "content": texts}]}
    first, second = (packed_request(b"x", value) for value in (marked, plain))
    assert first.head.end == second.head.end
    assert rebuilt(first) == jsontext.dumps(marked)


def test_a_recipe_of_an_older_version_that_made_a_text_of_a_marked_list_is_still_rebuilt():
    part = {"type": "text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
    marked = {"messages": [{"role": "user", "content": [part]}]}
    message = {"role": "user", "content": "hi"}
    marks = [[0, 0, 2, "prompt_cache_breakpoint", {"mode": "explicit"}], [0]]
    recipe = {"rest": {"messages": None}, "base": [], "chain": ["messages", 1], "marks": marks}
    assert unpacked(recipe, [], [jsontext.dumps(message)]) == jsontext.dumps(marked)


def test_another_tool_list_leaves_the_messages_alone():
    body = next(session(1))[0]
    fewer = {**body, "tools": body["tools"][:5]}
    first, second = (packed_request(b"x", value) for value in (body, fewer))
    assert first.head.end == second.head.end
    assert first.base.end != second.base.end


def test_a_piece_that_is_missing_is_noticed():
    request = packed_request(b"x", next(session(1))[0])
    texts = [piece.text() for piece in pieces(request)]
    for base, chain in ((texts[:3], texts[4:]), (texts[:4], []), (texts[:4], texts[3:]), (texts, texts[4:])):
        with pytest.raises(ValueError, match=r"missing|not as long"):
            unpacked(request.recipe, base, chain)
