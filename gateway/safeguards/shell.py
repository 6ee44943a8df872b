"""Reading a shell command, in two ways that err to different sides.

`literal_words` is for what may run: it gives the words of a command only if that is one simple command of
literal words. Anything that a shell would expand, chain, redirect, continue or decode makes it None, so a
rule can never allow more than it names. `loose_words` is for what must not run: it finds words wherever they
stand.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 8_192
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=@%+-")
_SPACE: Final = frozenset(" \t")
# inside quotes: printable ASCII, without what a shell still acts on there
_IN_SINGLE: Final = frozenset(map(chr, range(0x20, 0x7F)))
_IN_DOUBLE: Final = _IN_SINGLE - frozenset('"$`\\!')


def literal_words(command: str) -> list[str] | None:
    """The words of one simple command without anything to expand; None for everything else."""
    if len(command) > LONGEST:
        return None
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    for letter in command:
        if quote:
            if letter == quote:
                quote = ""
            elif word is not None and letter in (_IN_DOUBLE if quote == '"' else _IN_SINGLE):
                word.append(letter)
            else:
                return None
        elif letter in "'\"":
            quote, word = letter, [] if word is None else word
        elif letter in _SPACE:
            if word is not None:
                words.append("".join(word))
                word = None
        elif letter in _PLAIN:
            if word is None:
                word = []
            word.append(letter)
        else:
            return None
    if quote:
        return None
    if word is not None:
        words.append("".join(word))
    # an assignment in front makes it another command than it looks
    return words if words and "=" not in words[0] else None


def loose_words(command: str) -> list[str]:
    """Everything in a text that may be a word of some command in it, quotes and backslashes taken away."""
    text = command[: 4 * LONGEST].replace("\\\n", "").replace("\\", "").replace("'", "").replace('"', "")
    letters = [letter if letter in _PLAIN or letter in "~*" else " " for letter in text]
    return "".join(letters).split()
