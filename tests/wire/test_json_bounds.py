"""The linear look at JSON: the same counts as of the parsed value, whatever stands in strings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import json_bounds
from gateway.wire.json_bounds import TooMuchJSON, check, may_be_too_much

TEXTS = st.text(alphabet='a"\\[]{},:\u00e9\u4e2d', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


def containers(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, (list, dict)) + sum(map(containers, inner))


def depth(value):
    if not isinstance(value, (list, dict)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0)


def passes(text):
    try:
        check(text)
    except TooMuchJSON:
        return False
    return True


@given(VALUES, st.integers(1, 9), st.booleans())
def test_containers_and_depth_are_those_of_the_value(value, piece, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bounds, "_PIECE", piece)
        for name, exact in (("MOST_CONTAINERS", containers(value)), ("MOST_DEPTH", depth(value))):
            with pytest.MonkeyPatch.context() as bound:
                bound.setattr(json_bounds, name, exact)
                assert passes(text)
                bound.setattr(json_bounds, name, exact - 1)
                assert not passes(text) or not exact


@given(st.binary(max_size=200) | st.text(alphabet='"\\[]{},:', max_size=200).map(str.encode))
def test_any_bytes_can_be_looked_at(text):
    passes(text)


@given(VALUES)
def test_the_quick_look_misses_nothing(value):
    text = json.dumps(value).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bounds, "UNCOUNTED", 0)
        patch.setattr(json_bounds, "SAMPLED", 0)
        patch.setattr(json_bounds, "MOST_CONTAINERS", 3)
        patch.setattr(json_bounds, "MOST_VALUES", 8)
        assert may_be_too_much(text) or passes(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[" + b"[]," * 1_000_000 + b"[]]", "100,000 objects and arrays"),
        (b"[" + b"{}," * 1_000_000 + b"{}]", "100,000 objects and arrays"),
        (b"[" + b"0," * 1_000_000 + b"0]", "500,000 values"),
        (b"{" + b'"a":0,' * 1_000_000 + b'"a":0}', "500,000 values"),
        (b"[" * 1_000 + b"]" * 1_000 + b" " * json_bounds.SAMPLED, "500 levels"),
    ],
)
def test_what_is_too_much_is_said(text, said):
    if "levels" not in said:
        assert may_be_too_much(text)
    with pytest.raises(TooMuchJSON, match=said):
        check(text)


def test_a_long_text_is_no_reason():
    text = json.dumps({"text": '[{,"\\' * 200_000, "list": [1, 2]}).encode()
    assert may_be_too_much(text)
    check(text)


@pytest.mark.parametrize("junk", [b"[],", b"[[]],", b'{"a":{}},', b"[{}], "])
@pytest.mark.parametrize("place", ["first", "last", "spread"])
def test_a_sample_finds_what_is_too_much_wherever_it_stands(junk, place):
    many = junk * (150_000 // (junk.count(b"[") + junk.count(b"{")))
    rest = b'"' + b"text " * 60_000 + b'"'
    if place == "spread":
        pieces = [many[at : at + 100 * len(junk)] for at in range(0, len(many), 100 * len(junk))]
        text = b'"some words",'.join(pieces)
    else:
        text = rest + many if place == "last" else many + rest
    assert json_bounds.UNCOUNTED < len(text) <= json_bounds.SAMPLED
    assert may_be_too_much(text)
