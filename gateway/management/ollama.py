"""Whether an Ollama answers on this machine."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any, Final

TAGS_URL: Final = "http://127.0.0.1:11434/api/tags"
# seconds: a local server answers at once or is not there
_TIMEOUT: Final = 0.5


def _opened(url: str) -> Any:
    # without a proxy from the environment, because the address is local
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=_TIMEOUT)


def ollama_models(opened: Callable[[str], Any] = _opened) -> list[str] | None:
    """The names of its models; None if nothing, or something else, answers there. Never raises."""
    try:
        with opened(TAGS_URL) as response:
            models = json.loads(response.read(1_000_000))["models"]
        names = [str(model["name"]) for model in models]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [name for name in names if "embed" not in name]
