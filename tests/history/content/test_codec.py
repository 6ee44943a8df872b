"""Compressed bytes: small ones are small, and old ones stay readable."""

from hashlib import sha256

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.history.content.codec import Damaged, compressed, decompressed
from gateway.history.content.codec_dictionary import DICTIONARY

MESSAGE = b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01A","content":"done"}]}'


@given(st.binary(max_size=3000) | st.builds(bytes.__mul__, st.binary(max_size=300), st.integers(0, 2000)))
def test_any_bytes_come_back(plain):
    assert decompressed(compressed(plain)) == plain


@given(st.binary(max_size=3000))
def test_what_was_stored_without_the_common_beginning_is_read(plain):
    assert decompressed(zstandard.ZstdCompressor(level=3).compress(plain)) == plain


def test_the_shapes_of_the_protocols_take_little_room():
    assert len(compressed(MESSAGE)) < len(MESSAGE) / 2.5
    assert len(compressed(MESSAGE)) < len(zstandard.ZstdCompressor(level=3).compress(MESSAGE)) / 2


def test_the_common_beginning_is_the_one_that_everything_was_stored_with():
    assert (
        sha256(DICTIONARY).hexdigest() == "db953028773dc5a957116e3ddc251b2524e159ce0a3cfad1cec2509b13a841d6"
    )


def test_a_text_that_was_stored_is_read_as_long_as_there_is_one():
    stored = bytes.fromhex("28b52ffd205dc500004841646f6e65227d5d7d04100bed3ac44149a87d805b6940")
    assert decompressed(stored) == MESSAGE


def test_bytes_that_are_none_of_ours_are_damaged():
    with pytest.raises(Damaged):
        decompressed(b"not compressed")
