"""Which failures are of one kind: the message without what differs between two of them (pure)."""

from __future__ import annotations

import hashlib
from typing import Final

from gateway import patterns

LONGEST_MESSAGE: Final = 300
_REST: Final = "…"
# from the specific to the general: what one takes is gone for the next
_VARIABLE: Final = (
    # addresses, with what they ask for
    patterns.compiled(r"\bhttps?://[^\s\"'<>)]++"),
    # ids: UUIDs, those with a prefix, long hexadecimal numbers
    patterns.compiled(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    patterns.compiled(r"\b(?:req|msg|toolu|call|chatcmpl|resp|org|proj|sk|run|gen)[_-][A-Za-z0-9_-]{6,200}+"),
    patterns.compiled(r"\b[0-9a-fA-F]{12,200}+\b"),
    # dates and times
    patterns.compiled(
        r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    ),
)
# durations of several units: 7m34.56s, 1h2m3s
_DURATION: Final = patterns.compiled(r"\b(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d)){2,6}\b")
# any other number, with the unit behind it, and what else stands there as part of the same word
_NUMBER: Final = patterns.compiled(r"\d++(?:[.,:]++\d++)*+(?:ms|s|m|h)?+(\w*+)")
_SPACES: Final = patterns.compiled(r"\s++")
_RESTS: Final = patterns.compiled(r"…(?: ?…)++")


def normalised(message: str, *names: str) -> str:
    """A message with `…` for numbers, ids, times and addresses, and for `names` (the models)."""
    text = message[: 4 * LONGEST_MESSAGE]
    # a name may begin with another one: gpt-4o-mini
    for name in sorted(names, key=len, reverse=True):
        if len(name) > 2:
            text = text.replace(name, _REST)
    for pattern in _VARIABLE:
        text = pattern.sub(_REST, text)
    text = _DURATION.sub(_REST, text)
    # a number that begins a word, as in gpt-4o, belongs to it
    text = _NUMBER.sub(lambda found: found[0] if found[1] else _REST, text)
    return _RESTS.sub(_REST, _SPACES.sub(" ", text)).strip()[:LONGEST_MESSAGE]


def fingerprint(provider: str, model: str, error_type: str, message: str) -> str:
    """One value for the four that make a problem; `message` is normalised."""
    text = "\x00".join((provider, model, error_type, message))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
