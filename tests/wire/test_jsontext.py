"""JSON texts: half pairs of surrogates in linear time, and what is kept takes no more than it needs."""

import json
import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire import jsontext


@pytest.mark.parametrize("length", [10, 900, 3_000, 137_000])
def test_a_text_that_is_kept_takes_its_own_length_in_memory(length):
    value = {"text": "x" * length}
    assert jsontext.dumps_to_keep(value) == jsontext.dumps(value)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [jsontext.dumps_to_keep(value) for _ in range(20)]
        held = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()
    assert held < length + 300


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", '"\\ud800"'])
def test_a_byte_order_mark_is_skipped(text):
    for marked in ("\ufeff" + text, ("\ufeff" + text).encode(), memoryview(("\ufeff" + text).encode())):
        assert jsontext.loads(marked) == jsontext.loads(text)
    for broken in ("\ufeff", "\ufeff{", "\ufeff\ufeff\ufeff"):
        with pytest.raises(jsontext.InvalidJSON):
            jsontext.loads(broken)


ESCAPES = [
    "\\ud800",
    "\\uDBFF",
    "\\udc00",
    "\\uDfff",
    "\\\\",
    "\\n",
    '\\"',
    "\\u0041",
    "\\uD83D\\uDE00",
    "u",
    "d800",
    "é",
]


@given(st.lists(st.sampled_from(ESCAPES), max_size=60).map("".join), st.integers(24, 80))
@example("\\uD83D\\uDE00\\uD83D\\uDE00\\ud800", 25)
def test_half_a_pair_is_a_replacement_character_wherever_a_piece_ends(text, piece):
    expected = "".join("\ufffd" if "\ud800" <= one < "\ue000" else one for one in json.loads(f'"{text}"'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jsontext, "_PIECE", piece)
        for given_as in (f'"{text}"', f'"{text}"'.encode()):
            assert jsontext.loads(given_as) == expected


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b"\\ud800" * 400_000 + b'"',
        b"[" + b'"\\ud800",' * 300_000 + b"0]",
        b'"' + b"\\\\" * 1_000_000 + b'\\ud800"',
        b'"' + b"\\ud800\\udc00" * 200_000 + b'\\udc00"',
    ],
    ids=["halves", "values", "backslashes", "pairs"],
)
def test_half_pairs_cost_little_more_than_the_text(text):
    began = time.thread_time()
    jsontext.loads(text)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    "text", [b'"\\ud800\0\0"', b'"\\ud800', b'"\\ud800" x', b'"\\ud8zz"', b'["\\ud800",' + b"[" * 3000]
)
def test_what_is_no_json_is_none_for_half_a_pair_in_it(text):
    with pytest.raises(jsontext.InvalidJSON):
        jsontext.loads(text)
