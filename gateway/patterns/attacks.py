"""Texts constructed against an expression: repetitions of what it begins with and of what it repeats.

A backtracking engine is slow where a text nearly matches over and over: at many places (repeated
beginnings), in many ways (many times what a repetition takes), and then fails.
"""

from __future__ import annotations

import re

# the standard library's parser has no public name, and only attacks need it
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_LOOKS: Final = (op.ASSERT, op.ASSERT_NOT)
_OF_CATEGORY: Final = {
    op.CATEGORY_DIGIT: "7",
    op.CATEGORY_NOT_DIGIT: "x",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_NOT_SPACE: "x",
    op.CATEGORY_WORD: "w",
    op.CATEGORY_NOT_WORD: "-",
}
# candidates for a character that a set excludes
_OTHERS: Final = "x-7 .\n/"
_SEVERAL: Final = 60
# characters that a repetition contributes to a sample: an admin's expression may ask for any number
_LONGEST_SAMPLE: Final = 5_000
MOST_BEGINNINGS: Final = 24


class Recipe(NamedTuple):
    """`repeated`, many times, between a beginning and an end."""

    begin: str
    repeated: str
    end: str

    def text(self, size: int) -> str:
        return self.begin + self.repeated * (size // len(self.repeated) + 1) + self.end


def recipes_against(pattern: re.Pattern[Any]) -> list[Recipe]:
    """The attacks on one of our expressions: texts of about 1,000 characters show which are the worst."""
    regex = pattern.pattern
    plain = regex if isinstance(regex, str) else regex.decode("latin-1")
    flags = pattern.flags & ~re.UNICODE if isinstance(regex, bytes) else pattern.flags
    return recipes_of(plain, flags)


def recipes_of(regex: str, flags: int = 0) -> list[Recipe]:
    """The same from its source. Raises re.error when it is not an expression of Python's."""
    return list(dict.fromkeys(_recipes(parser.parse(regex, flags))))


def plain_recipes_of(source: str) -> list[Recipe]:
    """The same for an expression in another syntax: its plain characters as they stand."""
    words = "".join(
        character if character.isalnum() or character in "-_:/@=" else " " for character in source
    )
    return [Recipe("", word, "") for word in dict.fromkeys([*words.split(), words.strip() or "x"])]


def _recipes(tree: Any) -> Iterator[Recipe]:
    beginnings = [text for text in dict.fromkeys(_beginnings(tree)) if text]
    # a long alternation has hundreds; a selection from all parts of it will do
    for text in beginnings[:: len(beginnings) // MOST_BEGINNINGS + 1]:
        yield Recipe("", text, "")
        yield Recipe("", text, "\0")
        yield Recipe("", text + " ", "!")
    pumps = list(dict.fromkeys(_pumps(tree)))
    for before, body in pumps[:: len(pumps) // MOST_BEGINNINGS + 1]:
        yield Recipe(before, body, "")
        yield Recipe(before, body, "\0!")
        yield Recipe("", before + body * _SEVERAL, "!")
        yield Recipe("", before + body * _SEVERAL + "!", "")


def _beginnings(nodes: Any) -> Iterator[str]:
    """What matches the first parts, down to the parts of parts."""
    text = ""
    for node in nodes:
        for inner in _inside(node):
            for begun in _beginnings(inner):
                yield text + begun
        text += _sample([node])
        yield text


def _pumps(nodes: Any) -> Iterator[tuple[str, str]]:
    """(what precedes a repetition, what it repeats)"""
    text = ""
    for node in nodes:
        code, argument = node
        if code in _REPEATS:
            _least, most, body = argument
            if most > 1:
                for which in (0, -1):
                    if once := _sample(body, which):
                        yield text, once
        for inner in _inside(node):
            for before, body in _pumps(inner):
                yield text + before, body
        text += _sample([node])


def _inside(node: Any) -> list[Any]:
    code, argument = node
    if code in _REPEATS:
        return [argument[2]]
    if code is op.SUBPATTERN:
        return [argument[3]]
    if code is op.BRANCH:
        return list(argument[1])
    if code is op.ATOMIC_GROUP:
        return [argument]
    # a lookahead is tried again from each place
    return [argument[1]] if code is op.ASSERT and argument[0] > 0 else []


def _sample(nodes: Any, which: int = 0) -> str:
    """A text that roughly matches; `which`: the first or the last (-1) of the alternatives at a place."""
    return "".join(_one(code, argument, which) for code, argument in nodes)


def _one(code: Any, argument: Any, which: int) -> str:
    if code is op.LITERAL:
        return chr(argument)
    if code is op.NOT_LITERAL:
        return "x" if ord("x") != argument else "y"
    if code is op.ANY:
        return "x"
    if code is op.IN:
        return str(_of_set(argument, which))
    if code in _REPEATS:
        least, most, body = argument
        once = _sample(body, which)
        times = int(max(least, min(1, most)))
        return (once * min(times, _LONGEST_SAMPLE))[:_LONGEST_SAMPLE]
    if code is op.SUBPATTERN:
        return _sample(argument[3], which)
    if code is op.ATOMIC_GROUP:
        return _sample(argument, which)
    if code is op.BRANCH:
        return _sample(argument[1][which], which)
    return ""


def _of_set(members: Any, which: int) -> Any:
    if members[0][0] is op.NEGATE:
        return next((other for other in _OTHERS if not _has(members[1:], other)), "x")
    code, argument = members[which]
    if code is op.RANGE:
        return chr(argument[which])
    return chr(argument) if code is op.LITERAL else _OF_CATEGORY.get(argument, "x")


def _has(members: Any, character: str) -> bool:
    for code, argument in members:
        if code is op.LITERAL and ord(character) == argument:
            return True
        if code is op.RANGE and argument[0] <= ord(character) <= argument[1]:
            return True
        if code is op.CATEGORY and _OF_CATEGORY.get(argument) == character:
            return True
    return False
