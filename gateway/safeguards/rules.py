"""Rules, and what they say of an action.

'Deny' wins over 'allow' wherever it stands; else the first rule that fits decides. A rule that allows is read
narrowly: it fits only what can be read with certainty. One that denies is read widely, and so is one that
leaves undecided, since it holds back the rules behind it. `commands` and `paths` say what patterns mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from gateway.client_protocol.safeguards import Folders
from gateway.safeguards import paths
from gateway.safeguards.commands import Command, glob
from gateway.safeguards.shell import forbidden_words, pattern_words
from gateway.values import frozen

Decision = Literal["allow", "deny", "undecided"]
ALLOW: Final = "allow"
DENY: Final = "deny"
UNDECIDED: Final = "undecided"
NOWHERE: Final = Folders()

# arguments beside a command that change nothing about what it may do
_BESIDE_COMMANDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "command": str,
    "description": str,
    "run_in_background": bool,
    "timeout": (int, float),
}
_SANDBOX_OFF: Final = "dangerouslyDisableSandbox"
# characters of a pattern, as the column of a rule has them
_LONGEST_PATTERN: Final = 500
# a tool that shows contents of the files it finds: rules for reading them hold it back
_SEARCH: Final = "Grep"
# each of its calls has a command
_SHELL: Final = "Bash"
_READ: Final = "Read"


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


class Ruling(NamedTuple):
    """What was decided of an action and by which rule; `rule` None: by none."""

    decision: Decision
    rule: ActionRule | None = None


def ruling(
    action: Action,
    rules: Sequence[ActionRule],
    *,
    folders: Folders = NOWHERE,
    owner: int | None = None,
    groups: frozenset[int] = frozenset(),
) -> Ruling:
    """The ruling on one action. What cannot be read with certainty is allowed by no rule."""
    theirs = [
        rule
        for rule in rules
        if (rule.owner is None or rule.owner == owner) and (rule.group is None or rule.group in groups)
    ]
    reading = _Reading(action, folders)
    restricting = [rule for rule in theirs if rule.decision == DENY]
    for rule in restricting:
        if reading.is_restricted_by(rule):
            return Ruling(DENY, rule)
    for rule in theirs:
        if rule.decision == UNDECIDED:
            if reading.is_restricted_by(rule):
                return Ruling(UNDECIDED, rule)
            restricting.append(rule)
        elif rule.decision == ALLOW and reading.is_allowed_by(rule):
            held = any(map(reading.may_reach, restricting))
            return Ruling(UNDECIDED) if held else Ruling(ALLOW, rule)
    return Ruling(UNDECIDED)


def can_fit(rule: ActionRule) -> bool:
    """Whether there is any action that the patterns of a rule fit."""
    allows = rule.decision == ALLOW
    if allows and ((rule.command and rule.path) or (rule.tool == _SHELL and not rule.command)):
        return False
    if rule.command:
        return bool(pattern_words(rule.command) if allows else forbidden_words(rule.command))
    if not rule.path or not allows:
        return True
    text = rule.path.replace(paths.HERE, "/x", 1) if rule.path.startswith(paths.HERE) else rule.path
    text = text.replace("*", "x")
    return paths.plain_path(f"/{text}" if rule.path.startswith("*") else text)


def rule_for(decision: Decision, action: Action) -> dict[str, str]:
    """The pattern of a rule that fits this very action, as fields of ActionRule; empty if there is none."""
    given = action.input or {}
    command = given.get("command")
    found: dict[str, str] = {}
    if isinstance(command, str):
        # read as the rule is read; on one line
        text = command.strip() if decision == ALLOW else " ".join(forbidden_words(command[:_LONGEST_PATTERN]))
        found = {"command": text}
    else:
        named = [given[name] for name in paths.NAMES if isinstance(given.get(name), str)]
        if named and "*" not in named[0]:
            found = {"path": named[0].strip()}
    if not found or any(len(text) > _LONGEST_PATTERN for text in found.values()):
        return {}
    if decision != ALLOW and "*" in str(command):
        # there it would stand for any letters
        return {}
    command_of, path_of = found.get("command", ""), found.get("path", "")
    rule = ActionRule(1, decision, action.tool.replace("*", ""), command_of, path_of)
    return found if ruling(action, [rule]).rule == rule else {}


class _Reading:
    """An action, each part of which is read once for all rules."""

    def __init__(self, action: Action, folders: Folders) -> None:
        self._action = action
        self._given = action.input
        self._folders = folders
        given = None if action.input is None else action.input.get("command")
        self._command = Command(given, ignores_case=folders.ignores_case) if isinstance(given, str) else None
        self._meanings: paths.Meanings | None = None

    def is_allowed_by(self, rule: ActionRule) -> bool:
        if self._given is None or (rule.tool and not glob(rule.tool, self._action.tool)):
            return False
        if rule.command:
            fits = self._command is not None and not rule.path and self._command.is_allowed_by(rule.command)
            return fits and _only_a_command(self._given)
        if "command" in self._given:
            # the name of a tool says nothing of the command that it is given
            return False
        if not rule.path:
            return True
        named = paths.own_path(self._action.tool, self._given)
        return (
            named is not None
            and _names_no_more(self._given)
            and paths.is_allowed_by(rule.path, named, self._folders)
        )

    def is_restricted_by(self, rule: ActionRule) -> bool:
        if rule.tool and not glob(rule.tool, self._action.tool):
            return False
        if self._given is None:
            return not (rule.command or rule.path)
        if rule.command and not (self._command is not None and self._command.may_be_that_of(rule.command)):
            return False
        return not rule.path or self._read_paths(self._given).may_be_that_of(rule.path)

    def may_reach(self, rule: ActionRule) -> bool:
        """Whether a search that a rule allows may find what another restricts."""
        if self._given is None or not rule.path or rule.command:
            return False
        tool = self._action.tool
        of_tool = not rule.tool or glob(rule.tool, tool) or (tool == _SEARCH and glob(rule.tool, _READ))
        return of_tool and tool in paths.SEARCHES and self._read_paths(self._given).may_hold(rule.path)

    def _read_paths(self, given: Mapping[str, Any]) -> paths.Meanings:
        if self._meanings is None:
            self._meanings = paths.Meanings(self._action.tool, given, self._folders)
        return self._meanings


def _only_a_command(given: Mapping[str, Any]) -> bool:
    """Whether nothing beside the command changes what it may do, as a sandbox that is switched off does."""
    return all(
        value is False if name == _SANDBOX_OFF else isinstance(value, _BESIDE_COMMANDS.get(name, ()))
        for name, value in given.items()
    )


def _names_no_more(given: Mapping[str, Any]) -> bool:
    """Whether no argument but those with a path may name a file."""
    return all(
        name in paths.TEXTS
        or (
            isinstance(value, str) if name in paths.NAMES else value is None or isinstance(value, int | float)
        )
        for name, value in given.items()
    )


# what reads inside the working directory and changes nothing; an admin adds them with one click. Git is not
# among them: even `git status` runs what the repository's configuration names
SAFE: Final[tuple[dict[str, str], ...]] = (
    {"tool": "Read", "path": "{cwd}/*"},
    {"tool": "Glob", "path": "{cwd}*"},
    {"tool": "Grep", "path": "{cwd}*"},
    {"tool": "LS", "path": "{cwd}*"},
    {"tool": "TodoWrite"},
    {"tool": "Bash", "command": "pwd"},
    {"tool": "Bash", "command": "ls"},
    {"tool": "Bash", "command": "ls -la"},
)
