"""The bounded memory of a pure function."""

from gateway.conversion.tokens.memo import Memo


class Counting:
    def __init__(self):
        self.calls = []

    def __call__(self, value):
        self.calls.append(value)
        return len(value)


def test_a_number_is_computed_once():
    memo, compute = Memo(10), Counting()
    assert [memo.number("abc", compute), memo.number("ab" + "c", compute)] == [3, 3]
    assert compute.calls == ["abc"]


def test_zero_is_remembered_too():
    memo, compute = Memo(10), Counting()
    memo.number("", compute)
    memo.number("", compute)
    assert compute.calls == [""]


def test_text_and_bytes_are_both_keys():
    memo, compute = Memo(10), Counting()
    assert memo.number("abc", compute) == memo.number(b"abc", compute) == 3


def test_it_never_holds_more_than_it_may():
    memo, compute = Memo(10), Counting()
    for number in range(100):
        memo.number(str(number), compute)
        assert len(memo) <= 10


def test_what_is_asked_for_again_and_again_stays():
    memo, compute = Memo(10), Counting()
    for number in range(100):
        memo.number("kept", compute)
        memo.number(str(number), compute)
    assert compute.calls.count("kept") == 1
