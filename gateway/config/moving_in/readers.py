"""Reading the files of others: JSON with comments, and YAML; the only module that knows PyYAML."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml
from django.utils.translation import gettext as _

LARGEST: Final = 5 * 1024 * 1024


class UnreadableFile(ValueError):
    """The text is not of the form that is expected; the message says where."""


def loose_json(text: str) -> dict[str, Any]:
    """A JSON object that may have comments and commas before closing brackets. Raises UnreadableFile."""
    try:
        found = json.loads(_strict(text))
    except (ValueError, RecursionError) as problem:
        raise UnreadableFile(_("This is not JSON: %(problem)s") % {"problem": problem}) from problem
    return _object(found)


def yaml_object(text: str) -> dict[str, Any]:
    """A YAML mapping. Raises UnreadableFile, in words that never quote the text, which may be a secret."""
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" ({mark.line + 1}:{mark.column + 1})" if mark is not None else ""
        raise UnreadableFile(_("This is not YAML%(where)s.") % {"where": where}) from problem
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise UnreadableFile(_("This is not YAML%(where)s.") % {"where": ""}) from problem
    return _object(found)


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UnreadableFile(_("The file has no object at its top."))
    return found


def _strict(text: str) -> str:
    """The text without comments, and without commas that nothing follows."""
    kept: list[str] = []
    place, comma = 0, -1
    while place < len(text):
        letter = text[place]
        if letter == '"':
            end = _end_of_text(text, place)
            kept.append(text[place:end])
            place, comma = end, -1
        elif text.startswith("//", place):
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif text.startswith("/*", place):
            end = text.find("*/", place + 2)
            place = len(text) if end < 0 else end + 2
        else:
            if letter in "]}" and comma >= 0:
                kept[comma] = " "
            if not letter.isspace():
                comma = len(kept) if letter == "," else -1
            kept.append(letter)
            place += 1
    return "".join(kept)


def _end_of_text(text: str, begin: int) -> int:
    place = begin + 1
    while place < len(text) and text[place] != '"':
        place += 2 if text[place] == "\\" else 1
    return place + 1
