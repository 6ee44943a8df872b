"""The announced ends of models, as the makers' own packages tell them.

openai's package says them in the text behind its list of models, anthropic's in a table. Both are development
dependencies: a gateway that runs reads `ends.json`.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from gateway import patterns

_ENTRY: Final = patterns.compiled(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: (\d{4}-\d{2}-\d{2})\.')
_NAME: Final = patterns.compiled(r'"([^"]+)"')
_ORDINAL: Final = patterns.compiled(r"(\d)(?:st|nd|rd|th),")


def published() -> dict[str, Any]:
    """What `ends.json` holds: for each maker the source and, by day, the models that end then.

    Raises ImportError without the packages, ValueError when one tells no end any more.
    """
    return {"anthropic": _entry("anthropic", _anthropic()), "openai": _entry("openai", _openai())}


def _entry(package: str, ends: Mapping[str, date]) -> dict[str, Any]:
    if not ends:
        raise ValueError(f"the package {package} tells no ends of models")
    by_day: dict[str, list[str]] = defaultdict(list)
    for model, day in sorted(ends.items()):
        by_day[day.isoformat()].append(model)
    return {"source": f"{package} {version(package)}", "ends": dict(sorted(by_day.items()))}


def _openai() -> dict[str, date]:
    module = importlib.import_module("openai.types.shared.chat_model")
    text = " ".join(Path(str(module.__file__)).read_text("utf-8").split())
    return {
        model: date.fromisoformat(day)
        for names, day in _ENTRY.findall(text)
        for model in _NAME.findall(names)
    }


def _anthropic() -> dict[str, date]:
    table: Mapping[str, str] = importlib.import_module("anthropic._data").DEPRECATED_MODELS
    return {
        model: datetime.strptime(_ORDINAL.sub(r"\1,", text) + " +0000", "%B %d, %Y %z").date()
        for model, text in table.items()
    }
