r"""Regular expressions of schemas as llama.cpp can follow them.

llama.cpp turns a `pattern` into a rule of its grammar. It requires `^` and `$` around it, knows no `\d` and
no lookaround, and copies classes literally: a class that includes a quotation mark would end the JSON
string. A pattern that it can follow is rewritten in its own terms.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 1_000
MOST_REPEATED: Final = 1_000
_DEEPEST: Final = 10
_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_"}
# escaped with a backslash in a literal of the grammar, as in a regular expression
_ESCAPED: Final = frozenset("^.[]()|{}*+?")
_PUNCTUATION: Final = frozenset(" _-/:@,;=<>~#%&!'")
# literal characters in a class
_IN_CLASS: Final = _PUNCTUATION | frozenset(".()|{}*+?$") - {"-"}


class _NotFollowed(Exception):
    """llama.cpp cannot follow the pattern, or not as intended."""


def grammar_pattern(pattern: str) -> str | None:
    """The same pattern for llama.cpp; None when it cannot follow it."""
    if len(pattern) > LONGEST or not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    try:
        return f"^{_Reader(pattern[1:-1]).whole()}$"
    except _NotFollowed:
        return None


class _Reader:
    """Reads one pattern from left to right. Each part: (as written, may be empty, repetitions)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> str:
        written, _, _ = self._sequence(0)
        if self._at < len(self._text):
            raise _NotFollowed
        return written

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _NotFollowed
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self, depth: int) -> tuple[str, bool, int]:
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self._next()
            branches.append(self._sequence(depth))
        return (
            "|".join(written for written, _, _ in branches),
            any(empty for _, empty, _ in branches),
            sum(times for _, _, times in branches),
        )

    def _sequence(self, depth: int) -> tuple[str, bool, int]:
        parts = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(depth))
        if not parts:
            raise _NotFollowed
        times = sum(times for _, _, times in parts)
        if times > MOST_REPEATED:
            raise _NotFollowed
        return "".join(written for written, _, _ in parts), all(empty for _, empty, _ in parts), times

    def _repeated(self, depth: int) -> tuple[str, bool, int]:
        written, empty, times = self._atom(depth)
        sign = self._peek()
        if sign not in ("*", "+", "?", "{"):
            return written, empty, times
        self._next()
        least, most = self._counts() if sign == "{" else (int(sign == "+"), int(sign == "?"))
        # a second sign would make it lazy or possessive, and a loop over nothing never ends
        if empty or self._peek() in ("*", "+", "?", "{") or (most and least > most):
            raise _NotFollowed
        if sign == "{":
            sign = f"{{{least}}}" if least == most else f"{{{least},{most or ''}}}"
        return written + sign, least == 0, times * max(least, most, 1)

    def _counts(self) -> tuple[int, int]:
        """(least, most) of `{n}`, `{n,}`, `{n,m}`; 0 = no limit."""
        inside = ""
        while (char := self._next()) != "}":
            inside += char
        least, comma, most = inside.partition(",")
        if not all(each.isascii() and each.isdigit() and len(each) < 5 for each in (least, most or "0")):
            raise _NotFollowed
        counts = int(least), int(most or 0) if comma else int(least)
        if max(counts) > MOST_REPEATED or (counts[1] == 0 and (not comma or most)):
            raise _NotFollowed
        return counts

    def _atom(self, depth: int) -> tuple[str, bool, int]:
        char = self._next()
        if char == "(":
            return self._group(depth + 1)
        if char == "[":
            return self._class(), False, 1
        if char == "\\":
            return self._escaped(), False, 1
        if char.isalnum() or char in _PUNCTUATION:
            return char, False, 1
        raise _NotFollowed

    def _group(self, depth: int) -> tuple[str, bool, int]:
        if depth > _DEEPEST:
            raise _NotFollowed
        if self._peek() == "?":
            self._next()
            if self._next() != ":":
                raise _NotFollowed
        written, empty, times = self._alternatives(depth)
        if self._next() != ")":
            raise _NotFollowed
        return f"({written})", empty, times

    def _escaped(self) -> str:
        char = self._next()
        if char in _CLASSES:
            return f"[{_CLASSES[char]}]"
        if char in _ESCAPED:
            return f"\\{char}"
        if char == "$":
            return "[$]"
        if char in _PUNCTUATION:
            return char
        raise _NotFollowed

    def _class(self) -> str:
        members: list[str] = []
        dash = False
        if self._peek() in ("^", "]"):
            raise _NotFollowed
        while (char := self._next()) != "]":
            if char == "-" or (char == "\\" and self._peek() == "-"):
                self._at += char == "\\"
                dash = True
                continue
            written = self._member(char)
            if len(written) == 1 and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._next()
                last = self._next()
                if not (written.isalnum() and last.isalnum() and written <= last):
                    raise _NotFollowed
                written = f"{written}-{last}"
            members.append(written)
        # a dash is literal only at the end
        return f"[{''.join(members)}{'-' if dash else ''}]"

    def _member(self, char: str) -> str:
        if char == "\\":
            char = self._next()
            if char in _CLASSES:
                return _CLASSES[char]
            if char in "[]":
                return f"\\{char}"
            if char.isalnum():
                raise _NotFollowed
        if char.isalnum() or char in _IN_CLASS:
            return char
        raise _NotFollowed
