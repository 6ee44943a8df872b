"""Two requests side by side."""

import json
import time

from gateway.admin.requests.json_diff import MOST_LINES, side_by_side
from gateway.wire import jsontext
from tests import hostile


def marked(side):
    return [line.text.strip() for line in side.lines if line.marked]


def test_what_the_other_side_does_not_say_is_marked():
    one, other = side_by_side(
        b'{"max_tokens":4096,"top_k":5,"system":[{"text":"be brief"},{"text":"be kind"}]}',
        b'{"max_completion_tokens":4096,'
        b'"messages":[{"role":"system","content":"be brief\\n\\nbe kind"}],"n":1}',
    )
    assert marked(one) == ['"top_k": 5,']
    assert marked(other) == ['"role": "system",', '"n": 1']


def test_a_text_is_marked_when_a_part_of_it_is_new_and_kinds_never_are():
    _, other = side_by_side(
        b'[{"type":"text","text":"be brief"}]',
        b'[{"type":"input","a":"be brief\\n\\nand more","b":"be brief"}]',
    )
    assert marked(other) == ['"a": "be brief\\n\\nand more",']


def test_one_large_text_against_thousands_of_short_ones_is_compared_in_a_moment():
    large = json.dumps({"text": "abcdefgh" * 1_000_000}).encode()
    short = json.dumps([f"not in it {number}" for number in range(3_900)]).encode()
    began = time.thread_time()
    _, other = side_by_side(large, short)
    assert time.thread_time() - began < 3
    assert other.marked == 3_900


def test_parts_of_a_large_text_are_found_however_many_they_are():
    parts = [f"part {number}" for number in range(3_000)]
    _, other = side_by_side(
        json.dumps("\n\n".join([*parts, "x" * 5_000_000])).encode(), json.dumps(parts).encode()
    )
    assert not other.marked


def test_lines_that_are_left_out_are_counted_and_not_made():
    deep = b"[" * 400 + b"[" + b",".join([b"1"] * 1_000_000) + b"]" + b"]" * 400
    began = time.thread_time()
    one, _ = side_by_side(deep, b"[]")
    assert time.thread_time() - began < 5
    assert (len(one.lines), one.left_out) == (MOST_LINES, 1_000_802 - MOST_LINES)


def test_the_same_twice_has_no_marks():
    one, other = side_by_side(b'{"a":[1,"two",null,{}]}', b'{"a":[1,"two",null,{}]}')
    assert marked(one) == marked(other) == []


def test_what_is_no_json_is_shown_as_text():
    one, _ = side_by_side(b"not json", b"")
    assert one.lines[0].text == '"not json"'


def test_a_large_body_is_cut_and_the_rest_is_counted():
    one, _ = side_by_side(jsontext.dumps(list(range(MOST_LINES * 2))), b"{}")
    assert len(one.lines) == MOST_LINES
    assert one.left_out == MOST_LINES + 2


def test_hostile_bodies_are_inert():
    for side in side_by_side(jsontext.dumps(hostile.REQUEST), jsontext.dumps(hostile.ANSWER)):
        for line in side.lines:
            assert not set(line.text) & set("\x00\x1b\u202e\u200b")
