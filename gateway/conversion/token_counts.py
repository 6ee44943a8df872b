"""Token counts by class of text, packed into one integer.

A vocabulary made for English charges far more for other languages, by factors that differ more than between
kinds of English and code. So two classes are counted apart: the letters of other alphabets (accented Latin
ones among them), and Chinese, Japanese and Korean. Everything else, ASCII words, digits and signs, is the
rest.

An estimate is a sum of many small counts, each cached by what it was counted from. Packed counts are added
by one addition and cached as one number: the lowest bits are the whole, the letters are 40 bits higher and
the ideographs 80. A number without classes is a valid packed count.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_BITS: Final = 40
_MASK: Final = (1 << _BITS) - 1


class TokenCounts(NamedTuple):
    """`total` tokens, of which `letters` are of other alphabets and `cjk` are ideographs, kana and hangul."""

    total: int
    letters: int = 0
    cjk: int = 0

    @property
    def packed(self) -> int:
        """As one integer, whose sums are sums of all three."""
        return self.total | self.letters << _BITS | self.cjk << 2 * _BITS

    @classmethod
    def unpacked(cls, packed: int) -> TokenCounts:
        """The counts of a sum of packed ones."""
        return cls(packed & _MASK, packed >> _BITS & _MASK, packed >> 2 * _BITS)

    def priced(self, letters: float, cjk: float) -> float:
        """Their sum when a token of these classes costs so many times one of the rest."""
        return self.total + (letters - 1) * self.letters + (cjk - 1) * self.cjk
