"""Taking the long texts out of messages and putting them back."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.content import long_texts
from gateway.history.content.long_texts import LONG, put_back, taken_out
from gateway.wire import jsontext

texts = st.sampled_from(["", "a", "b" * LONG, "\u00e9" * (LONG + 1)])
values = st.recursive(
    texts | st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(values)
def test_any_message_comes_back_equal_and_in_the_order_of_its_keys(message):
    before = copy.deepcopy(message)
    left, texts = taken_out(message)
    stored = jsontext.loads(jsontext.dumps(left))
    whole = put_back(stored, texts) if texts else stored
    assert jsontext.dumps(whole) == jsontext.dumps(message)
    assert message == before


def test_what_is_left_holds_no_long_text():
    blocks = [{"type": "tool_result", "content": [{"type": "text", "text": "x" * LONG}]}, {"text": "y"}]
    left, texts = taken_out({"role": "user", "content": blocks})
    assert texts == ["x" * LONG]
    assert len(jsontext.dumps(left)) < LONG


def test_what_is_no_message_is_left_alone():
    for value in (["x" * LONG], "x" * LONG, None, {"content": "x" * (LONG - 1)}):
        assert taken_out(value) == (value, [])


def test_texts_that_do_not_fit_are_refused():
    left, _ = taken_out({"content": "x" * long_texts.LONG})
    with pytest.raises(ValueError, match="shorter"):
        put_back(left, [])
