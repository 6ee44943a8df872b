"""What a call is about and what it does, so that two calls can be compared."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.evaluation.comparison.commands import ReadCommand, read_command
from gateway.evaluation.comparison.edits import EffectLikeness, TextEdit, edits_of, same_result
from gateway.evaluation.comparison.tool_table import ToolReading, reading_of
from gateway.wire import jsontext

# characters of a target that are compared
LONGEST_TARGET: Final = 8_192


class ReadCall(NamedTuple):
    """`target`: what it is about, normalised; `effect`: what it does, in the form of its kind.

    None: too deeply nested, or too large, to be compared.
    """

    tool: str
    reading: ToolReading
    target: str | None
    effect: ReadCommand | tuple[TextEdit, ...] | bytes | None


def read_call(tool: str, given: object) -> ReadCall:
    """Read a `tool_use` block: its tool, and its input, which may be anything. Never raises."""
    arguments: Mapping[str, Any] = given if isinstance(given, Mapping) else {"input": given}
    reading = reading_of(tool, arguments)
    value = next((arguments[name] for name in reading.target if name in arguments), None)
    command = read_command(value) if reading.kind == "command" and isinstance(value, str) else None
    target: str | None
    if reading.kind == "none":
        target = ""
    elif command is not None:
        target = command.head
    elif value is None:
        # a known tool without its target, or one that has none
        target = "" if reading.target else _as_text(arguments)
    else:
        target = normalised(value, reading)
    return ReadCall(tool, reading, target, _effect(reading, arguments, command))


def same_target(one: ReadCall, other: ReadCall) -> bool:
    """Whether two calls of one tool are about the same thing."""
    if one.target is None or other.target is None:
        return False
    if one.target == other.target:
        return True
    is_path = one.reading.kind == "path" and bool(one.target and other.target)
    return is_path and _same_path(one.target, other.target)


def _same_path(one: str, other: str) -> bool:
    """Whether two paths may be one; one of them may be relative to a working directory."""
    short, long = sorted((one, other), key=len)
    return one == other or (not short.startswith("/") and long.endswith("/" + short))


def likeness(one: ReadCall, other: ReadCall) -> EffectLikeness:
    """Whether two calls of one tool with one target do the same."""
    ours, theirs, kind = one.effect, other.effect, one.reading.effect
    if kind == "none":
        return EffectLikeness.SAME
    if ours is None or theirs is None:
        return EffectLikeness.UNKNOWN
    if ours == theirs and type(ours) is type(theirs):
        return EffectLikeness.SAME
    if kind == "place" and isinstance(ours, bytes) and isinstance(theirs, bytes):
        return _same_place(ours.decode("utf-8", "surrogatepass"), theirs.decode("utf-8", "surrogatepass"))
    if kind == "edit" and isinstance(ours, tuple) and isinstance(theirs, tuple):
        return same_result(
            [edit for edit in ours if isinstance(edit, TextEdit)],
            [edit for edit in theirs if isinstance(edit, TextEdit)],
        )
    return EffectLikeness.UNKNOWN if kind == "open" else EffectLikeness.DIFFERS


def _same_place(one: str, other: str) -> EffectLikeness:
    """Whether two calls look in one place. Where one names none it is the working directory, which the other
    may have named.
    """
    if not (one and other):
        return EffectLikeness.UNKNOWN
    return EffectLikeness.SAME if _same_path(one, other) else EffectLikeness.DIFFERS


def normalised(value: object, reading: ToolReading) -> str | None:
    """A target in the form in which two are compared."""
    if not isinstance(value, str):
        return _as_text(value)
    text = value[:LONGEST_TARGET].strip()
    match reading.kind:
        case "path":
            return _as_path(text)
        case "url":
            return text.partition("#")[0].rstrip("/").removeprefix("https://").removeprefix("http://")
        case "words":
            return " ".join(sorted(set(text.casefold().replace('"', " ").split())))
        case _:
            return text


def _as_path(text: str) -> str:
    path = posixpath.normpath(text.replace("\\", "/")) if text else ""
    return path[0].lower() + path[1:] if path[1:2] == ":" else path


def _place(value: Any) -> bytes | None:
    """A path, without the one that means the working directory; None for what is no text."""
    if value is None:
        return b""
    if not isinstance(value, str):
        return None
    path = _as_path(value[:LONGEST_TARGET].strip())
    return b"" if path == "." else path.encode("utf-8", "surrogatepass")


def _effect(
    reading: ToolReading, arguments: Mapping[str, Any], command: ReadCommand | None
) -> ReadCommand | tuple[TextEdit, ...] | bytes | None:
    match reading.effect:
        case "none":
            return b""
        case "place":
            return _place(next((arguments.get(name) for name in reading.fields), None))
        case "edit":
            return edits_of(arguments)
        case "command" if command is not None:
            return command
        case "text":
            # editors end a file with a line break or not
            return _canonical([_without_end(arguments.get(name)) for name in reading.fields])
        case _:
            return _canonical(arguments)


def _without_end(value: Any) -> Any:
    return value.rstrip("\n") if isinstance(value, str) else value


def _as_text(value: Any) -> str | None:
    text = _canonical(value)
    return None if text is None else text.decode("utf-8", "replace")[:LONGEST_TARGET]


def _canonical(value: Any) -> bytes | None:
    """A value as text that is equal for equal values; None when it is nested too deeply."""
    try:
        return jsontext.dumps(_sorted(value))
    except (RecursionError, ValueError, TypeError):
        return None


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _sorted(value[name]) for name in sorted(value, key=str)}
    if isinstance(value, list):
        return [_sorted(one) for one in value]
    return value
