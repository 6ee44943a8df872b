"""`.env`, read as python-dotenv reads it: quotes, comments, blanks, `export`, `${NAME}`.

A byte-order mark, which Windows' editor writes, is no part of the first name. What is odd in the file is
said at start (gateway/checks.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values, load_dotenv
from dotenv.parser import parse_stream

_ENCODING: Final = "utf-8-sig"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What stands in a file. `unreadable`: the numbers of lines that are left out."""

    path: Path
    names: tuple[str, ...] = ()
    unreadable: tuple[int, ...] = ()


def load(path: Path) -> frozenset[str]:
    """Put the variables of the file into the environment, behind what is there; returns the added names.

    Raises ImproperlyConfigured for a file that is no text in UTF-8, and OSError.
    """
    before = frozenset(os.environ)
    try:
        load_dotenv(path, override=False, encoding=_ENCODING)
    except UnicodeDecodeError:
        raise ImproperlyConfigured(f"{path} is no text in UTF-8: save it in that encoding.") from None
    except ValueError as problem:
        raise ImproperlyConfigured(f"{path} has a character that no variable can have ({problem}).") from None
    return frozenset(os.environ) - before


def names(path: Path) -> set[str]:
    """The variables that a file sets to something; none without a file."""
    return {name for name, value in _values(path).items() if value}


def looked_at(path: Path) -> EnvFile:
    """What stands in the file; nothing where there is none."""
    if not path.is_file():
        return EnvFile(path)
    with path.open(encoding=_ENCODING) as stream:
        unreadable = tuple(binding.original.line for binding in parse_stream(stream) if binding.error)
    return EnvFile(path, tuple(_values(path)), unreadable)


def _values(path: Path) -> dict[str, str | None]:
    return dotenv_values(path, encoding=_ENCODING) if path.is_file() else {}
