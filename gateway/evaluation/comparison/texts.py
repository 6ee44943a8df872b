"""How alike two texts are, by their lengths and the words they share. It says nothing of what they mean."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

# characters of each that are compared
LONGEST: Final = 100_000
# from here on a script is written without spaces, mostly
_IDEOGRAPHS: Final = "\u2e80"


class TextLikeness(NamedTuple):
    """`ratio`: the shorter length by the longer. `overlap`: the share of words that both have."""

    ratio: float
    overlap: float


def compare_texts(first: str, second: str) -> TextLikeness:
    """Compare two texts. Two empty ones are alike."""
    if not first and not second:
        return TextLikeness(1.0, 1.0)
    shorter, longer = sorted((len(first), len(second)))
    ours, theirs = _words(first), _words(second)
    whole = ours.total() + theirs.total()
    shared = (ours & theirs).total()
    return TextLikeness(round(shorter / longer, 3), round(2 * shared / whole, 3) if whole else 1.0)


def _words(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for word in text[:LONGEST].casefold().split():
        if max(word) >= _IDEOGRAPHS:
            found.update(word)
        else:
            found[word] += 1
    return found
