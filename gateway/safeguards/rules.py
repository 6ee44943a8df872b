"""Rules, and what they say of an action.

'Deny' wins over 'allow' wherever it stands; else the first rule that fits decides.

A pattern of a command is words with spaces between: `git status` is this very command, `git diff *` also with
any further words, and a `*` within a word stands for any letters. The same pattern in a rule that denies
fits wherever these words stand in a command, so chains and wrappers do not hide them; what is encoded or put
together by the shell slips past it, and is not allowed by any rule either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from gateway.safeguards.shell import literal_words, loose_words
from gateway.values import frozen

Decision = Literal["allow", "deny", "undecided"]
ALLOW: Final = "allow"
DENY: Final = "deny"
UNDECIDED: Final = "undecided"
# the client's working directory, at the beginning of a pattern of paths
HERE: Final = "{cwd}"
_PATHS: Final = ("file_path", "notebook_path", "path")
# tools that are also told which files in a pattern, which may lead out of their folder
_FILE_PATTERNS: Final[Mapping[str, str]] = {"Glob": "pattern"}


@frozen
class ActionRule:
    """`tool`: a name, `*` for any letters; "": any tool. `command`: for tools with a command; `path`: for
    tools with a file or folder. A rule with both fits no tool. `owner`, `group`: whose calls; None: all."""

    id: int
    decision: Decision
    tool: str = ""
    command: str = ""
    path: str = ""
    owner: int | None = None
    group: int | None = None
    explanation: str = ""


class Action(NamedTuple):
    """One call of a tool, as the client gets it; `input` None: it could not be read."""

    id: str
    tool: str
    input: Mapping[str, Any] | None


class _Command(NamedTuple):
    """A shell command as it is read once for all rules. `literal` None: not one simple command."""

    literal: list[str] | None
    loose: list[str]


class Ruling(NamedTuple):
    """What was decided of an action and by which rule; `rule` None: by none."""

    decision: Decision
    rule: ActionRule | None = None


def ruling(
    action: Action,
    rules: Sequence[ActionRule],
    *,
    cwd: str = "",
    owner: int | None = None,
    groups: frozenset[int] = frozenset(),
) -> Ruling:
    """The ruling on one action. What cannot be read with certainty is allowed by no rule."""
    theirs = [
        rule
        for rule in rules
        if (rule.owner is None or rule.owner == owner) and (rule.group is None or rule.group in groups)
    ]
    given = action.input.get("command") if action.input is not None else None
    command = _Command(literal_words(given), loose_words(given)) if isinstance(given, str) else None
    for rule in theirs:
        if rule.decision == DENY and _fits(rule, action, command, cwd):
            return Ruling("deny", rule)
    for rule in theirs:
        if rule.decision != DENY and _fits(rule, action, command, cwd):
            return Ruling(rule.decision, rule)
    return Ruling("undecided")


def _fits(rule: ActionRule, action: Action, command: _Command | None, cwd: str) -> bool:
    if rule.tool and not glob(rule.tool, action.tool):
        return False
    denies = rule.decision == DENY
    if action.input is None:
        return denies and not (rule.command or rule.path)
    if rule.command and not _command_fits(rule.command.split(), command, denies):
        return False
    if rule.path and not _path_fits(rule.path, action, cwd, denies):
        return False
    # the name of a tool says nothing of the command that it is given
    return denies or bool(rule.command) or "command" not in action.input


def _command_fits(pattern: Sequence[str], command: _Command | None, denies: bool) -> bool:
    """The last `*` of a pattern stands for any further words, and so does the end of one that denies."""
    if command is None or not pattern:
        return False
    rest = pattern[-1] == "*"
    fixed = pattern[:-1] if rest else pattern
    if denies:
        places = range(len(command.loose) - len(fixed) + 1)
        return any(_words_fit(fixed, command.loose, place) for place in places)
    words = command.literal
    if words is None or len(words) < len(fixed) or (len(words) > len(fixed) and not rest):
        return False
    return _words_fit(fixed, words, 0)


def _words_fit(pattern: Sequence[str], words: Sequence[str], place: int) -> bool:
    """Whether the words from `place` on begin with those of a pattern; there are as many."""
    return all(glob(one, words[place + step]) for step, one in enumerate(pattern))


def _path_fits(pattern: str, action: Action, cwd: str, denies: bool) -> bool:
    given = action.input or {}
    paths = [given[name] for name in _PATHS if isinstance(given.get(name), str)]
    if not denies and not _stays_inside(given.get(_FILE_PATTERNS.get(action.tool, ""), "")):
        return False
    if pattern.startswith(HERE):
        if not cwd.startswith("/") or not plain_path(cwd):
            return False
        # its own letters are no pattern
        start = cwd.rstrip("/")
        tail = pattern[len(HERE) :]
        return bool(paths) and all(
            (path == start or path.startswith(start if denies else f"{start}/"))
            and (denies or plain_path(path))
            and glob(tail, path[len(start) :])
            for path in paths
        )
    some = any if denies else all
    return bool(paths) and some((denies or plain_path(path)) and glob(pattern, path) for path in paths)


def _stays_inside(pattern: Any) -> bool:
    """Whether a pattern of files names only what is below the folder where it is searched."""
    return (
        isinstance(pattern, str)
        and not pattern.startswith("/")
        and not any(piece in pattern for piece in ("..", "~", "{/", ",/"))
    )


def plain_path(path: str) -> bool:
    """An absolute path without steps and without anything that somebody might expand."""
    steps = path.split("/")
    return (
        path.startswith("/")
        and path.isprintable()
        and ".." not in steps
        and "." not in steps
        and "~" not in path
    )


def glob(pattern: str, text: str) -> bool:
    """Whether the whole text is that of a pattern in which `*` stands for any letters; in linear time."""
    first, *others = pattern.split("*")
    if not others:
        return first == text
    *middle, last = others
    if not text.startswith(first):
        return False
    place = len(first)
    for piece in middle:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return len(text) - len(last) >= place and text.endswith(last)


# what reads inside the working directory and changes nothing; an admin adds them with one click
SAFE: Final[tuple[dict[str, str], ...]] = (
    {"tool": "Read", "path": "{cwd}/*"},
    {"tool": "Glob", "path": "{cwd}*"},
    {"tool": "Grep", "path": "{cwd}*"},
    {"tool": "LS", "path": "{cwd}*"},
    {"tool": "TodoWrite"},
    {"tool": "Bash", "command": "pwd"},
    {"tool": "Bash", "command": "git status"},
    {"tool": "Bash", "command": "git diff"},
    {"tool": "Bash", "command": "git log --oneline"},
    {"tool": "Bash", "command": "ls"},
    {"tool": "Bash", "command": "ls -la"},
)
