"""Which kinds of secrets a text may hold: built-in ones, an admin's patterns, configured values (pure)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.masking.kinds import BUILT_IN, SecretKind, Value
from gateway.patterns import Match, compiled
from gateway.patterns.linear import LinearPattern, NotLinear
from gateway.routing.snapshot import SecretLook

logger = logging.getLogger("gateway.history")


# bytes that are split in one call, so that the memory for the parts is bounded
SLICE: Final = 256 * 1024
# bytes for each part, on average, below which it is quicker to look for each literal
_DENSE: Final = 12

_PLAIN: Final = compiled(r"[A-Za-z0-9_.=+-]++")
_ESCAPED_LETTER: Final = compiled(rb"\\u00([2-7][0-9A-Fa-f])")


def _letter(escape: Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())


def names(looks: Iterable[SecretLook] = ()) -> list[str]:
    """The name of what is masked, for people."""
    return list(dict.fromkeys([*(pattern.name for pattern in BUILT_IN), *(look.name for look in looks)]))


class _Plain:
    """Literals that are searched for one by one."""

    def __init__(self) -> None:
        self._literals: dict[bytes, list[SecretKind]] = {}

    def add(self, literal: bytes, pattern: SecretKind) -> None:
        self._literals.setdefault(literal, []).append(pattern)

    def patterns(self, text: bytes) -> list[SecretKind]:
        return [
            pattern for literal, patterns in self._literals.items() if literal in text for pattern in patterns
        ]


class _Divided:
    """Literals that contain a divider: one split rules out all of them in most texts.

    Searching for 25 short literals one by one takes three times as long.
    """

    def __init__(self, divider: bytes) -> None:
        self.divider = divider
        # what precedes a divider in a literal -> the literals
        self._ends: dict[bytes, _Plain] = {}
        self._every: tuple[bytes, ...] = ()

    def add(self, literal: bytes, pattern: SecretKind) -> None:
        end = max(literal.split(self.divider)[:-1], key=len)
        self._ends.setdefault(end, _Plain()).add(literal, pattern)
        self._every = tuple(self._ends)

    def patterns(self, text: bytes) -> list[SecretKind]:
        every = self._every
        parts = text.split(self.divider)
        parts.pop()
        if len(parts) * _DENSE > len(text):
            # with this many dividers, looking at each part takes longer
            return [pattern for literals in self._ends.values() for pattern in literals.patterns(text)]
        near = [part for part in parts if part.endswith(every)]
        if not near:
            return []
        return [
            pattern
            for end, literals in self._ends.items()
            if any(part.endswith(end) for part in near)
            for pattern in literals.patterns(text)
        ]


class Suspects:
    """Finds the patterns that may match in a text: the built-in ones and `more`."""

    def __init__(self, more: Sequence[SecretKind] = ()) -> None:
        self._every = tuple(dict.fromkeys((*BUILT_IN, *more)))
        self._always = [pattern for pattern in more if not pattern.literals]
        literals = [(literal, pattern) for pattern in self._every for literal in pattern.literals]
        # slices overlap, so what is cut at the end of one is whole in the next
        self._overlap = max(len(literal) for literal, _ in literals) - 1
        dash, underscore = _Divided(b"-"), _Divided(b"_")
        self._plain, self._divided = _Plain(), (dash, underscore)
        for literal, pattern in literals:
            divided = next((one for one in (underscore, dash) if one.divider in literal), None)
            (divided or self._plain).add(literal, pattern)

    def of(self, text: bytes) -> list[SecretKind]:
        """The patterns that may match somewhere in the text, in their order.

        In JSON any letter may be written as an escape.
        """
        if b"\\u00" in text and _ESCAPED_LETTER.search(text):
            text += b"\n" + _ESCAPED_LETTER.sub(_letter, text)
        if len(text) <= SLICE:
            found = set(self._in_slice(text))
        else:
            found = set()
            for start in range(0, len(text), SLICE):
                found.update(self._in_slice(text[start : start + SLICE + self._overlap]))
        if not found:
            return self._always
        found.update(self._always)
        return [pattern for pattern in self._every if pattern in found]

    def _in_slice(self, text: bytes) -> list[SecretKind]:
        found = self._plain.patterns(text)
        for divided in self._divided:
            found += divided.patterns(text)
        return found


def of_value(secret: str) -> SecretKind:
    """A configured value, wherever it stands: an answer may repeat what the provider was sent."""
    # characters that JSON escapes are not part of the literal
    written = max(_PLAIN.findall(secret), key=len, default="")
    return SecretKind("configured", Value(secret), (written.encode(),) if written else ())


def of_admin(look: SecretLook) -> SecretKind:
    """The pattern an admin wrote. A literal with a quote in it may begin outside a text and end within."""
    known = bool(look.literal) and '"' not in look.literal
    try:
        regex = LinearPattern(look.pattern)
    except NotLinear as problem:
        # without the pattern a secret would be stored in the clear, and Python's engine could hang over a
        # text, so a text that may contain one is not stored at all
        logger.error(
            "a secret pattern cannot be run; texts that may hold it are masked as a whole",
            extra={"pattern": look.name, "problem": str(problem)},
        )
        regex = None
    return SecretKind(look.name, regex, (look.literal.encode(),) if known else ())
