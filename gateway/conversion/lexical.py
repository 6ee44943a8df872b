"""From a text to a number of tokens, without a vocabulary (specification section 9, the lexical rule).

`lexical_tokens` is the seam: a real tokenizer would be another function from
text to number.

Every rule is a sum over runs of one kind of character, and no character is
looked at in Python. A chunk of text becomes one big integer with a byte for each
character, in which each kind of character has a bit of its own. There

    x & (x >> 8)      is set where a run goes on for another character,
    x ^ (x & x << 8)  is set where a run begins (byte 0 is the first character),
    bit_count()       counts,

all of it at the speed of the machine's words: about 9 ns a character.

Two rules go beyond the specification, because without them its estimates were
10 to 45 % too low (measured against o200k_base): a blank before digits is a
token of its own, and runs that look random count as base64 from 40 characters on,
so that lines of PEM files and hashes do. Letters of the scripts which o200k_base
splits finely weigh more than 0.32.
"""

from __future__ import annotations

import math
import re
from typing import Final

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_LETTER, _DIGIT, _PUNCTUATION, _BLANK, _NEWLINE = 1, 2, 4, 8, 16
_DIGIT_TO_BLANK: Final = 2  # bits between the two kinds

_CHUNK: Final = 1 << 15

# UTF-8 without its continuation bytes has one byte a character, and that byte tells the script.
_ASCII: Final = bytes(range(0x80))
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
_WEIGHTS: Final = (
    (bytes([0xC2, 0xE2, 0xEE]), 0.75),  # symbols, typographic punctuation
    (bytes([*range(0xC3, 0xCE), *range(0xD0, 0xD4)]), 0.38),  # Latin, Cyrillic
    (bytes([0xCE, 0xCF, *range(0xD4, 0xE0), 0xE0, 0xE1]), 0.48),  # Greek, Semitic, Indic, ...
    (bytes([*range(0xE3, 0xEE), 0xEF]), 0.75),  # Chinese, Japanese, Korean
    (bytes(range(0xF0, 0xF8)), 2.0),  # emoji
)

_RANDOM_RUN: Final = 40
_RANDOM_CHARACTER: Final = 0.68
_RANDOM_MASK: Final = bytes(
    ord("b") if byte in _LETTERS + _DIGITS + b"+/=_-" else ord(" ") for byte in range(256)
)
# a literal beginning lets the search skip; b{40,} would try at every byte
_RANDOM_RUNS: Final = re.compile(b"b" * _RANDOM_RUN + b"b*")


def _kind(byte: int) -> int:
    if byte in _LETTERS:
        return _LETTER
    if byte in _DIGITS:
        return _DIGIT
    if byte in b" \t":
        return _BLANK
    if byte in b"\n\r":
        return _NEWLINE
    return _PUNCTUATION if byte < 0x80 else 0


def _everywhere(kind: int) -> int:
    return int.from_bytes(bytes([kind]) * _CHUNK, "little")


_KINDS: Final = bytes(map(_kind, range(256)))
_ALL_LETTERS: Final = _everywhere(_LETTER)
_ALL_DIGITS: Final = _everywhere(_DIGIT)
_ALL_PUNCTUATION: Final = _everywhere(_PUNCTUATION)
_ALL_BLANKS: Final = _everywhere(_BLANK)
_ALL_NEWLINES: Final = _everywhere(_NEWLINE)


def lexical_tokens(text: str) -> int:
    """The estimated number of tokens of `text`; rather too many than too few."""
    data = text.encode("utf-8", "replace")
    tokens = 0.0
    if not text.isascii():
        data = data.translate(None, _CONTINUATION)
        foreign = data.translate(None, _ASCII)
        for kind, weight in _WEIGHTS:
            tokens += weight * (len(foreign) - len(foreign.translate(None, kind)))
    if len(data) >= _RANDOM_RUN:
        data, characters = _without_random_runs(data)
        tokens += _RANDOM_CHARACTER * characters
    for start in range(0, len(data), _CHUNK):
        tokens += _tokens_of_runs(data[start : start + _CHUNK])
    # a hair less, so that sums of 0.65 and 0.55 which make 3 do not become 4
    return math.ceil(tokens - 1e-6)


def _tokens_of_runs(chunk: bytes) -> float:
    x = int.from_bytes(chunk.translate(_KINDS), "little")
    starts = x ^ (x & (x << 8))
    digits = starts & _ALL_DIGITS
    tokens = _words(x & _ALL_LETTERS) + _after_three_digits(x & _ALL_DIGITS)
    # a number, and the blank before it
    tokens += digits.bit_count() + (digits & (x << (8 - _DIGIT_TO_BLANK))).bit_count()
    tokens += _punctuation(x & _ALL_PUNCTUATION)
    blanks = x & _ALL_BLANKS
    tokens += _runs(blanks & (blanks >> 8))
    return tokens + 0.6 * (starts & _ALL_NEWLINES).bit_count()


def _runs(x: int) -> int:
    return (x ^ (x & (x << 8))).bit_count()


def _words(x: int) -> float:
    """1 up to 7 letters, n / 5.5 rounded up (2 from 8 on, 3 from 12 on) up to 16, n / 4.5 above."""
    tokens = float(_runs(x))
    x2 = x & (x >> 8)
    x4 = x2 & (x2 >> 16)
    x8 = x4 & (x4 >> 32)
    if not x8:
        return tokens
    tokens += _runs(x8) + _runs(x8 & (x4 >> 64))
    x17 = x8 & (x8 >> 64) & (x >> 128)
    if x17:
        words = _runs(x17)
        letters = x17.bit_count() + 16 * words
        tokens += letters / 4.5 - 3 * words
    return tokens


def _after_three_digits(x: int) -> float:
    """Another token for the 4th, 7th, 10th ... digit."""
    x &= x >> 8
    x &= x >> 16
    tokens = 0.0
    for _ in range(_RANDOM_RUN // 3):
        if not x:
            break
        tokens += _runs(x)
        x &= x >> 24
    return tokens + x.bit_count() / 3


def _punctuation(x: int) -> float:
    """0.65 for one, 0.55 each in a run."""
    return 0.55 * x.bit_count() + 0.1 * (_runs(x) - _runs(x & (x >> 8)))


def _without_random_runs(data: bytes) -> tuple[bytes, int]:
    """(the rest, the number of characters in long runs which look random)."""
    mask = data.translate(_RANDOM_MASK)
    if b"b" * _RANDOM_RUN not in mask:
        return data, 0
    kept: list[bytes] = []
    position = characters = 0
    for found in _RANDOM_RUNS.finditer(mask):
        start, end = found.span()
        if _looks_random(data[start:end]):
            kept.append(data[position:start])
            characters += end - start
            position = end
    kept.append(data[position:])
    return b" ".join(kept), characters


def _looks_random(run: bytes) -> bool:
    """Base64 and hexadecimal have digits everywhere; paths and identifiers have separators instead."""
    digits = len(run) - len(run.translate(None, _DIGITS))
    separators = len(run) - digits - (len(run) - len(run.translate(None, _LETTERS)))
    return digits * 16 >= len(run) and separators * 8 <= len(run)
