"""Paths in the input of a call: narrowly for what may be used, widely for what must not.

A path that a rule allows is written in one way only, the canonical one. A path that a rule forbids is every
file that the client may open for that text: clients trim it, join it to their folder, take steps and doubled
slashes out, and some file systems ignore the case of letters.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.client_protocol.safeguards import Folders
from gateway.safeguards.commands import glob

# the client's working directory, at the beginning of a pattern of paths
HERE: Final = "{cwd}"
# arguments that name the file or folder of a call
NAMES: Final = ("file_path", "notebook_path", "path")
# the longest path of common systems; a longer text counts as any path where rules forbid
LONGEST: Final = 4_096
# tools that are also told which files in a pattern, which may lead out of their folder
_FILE_PATTERNS: Final[Mapping[str, str]] = {"Glob": "pattern"}
# arguments of any tool beside a path that may be texts, lists or objects and name no other file
TEXTS: Final = frozenset(
    {"cell_id", "cell_type", "content", "description", "edit_mode", "edits", "encoding", "glob", "ignore",
     "new_source", "new_string", "old_string", "output_mode", "pages", "pattern", "type"}
)  # fmt: skip
# how arguments of other tools are called that name files
_PARTS_OF_NAMES: Final = ("cwd", "dest", "dir", "file", "folder", "path", "root", "source", "target", "uri")
_MOST_FOLDERS: Final = 32
# paths of one call, and values of its input; a call with more counts as one with any path where rules forbid
_MOST_PATHS: Final = 32
_MOST_VALUES: Final = 10_000
# what a pattern of files may have besides letters and digits; no braces, brackets, escapes or drives
_IN_PATTERNS: Final = frozenset("/*?._-+,@=% ")
# tools that look into what is below their folder
SEARCHES: Final = ("Glob", "Grep", "LS")


def plain_path(path: str) -> bool:
    """Whether an absolute path is canonical, and nobody would expand, trim or join it."""
    if not path.startswith("/") or len(path) > LONGEST or not path.isprintable():
        return False
    return path == "/" or all(
        step and step == step.strip() and step not in (".", "..") and not set(step) & {"~", "\\"}
        for step in path[1:].split("/")
    )


def own_path(action_tool: str, given: Mapping[str, object]) -> list[str] | None:
    """The files and folders that a call names; None where a pattern may name others too."""
    name = _FILE_PATTERNS.get(action_tool)
    if name is not None and name in given and not stays_below(given[name]):
        return None
    return [path for name in NAMES if isinstance(path := given.get(name), str)]


def stays_below(pattern: object) -> bool:
    """Whether a pattern of files names only what is below the folder where it is searched."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST:
        return False
    return all(letter.isalnum() or letter in _IN_PATTERNS for letter in pattern) and all(
        step and step == step.strip() and not _may_be_dots(step) for step in pattern.split("/")
    )


def _may_be_dots(step: str) -> bool:
    """Whether a step is `..`, or a pattern of it: `.?`, `.*`, `??`."""
    return ".." in step or (set(step) <= {".", "?", "*"} and step not in ("*", "**"))


def is_allowed_by(pattern: str, paths: Sequence[str], folders: Folders) -> bool:
    """Whether each path is canonical and that of the pattern; there is one at least."""
    if not paths or not all(map(plain_path, paths)):
        return False
    if not pattern.startswith(HERE):
        return all(glob(pattern, path) for path in paths)
    cwd = folders.cwd
    if not is_trusted(folders):
        return False
    tail = pattern[len(HERE) :]
    return all((path == cwd or path.startswith(f"{cwd}/")) and glob(tail, path[len(cwd) :]) for path in paths)


def is_trusted(folders: Folders) -> bool:
    """Whether the working directory is in a folder that the person has trusted, and is no home or root.

    The model moves the working directory with `cd`. A trusted folder that holds the home counts as none: then
    a `cd` into it would make it readable.
    """
    if folders.home and not plain_path(folders.home):
        return False
    bases = [one for one in folders.trusted if plain_path(one) and not _is_in(folders.home, one)]
    return (
        plain_path(folders.cwd)
        and folders.cwd != "/"
        and not _is_in(folders.home, folders.cwd)
        and any(_is_in(folders.cwd, base) for base in bases)
    )


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


class Meanings:
    """Every file that a client may open for the paths of a call."""

    def __init__(self, tool: str, given: Mapping[str, object], folders: Folders) -> None:
        self._tool = tool
        self._folders = folders
        self._too_long = False
        self._roots = _roots(folders)
        self._patterns: dict[str, tuple[tuple[str, str], ...]] = {}
        named = list(dict.fromkeys(self._named(given)))
        if len(named) > _MOST_PATHS:
            self._too_long, named = True, []
        searched = named or [folders.cwd]
        pattern = given.get(_FILE_PATTERNS.get(tool, ""))
        if isinstance(pattern, str):
            named += [f"{folder}/{pattern}" for folder in searched] + [pattern]
        self._searched = {form.rstrip("/") + "/" for path in searched for form in self._of(path)}
        self._forms = {form for path in named for form in self._of(path)}

    def may_be_that_of(self, pattern: str) -> bool:
        """Whether the pattern fits one of them, or one is too long to be looked at."""
        return self._too_long or any(
            form.startswith(start) and glob(tail, form[len(start) :])
            for start, tail in self._read(pattern)
            for form in self._forms
        )

    def may_hold(self, pattern: str) -> bool:
        """Whether a folder that is searched may have files of the pattern in it."""
        for start, tail in self._read(pattern):
            literal = start + tail.partition("*")[0]
            for folder in self._searched:
                if f"{literal}/".startswith(folder) or (folder.startswith(literal) and "*" in tail):
                    return True
        return self._too_long

    def _read(self, pattern: str) -> tuple[tuple[str, str], ...]:
        if pattern not in self._patterns:
            self._patterns[pattern] = _patterns(pattern, self._folders, self._roots)
        return self._patterns[pattern]

    def _named(self, given: Mapping[str, object]) -> Iterator[str]:
        """The texts that may name files, at any depth of lists and objects."""
        left: list[tuple[str, object, bool]] = [("", given, False)]
        seen = 0
        while left:
            name, value, is_named = left.pop()
            seen += 1
            if seen > _MOST_VALUES:
                self._too_long = True
                return
            if isinstance(value, Mapping):
                for key, one in value.items():
                    inner = str(key)
                    parts = any(part in inner.lower() for part in _PARTS_OF_NAMES)
                    left.append((inner, one, inner not in TEXTS and (is_named or parts)))
            elif isinstance(value, list):
                left += [(name, one, is_named) for one in value[:_MOST_VALUES]]
                self._too_long |= is_named and len(value) > _MOST_VALUES
            elif is_named and isinstance(value, str):
                if len(value) <= LONGEST:
                    yield value
                elif name in NAMES or (".." in value and "\n" not in value):
                    self._too_long = True
                elif len(short := posixpath.normpath(value.replace("\\", "/").strip())) <= LONGEST:
                    yield short

    def _of(self, path: str) -> Iterator[str]:
        if len(path) > LONGEST:
            self._too_long = True
            return
        folders = self._folders
        for text in dict.fromkeys((path, path.replace("\\", "/"), _drive(path.strip()))):
            yield _folded(text, folders)
            for root in self._roots:
                for opened in _opened(text, root, folders):
                    form = _folded(opened, folders)
                    yield form
                    # a folder is that of a pattern for everything in it
                    yield f"{form}/"
                if text.startswith("/") and "/proc" not in text.lower():
                    break


def _roots(folders: Folders) -> tuple[str, ...]:
    """The folders that a relative path may belong to, and that `{cwd}` has meant before the model moved."""
    named = (folders.cwd, *folders.trusted[:_MOST_FOLDERS])
    return tuple(dict.fromkeys(form for one in named for form in (one, _drive(one))))


def _patterns(pattern: str, folders: Folders, roots: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """A pattern as literal beginnings and the patterns behind them, for each folder that `{cwd}` may be."""
    if not pattern.startswith(HERE):
        return tuple(("", _folded(one, folders)) for one in dict.fromkeys((pattern, _drive(pattern))))
    tail = _folded(pattern[len(HERE) :].replace("\\", "/"), folders)
    starts = [_folded(one, folders) for root in roots if root for one in _opened(root, "", folders)]
    return tuple((start.rstrip("/"), tail) for start in dict.fromkeys(starts))


def _opened(path: str, root: str, folders: Folders) -> Iterator[str]:
    """The path as clients open it: joined to a folder, without steps and doubled slashes.

    POSIX opens steps as they are written; Windows takes away their ends, and knows drives.
    """
    trimmed = path.strip()
    if trimmed[:7].lower() == "file://":
        trimmed = trimmed[7:]
        if trimmed[:10].lower() == "localhost/":
            trimmed = trimmed[9:]
    if trimmed == "~" or trimmed.startswith("~/"):
        trimmed = folders.home + trimmed[1:]
    for text in dict.fromkeys((trimmed, path)):
        joined = text if text.startswith("/") else f"{root}/{text}"
        yield _normal(joined, folders.cwd)
        at_drive = text if text[1:2] == ":" else joined
        windows = "/".join(map(_without_ends, at_drive.split("/")))
        if windows != joined:
            yield _normal(windows, folders.cwd)


def _normal(path: str, cwd: str) -> str:
    if "/proc/" in path.lower():
        path = _without_proc(path, cwd)
    normal = posixpath.normpath(path)
    return "/" + normal.lstrip("/") if normal.startswith("/") else normal


def _without_proc(path: str, cwd: str) -> str:
    """The path without the links of `/proc` to the root and to the working directory, in linear time."""
    steps: list[str] = []
    base = ""
    for step in path.split("/"):
        if step in ("", "."):
            continue
        if step == "..":
            if steps:
                steps.pop()
            else:
                base = posixpath.dirname(base)
            continue
        steps.append(step)
        is_link = (
            step in ("root", "cwd") and len(steps) in (3, 5) and base in ("", "/") and steps[0] == "proc"
        )
        if is_link and (len(steps) == 3 or steps[2] == "task"):
            base, steps = (cwd if step == "cwd" else ""), []
    return f"{base}/{'/'.join(steps)}"


def _without_ends(step: str) -> str:
    """A step without what Windows ignores in it: blanks and dots at its end, a stream behind a colon."""
    if step.strip() in (".", ".."):
        return step.strip()
    name = step if len(step) == 2 and step.endswith(":") else step.partition(":")[0]
    return name.strip().rstrip(". ") or step


def _drive(path: str) -> str:
    """A path of Windows in the form `C:/x`, which is also written `\\\\?\\C:\\x` and `/c/x`."""
    text = path.replace("\\", "/") if path[1:3] == ":\\" or path.startswith("\\\\") else path
    text = text.removeprefix("//?/")
    if len(text) > 2 and text[0] == text[2] == "/" and text[1].isascii() and text[1].isalpha():
        return f"{text[1]}:{text[2:]}"
    return text


def _folded(text: str, folders: Folders) -> str:
    """A text for comparing: without invisible letters, composed, in one case where the machine ignores it."""
    visible = text if text.isprintable() else "".join(filter(str.isprintable, text))
    composed = unicodedata.normalize("NFC", visible)
    return composed.casefold() if folders.ignores_case else composed
