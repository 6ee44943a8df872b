import time

import pytest

from gateway.admin.ui.sanitize import LONGEST, inert, readable


def test_json_is_laid_out():
    assert readable(b'{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'


@pytest.mark.parametrize("body", [b"data: 1\r\n\r\ndata: 2\n\n", b"\xff\xfe", b"", b"<html>"])
def test_other_text_stays_text(body):
    assert "\r" not in readable(body)


@pytest.mark.parametrize("depth", [500, 990, 5000, 100_000])
def test_deeply_nested_json_is_shown_somehow(depth):
    assert readable(b"[" * depth + b"]" * depth).startswith("[")


def test_a_long_body_is_cut_with_the_number_of_what_is_missing():
    assert readable(b"x" * (LONGEST + 7)).endswith("… 7 more characters")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b[31m", "a␀b␛[31m"),
        ("tab\tline\n", "tab\tline\n"),
        ("abc\u202egnp.exe", "abc⟨U+202E⟩gnp.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("\x7f\x85", "␡⟨U+0085⟩"),
        ("Ünïcödé 漢字 🎉", "Ünïcödé 漢字 🎉"),
    ],
)
def test_characters_that_act_or_hide_are_made_visible(text, shown):
    assert inert(text) == shown


def test_a_text_of_nothing_but_control_characters_is_shown_in_a_moment():
    began = time.thread_time()
    inert("\x01\u202e" * 1_000_000)
    assert time.thread_time() - began < 1.5
