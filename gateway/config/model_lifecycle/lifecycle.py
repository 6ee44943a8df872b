"""ModelLife: the announced end of a model, and its successor at the same provider.

The day is an argument everywhere: nothing here asks a clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from gateway.config.presets.presets import preset

Stage = Literal["active", "deprecated", "retired"]
# days before an end at which admins are warned: a hint, a warning, a problem
NOTICE: Final = (90, 30, 7)
FILE: Final = "models.json"
_MAKERS: Final[Mapping[str, str]] = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
_SIZES: Final = (("small", ("mini", "nano", "haiku", "luna")), ("middle", ("sonnet",)))


class ModelLife(NamedTuple):
    """`ends`: the first day without the model. `successor`: the preset's model of the same size.
    `source`: where the end was read."""

    model: str
    ends: date
    successor: str
    source: str

    def stage(self, today: date) -> Stage:
        return "deprecated" if today < self.ends else "retired"

    def days(self, today: date) -> int:
        """Days that are left; zero or less when it is gone."""
        return (self.ends - today).days


def life_of(base_url: str, model: str) -> ModelLife | None:
    """What is announced for a model of the API at `base_url`; None when no end is."""
    maker = maker_of(base_url)
    found = _ends().get(maker, {}).get(model.casefold())
    if found is None:
        return None
    ends, source = found
    return ModelLife(model, ends, successor(maker, model), source)


def living(base_url: str, model: str, today: date) -> str:
    """The model, or its successor once it has ended."""
    life = life_of(base_url, model)
    return model if life is None or life.stage(today) != "retired" else life.successor


def maker_of(base_url: str) -> str:
    """Whose models an address serves under its own dates; "" when nobody's that is known."""
    try:
        return _MAKERS.get(urlsplit(base_url).hostname or "", "")
    except ValueError:
        return ""


def successor(maker: str, model: str) -> str:
    """The model of the maker's preset that has the size of this one."""
    size = next((size for size, words in _SIZES if any(word in model.casefold() for word in words)), "big")
    return preset(maker).default_models.get(size, "")


@cache
def _ends() -> dict[str, dict[str, tuple[date, str]]]:
    text = resources.files("gateway.config.model_lifecycle").joinpath(FILE).read_text("utf-8")
    return {
        maker: {
            model: (date.fromisoformat(facts["ends"]), entry["sources"]["ends"])
            for model, facts in entry["models"].items()
            if "ends" in facts
        }
        for maker, entry in json.loads(text)["makers"].items()
    }
