"""Counts of tokens by the class of their text, several in one integer.

What a vocabulary made for English charges for other languages differs by far more than what it
charges for kinds of English and code, so these are told apart: the letters of other alphabets
(Latin with accents among them), and Chinese, Japanese and Korean. All else, words, digits and signs
of ASCII, is the rest.

An estimate is a sum of many small counts, each remembered by what it was counted from. Packed, they
are added by one addition and remembered as one number: a packed count is the whole, with
the letters 40 bits higher and the ideographs 80. A number that tells no classes is a packed count.
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
        """What they come to when a token of these classes costs so many times one of the rest."""
        return self.total + (letters - 1) * self.letters + (cjk - 1) * self.cjk
