"""Which failures are of one kind."""

import pytest

from gateway.watch.fingerprints import LONGEST_MESSAGE, fingerprint, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the request is ~130544 tokens (limit 128000)", "the request is ~98111 tokens (limit 64000)"),
        ("request req_011CSHoEeqs5C35K2UUqR7Fy failed", "request req_011CSHoEeqs5C35K2UUqR7Fz failed"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id 00000000-4f89-11d3-9a0c-0305e82c3302"),
        ("try again in 12.5s", "try again in 7ms"),
        ("resets 2026-11-30 00:00 UTC", "resets 2026-12-01 09:30 UTC"),
        ("see https://a.test/x?y=1 for more", "see https://b.test/z for more"),
        ("Please try again in 7m34.56s.", "Please try again in 12.5s."),
        ("resets in 1h2m3s", "resets in 2m3s"),
        ("no  such\n model", "no such model"),
        ("deadbeefdeadbeef is gone", "0123456789abcdef is gone"),
    ],
)
def test_numbers_ids_times_and_addresses_do_not_make_another_kind(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("connection refused", "connection reset"), ("invalid key", "invalid model"), ("a", "")],
)
def test_other_words_make_another_kind(one, other):
    assert normalised(one) != normalised(other)


def test_the_model_that_was_asked_for_is_none_of_it():
    assert normalised("model: made-up-1", "made-up-1") == normalised("model: other", "other") == "model: …"


def test_a_message_of_any_length_is_short():
    assert len(normalised("word " * 100_000)) <= LONGEST_MESSAGE


def test_the_four_are_told_apart_wherever_one_ends():
    assert fingerprint("a", "b", "", "") != fingerprint("ab", "", "", "")


def test_a_model_whose_name_begins_with_another_is_taken_whole():
    assert normalised("no gpt-4o-mini here", "gpt-4o", "gpt-4o-mini") == "no … here"
