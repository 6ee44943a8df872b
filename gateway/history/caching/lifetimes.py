"""For how long providers keep what they cached, from its last use on, as far as they say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from gateway import patterns

# of a target that promises none: the shortest one that a provider promises
SHORTEST: Final = timedelta(minutes=5)
_HOURLY: Final = timedelta(hours=1)
# names of models without the service in front of them. OpenAI from 5.6 on: 30 minutes (types of its SDK).
# DeepSeek: "a few hours to a few days" (api-docs.deepseek.com/guides/kv_cache), of which the least counts.
_BY_MODEL: Final = (
    (patterns.compiled(r"gpt-(5\.6|[6-9]).*"), timedelta(minutes=30)),
    (patterns.compiled(r"deepseek.*"), timedelta(hours=2)),
)


def lifetime_of(upstream_model: str, written_for_an_hour: int | None) -> timedelta:
    """The lifetime of what a request to this model cached; Anthropic's marks may ask for an hour."""
    if written_for_an_hour:
        return _HOURLY
    name = upstream_model.rpartition("/")[2].casefold()
    return next((lifetime for names, lifetime in _BY_MODEL if names.fullmatch(name)), SHORTEST)
