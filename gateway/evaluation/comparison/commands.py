"""What a shell command is about: its head, and the words it is given.

Flags do not count, nor do filters that only change what is shown of the output.
"""

from __future__ import annotations

import posixpath
from typing import Final, NamedTuple

from gateway.evaluation.comparison.tool_table import FREE_TEXT_OPTIONS, OUTPUT_FILTERS, SUBCOMMANDS, WRAPPERS

# characters; a longer command is compared as it is
LONGEST: Final = 8_192
_OPERATORS: Final = frozenset("|&;<>\n")
_SPACE: Final = frozenset(" \t\r")


class ReadCommand(NamedTuple):
    """`head`: program and subcommand of the first command that acts; `words`: what distinguishes it."""

    head: str
    words: tuple[str, ...]


def read_command(text: str) -> ReadCommand:
    """Read a command; never raises."""
    if len(text) > LONGEST:
        return ReadCommand(text[:80].split(" ")[0], (text,))
    commands = [_without_wrapping(words) for words in _simple_commands(text)]
    acting = [words for words in commands if words and words[0] != "cd"] or [
        words for words in commands if words
    ]
    if not acting:
        return ReadCommand("", ())
    head = _head(acting[0])
    # filters behind the first command only change what is shown
    counted = [acting[0], *(words for words in acting[1:] if words[0] not in OUTPUT_FILTERS)]
    return ReadCommand(head, tuple(word for words in counted for word in _distinguishing(words)))


def _head(words: list[str]) -> str:
    program = posixpath.basename(words[0]) or words[0]
    if program in SUBCOMMANDS:
        rest = words[1:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            return f"{program} -m {rest[1]}"
        return " ".join([program, *[word for word in rest if not word.startswith("-")][:1]])
    return program


def _distinguishing(words: list[str]) -> list[str]:
    """The program and its operands, without flags and texts that each writes differently."""
    found = [posixpath.basename(words[0]) or words[0]]
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in FREE_TEXT_OPTIONS and not (word == "-m" and found[0].startswith("python")):
            skip = True
        elif not word.startswith("-"):
            found.append(word.removeprefix("./").rstrip("/") or word)
    return found


def _without_wrapping(words: list[str]) -> list[str]:
    """A command without assignments and programs in front that only run it."""
    at = 0
    while at < len(words):
        word = words[at]
        if "=" in word and not word.startswith(("-", "=")) and word.split("=")[0].isidentifier():
            at += 1
        elif posixpath.basename(word) in WRAPPERS and at + 1 < len(words):
            at += 1
            while at < len(words) and (words[at].startswith("-") or words[at][:1].isdigit()):
                at += 1
        else:
            break
    return words[at:] or words


def _simple_commands(text: str) -> list[list[str]]:
    """The words of each command of a line: quotes and backslashes are taken away, redirections left out."""
    commands: list[list[str]] = [[]]
    word: list[str] | None = None
    quote, escaped, redirected = "", False, False

    def end_word() -> None:
        nonlocal word, redirected
        if word is not None:
            if not redirected:
                commands[-1].append("".join(word))
            word, redirected = None, False

    for letter in text.replace("\\\n", " "):
        if escaped:
            word, escaped = _with(word, letter), False
        elif quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"':
                escaped = True
            else:
                word = _with(word, letter)
        elif letter == "\\":
            escaped = True
        elif letter in "'\"":
            quote, word = letter, [] if word is None else word
        elif letter in _SPACE:
            end_word()
        elif letter in _OPERATORS:
            if letter in "<>":
                if word is not None and "".join(word).isdigit():
                    word = None
                end_word()
                redirected = True
            elif not (letter == "&" and redirected):
                end_word()
                redirected = False
                commands.append([])
        else:
            word = _with(word, letter)
    end_word()
    return commands


def _with(word: list[str] | None, letter: str) -> list[str]:
    if word is None:
        return [letter]
    word.append(letter)
    return word
