"""From a text to a number of tokens, without a vocabulary.

Every rule is a sum over runs of one kind of character, and no character is
looked at in Python. A chunk of text becomes one big integer with a byte for each
character, in which each kind of character has a bit of its own. There

    x & (x >> 8)      is set where a run goes on for another character,
    x ^ (x & x << 8)  is set where a run begins (byte 0 is the first character),
    bit_count()       counts,

all of it at the speed of the machine's words: about 9 ns a character.

The prices are those with the least error against seven vocabularies at once (o200k_base
and those of Qwen 3.5, DeepSeek 3.2, GLM 4.7, MiniMax M3, Llama 3 and Gemma 3), over code,
diffs, JSON, HTML, listings, English and 13 other languages; docs/conversion.md, "The
estimate", has the errors. A letter with an accent is dear because it tells of a language in which plain
words are dear too. Runs that look random count as base64 from 40 characters on, so that
lines of PEM files and hashes do.
"""

from __future__ import annotations

import math
from typing import Final

from gateway import patterns
from gateway.conversion.token_counts import TokenCounts

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_LETTER, _DIGIT, _PUNCTUATION, _BLANK, _NEWLINE = 1, 2, 4, 8, 16
_DIGIT_TO_BLANK: Final = 2  # bits between the two kinds

_CHUNK: Final = 1 << 15

# UTF-8 without its continuation bytes has one byte a character, and that byte tells the script.
_ASCII: Final = bytes(range(0x80))
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
_SYMBOLS: Final = (
    (bytes([0xC2, 0xE2, 0xEE]), 0.75),  # typographic punctuation too
    (bytes(range(0xF0, 0xF8)), 2.0),  # emoji
)
_OTHER_LETTERS: Final = (
    (bytes(range(0xC3, 0xCE)), 1.83),  # Latin with accents
    (bytes([0xCE, 0xCF]), 0.5),  # Greek
    (bytes(range(0xD0, 0xE0)), 0.36),  # Cyrillic, Semitic
    (bytes([0xE0, 0xE1]), 0.57),  # Indic and others
)
_CJK: Final = (
    (bytes([0xE3]), 0.6),  # Japanese syllables
    (bytes([*range(0xE4, 0xEE), 0xEF]), 0.72),  # Chinese, Korean
)
# tokens for a run of letters, more when there are 8 of them, and each letter behind the 16th
_WORD, _LONG_WORD, _FAR_LETTER = 0.94, 0.39, 0.47
# each three digits, a blank before them
_THREE_DIGITS, _BLANK_BEFORE = 1.48, 0.61
# a sign alone; the first in a run, each in a run
_SIGN, _SIGNS, _SIGN_IN_RUN = 0.71, 0.89, 0.105
_BLANKS, _NEWLINES = 0.35, 1.08

_RANDOM_RUN: Final = 40
_RANDOM_CHARACTER: Final = 0.68
_RANDOM_MASK: Final = bytes(
    ord("b") if byte in _LETTERS + _DIGITS + b"+/=_-" else ord(" ") for byte in range(256)
)
# a literal beginning lets the search skip; b{40,} would try at every byte
_RANDOM_RUNS: Final = patterns.compiled(b"b" * _RANDOM_RUN + b"b*")


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


def lexical_tokens(text: str) -> TokenCounts:
    """The estimated numbers of tokens of `text`."""
    data = text.encode("utf-8", "replace")
    tokens = letters = cjk = 0.0
    if not text.isascii():
        data = data.translate(None, _CONTINUATION)
        foreign = data.translate(None, _ASCII)
        letters, cjk = _weighed(foreign, _OTHER_LETTERS), _weighed(foreign, _CJK)
        tokens = letters + cjk + _weighed(foreign, _SYMBOLS)
    if len(data) >= _RANDOM_RUN:
        data, characters = _without_random_runs(data)
        tokens += _RANDOM_CHARACTER * characters
    for start in range(0, len(data), _CHUNK):
        tokens += _tokens_of_runs(data[start : start + _CHUNK])
    # a hair less, so that sums which make 3 do not become 4
    return TokenCounts(math.ceil(tokens - 1e-6), int(letters), int(cjk))


def _weighed(foreign: bytes, weights: tuple[tuple[bytes, float], ...]) -> float:
    return sum(weight * (len(foreign) - len(foreign.translate(None, kind))) for kind, weight in weights)


def _tokens_of_runs(chunk: bytes) -> float:
    x = int.from_bytes(chunk.translate(_KINDS), "little")
    starts = x ^ (x & (x << 8))
    digits = starts & _ALL_DIGITS
    blanks = x & _ALL_BLANKS
    return (
        _words(x & _ALL_LETTERS)
        + _THREE_DIGITS * (digits.bit_count() + _after_three_digits(x & _ALL_DIGITS))
        + _BLANK_BEFORE * (digits & (x << (8 - _DIGIT_TO_BLANK))).bit_count()
        + _punctuation(x & _ALL_PUNCTUATION)
        + _BLANKS * _runs(blanks & (blanks >> 8))
        + _NEWLINES * (starts & _ALL_NEWLINES).bit_count()
    )


def _runs(x: int) -> int:
    return (x ^ (x & (x << 8))).bit_count()


def _words(x: int) -> float:
    tokens = _WORD * _runs(x)
    x2 = x & (x >> 8)
    x4 = x2 & (x2 >> 16)
    x8 = x4 & (x4 >> 32)
    if not x8:
        return tokens
    # set where 16 letters of the same run follow
    far = x8 & (x8 >> 64) & (x >> 128)
    return tokens + _LONG_WORD * _runs(x8) + _FAR_LETTER * far.bit_count()


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
    runs, of_two = _runs(x), _runs(x & (x >> 8))
    alone = runs - of_two
    return _SIGN * alone + _SIGNS * of_two + _SIGN_IN_RUN * (x.bit_count() - alone)


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
