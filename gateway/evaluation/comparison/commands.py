"""What a shell command is about: its head, and the words it is given.

Flags do not count, but for those that change what is done (`sed -i`); nor do filters that only change what is
shown of the output. A file that output goes to counts.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.evaluation.comparison.tool_table import (
    ACTING_FLAGS,
    FREE_TEXT_OPTIONS,
    OUTPUT_FILTERS,
    SUBCOMMANDS,
    WRAPPERS,
)

# characters; a longer command is compared as it is
LONGEST: Final = 8_192
_OPERATORS: Final = frozenset("|&;<>\n")
# what output is sent to without being stored
_STREAMS: Final = frozenset({"-", "/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"})
_SPACE: Final = frozenset(" \t\r")


class ReadCommand(NamedTuple):
    """`head`: program and subcommand of the first command that acts; `words`: what distinguishes it."""

    head: str
    words: tuple[str, ...]


def read_command(text: str) -> ReadCommand:
    """Read a command; never raises."""
    if len(text) > LONGEST:
        return ReadCommand(text[:80].split(" ")[0], (text,))
    commands = _simple_commands(text)
    for command in commands:
        command.words = _without_wrapping(command.words)
    named = [command for command in commands if command.words]
    acting = [command for command in named if command.words[0] != "cd"] or named
    if not acting:
        return ReadCommand("", tuple(file for command in commands for file in command.files))
    words: list[str] = []
    for command in commands:
        # a filter behind a pipe only changes what is shown, or stored in a file that it is sent to
        shows = command.is_piped and command is not acting[0] and command.words[:1] != []
        if command in acting and not (shows and command.words[0] in OUTPUT_FILTERS):
            words += _distinguishing(command.words)
        words += command.files
    return ReadCommand(_head(acting[0].words), tuple(words))


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
            found.append(_path(word))
        else:
            found += _acting_flags(found[0], word)
    return found


def _acting_flags(program: str, word: str) -> list[str]:
    """The flags in a word that change what the program does."""
    known = ACTING_FLAGS.get(program, frozenset())
    if word.startswith("--"):
        name = word[2:].partition("=")[0]
        return [f"--{name}"] if name in known else []
    # letters behind a dot are the end of a file's name, as in -i.bak
    return [f"-{letter}" for letter in word[1:].partition(".")[0] if letter in known]


def _path(word: str) -> str:
    return word.removeprefix("./").rstrip("/") or word


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


@dataclass(slots=True)
class _Simple:
    """One command of a line. `files`: what its output goes to, or its input comes from, behind the sign.

    `is_piped`: its input is the output of the command before it.
    """

    words: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    is_piped: bool = False


def _simple_commands(text: str) -> list[_Simple]:
    """The commands of a line, without quotes and backslashes."""
    commands = [_Simple()]
    word: list[str] | None = None
    quote, escaped, sign = "", False, ""

    def end_word() -> None:
        nonlocal word, sign
        if word is None:
            return
        whole, word = "".join(word), None
        if not sign:
            commands[-1].words.append(whole)
        elif _is_file(sign, whole):
            commands[-1].files.append(sign.rstrip("&|") + _path(whole))
        sign = ""

    text = text.replace("\\\n", " ")
    for place, letter in enumerate(text):
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
        elif letter not in _OPERATORS:
            word = _with(word, letter)
        elif letter in "<>":
            if word is not None and "".join(word).isdigit():
                word = None
            end_word()
            sign += letter
        elif sign and word is None and letter in "&|":
            sign += letter
        elif letter == "&" and text[place + 1 : place + 2] == ">":
            # &> is a redirection
            end_word()
        else:
            end_word()
            sign = ""
            before = text[place - 1 : place] if place else ""
            if letter in "|&" and before == "|":
                # || is no pipe, and |& is one
                commands[-1].is_piped = letter == "&"
            else:
                commands.append(_Simple(is_piped=letter == "|"))
    end_word()
    return commands


def _is_file(sign: str, name: str) -> bool:
    """Whether a redirection names a file that distinguishes the command: no stream, no text that follows."""
    return not sign.startswith("<<") and name not in _STREAMS and not (sign.endswith("&") and name.isdigit())


def _with(word: list[str] | None, letter: str) -> list[str]:
    if word is None:
        return [letter]
    word.append(letter)
    return word
