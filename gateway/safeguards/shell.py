"""Reading a shell command, in two ways that err to different sides.

`literal_words` is for what may run: it gives the words of a command only if that is one simple command of
literal words. Anything that a shell would expand, chain, redirect, continue or decode makes it None, so a
rule can never allow more than it names. `loose_words` is for what must not run: it finds words wherever they
stand.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from gateway import patterns

# characters of a command that a rule may allow
LONGEST: Final = 8_192
# characters of a command in which forbidden words are looked for; a longer one counts as having them
LONGEST_LOOSE: Final = 32_768
# stands in loose words where one command ends and the next begins; no word of a command is this one
BREAK: Final = "\0"

_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=@%+-")
_SPACE: Final = frozenset(" \t")
# inside quotes: printable ASCII, without what a shell still acts on there
_IN_SINGLE: Final = frozenset(map(chr, range(0x20, 0x7F)))
_IN_DOUBLE: Final = _IN_SINGLE - frozenset('"$`\\!')

# a word of a pattern: the literal texts around its stars; one text if it has none
PatternWord = tuple[str, ...]

_ENDS: Final = ";|&()`\n\r"
_WORDS_ALONE: Final[dict[int, str]] = {
    one: " " for one in range(0x80) if chr(one) not in _PLAIN and chr(one) not in "~*"
}
_WITH_BREAKS: Final[dict[int, str]] = _WORDS_ALONE | {ord(one): f" {BREAK} " for one in _ENDS}
# what a substitution or a group prints may be a word of the command around it
_WITHOUT_GROUPS: Final[dict[int, str]] = _WITH_BREAKS | {ord(one): " " for one in "()`"}
_QUOTED: Final = patterns.compiled(r"""'[^']*+(?:'|\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)""", patterns.DOTALL)
_VARIABLE: Final = patterns.compiled(r"\$(?:[A-Za-z_0-9]+|\{[^{}]*\}|[@*#?!$-])")
_IFS: Final = patterns.compiled(r"\$(?:IFS\b|\{IFS[^{}]*\})")


def literal_words(command: str) -> list[str] | None:
    """The words of one simple command without anything to expand; None for everything else."""
    read = _words(command, stars=False) if len(command) <= LONGEST else None
    return None if read is None else [one for (one,) in read]


@lru_cache(maxsize=512)
def pattern_words(pattern: str) -> tuple[PatternWord, ...] | None:
    """The words of a pattern for commands that may run, read as `literal_words` reads the command.

    A `*` outside quotes is a star, one inside is itself. None: no command that can be read ever fits it.
    """
    read = _words(pattern, stars=True) if len(pattern) <= LONGEST else None
    return None if read is None else tuple(read)


def _words(command: str, *, stars: bool) -> list[PatternWord] | None:
    words: list[PatternWord] = []
    word: list[list[str]] | None = None
    quote = ""
    for letter in command:
        if quote:
            if letter == quote:
                quote = ""
            elif word is not None and letter in (_IN_DOUBLE if quote == '"' else _IN_SINGLE):
                word[-1].append(letter)
            else:
                return None
        elif letter in "'\"":
            quote, word = letter, [[]] if word is None else word
        elif letter in _SPACE:
            if word is not None:
                words.append(tuple(map("".join, word)))
                word = None
        elif letter in _PLAIN or (stars and letter == "*"):
            if word is None:
                word = [[]]
            if letter == "*":
                word.append([])
            else:
                word[-1].append(letter)
        else:
            return None
    if quote:
        return None
    if word is not None:
        words.append(tuple(map("".join, word)))
    # an assignment in front makes it another command than it looks
    return words if words and not any("=" in piece for piece in words[0]) else None


def loose_words(command: str) -> list[str] | None:
    """Everything in a text that may be a word of some command in it; None: it is too long to look.

    Several readings stand one behind the other, with a BREAK between: quotes and backslashes taken away;
    substitutions and groups as part of the command around them; backslashes as slashes of a path;
    broken at commas, as braces do; quoted text as one word; without
    variables, which may be empty. A BREAK also stands between commands, but not if the text has quotes or
    backslashes: there a `;` may be a letter.
    """
    if len(command) > LONGEST_LOOSE:
        return None
    text = _IFS.sub(" ", command.replace("\\\r\n", "").replace("\\\n", ""))
    text = text.replace("$'", "'").replace('$"', '"')
    quoted = "'" in text or '"' in text
    unquoted = text.replace("'", "").replace('"', "")
    bare = unquoted.replace("\\", "")
    readings = [bare.translate(_WORDS_ALONE if quoted or "\\" in text else _WITH_BREAKS)]
    if "`" in text or "(" in text:
        readings.append(bare.translate(_WORDS_ALONE if quoted or "\\" in text else _WITHOUT_GROUPS))
    if "\\" in text:
        readings.append(unquoted.replace("\\", "/").translate(_WORDS_ALONE))
    if "," in text:
        readings.append(bare.replace(",", " ").translate(_WORDS_ALONE))
    if quoted:
        glued = _QUOTED.sub(lambda found: _glued(found[0]), text)
        readings.append(glued.translate(_WORDS_ALONE))
    if "$" in text:
        readings.append(_VARIABLE.sub("", bare).translate(_WORDS_ALONE))
    return f" {BREAK} ".join(dict.fromkeys(readings)).split()


def _glued(text: str) -> str:
    return "_".join(text.translate(_WORDS_ALONE).split())


@lru_cache(maxsize=512)
def forbidden_words(pattern: str) -> tuple[str, ...]:
    """The words of a pattern for commands that must not run, read as the first reading of `loose_words`."""
    text = pattern.replace("'", "").replace('"', "").replace("\\", "")
    return tuple(text.translate(_WORDS_ALONE).split())
