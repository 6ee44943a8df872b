"""Names of models: the spellings a client uses, and patterns with `*`."""

from __future__ import annotations

from typing import Final

from gateway import patterns

_WINDOW_SUFFIX: Final = patterns.compiled(r"(?<!\[1m\])(?:\[1m\])++\Z", patterns.IGNORECASE)
_DATE_SUFFIX: Final = patterns.compiled(r"-(?:19|20)[0-9]{6}\Z")
# stands for "any text" in a pattern that is matched against another one; no name has it
_ANY: Final = "\x00"


def without_window(name: str) -> str:
    """The name without a final `[1m]`, with which Claude Code asks for the long context window."""
    return _WINDOW_SUFFIX.sub("", name)


def plain_spellings(asked: str) -> tuple[str, ...]:
    """The name as asked, without `[1m]`, and also without a date suffix `-YYYYMMDD`; no duplicates."""
    bare = without_window(asked)
    return _different(asked, bare, _DATE_SUFFIX.sub("", bare))


def spellings(asked: str) -> tuple[str, ...]:
    """All spellings to look up, in order: the plain ones, then those without a prefix `provider/`."""
    plain = plain_spellings(asked)
    return _different(*plain, *(name.partition("/")[2] for name in plain if "/" in name))


def is_wildcard(pattern: str) -> bool:
    return "*" in pattern


def matches(pattern: str, name: str) -> bool:
    """Whether an exact name or pattern means this name, ignoring case."""
    if is_wildcard(pattern):
        return patterns.wildcard(pattern).fullmatch(name) is not None
    return pattern.casefold() == name.casefold()


def covers(pattern: str, other: str) -> bool:
    """Whether `pattern` means each name that `other` means. Both may have `*`; case is ignored."""
    return matches(pattern, other.replace("*", _ANY))


def _different(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
