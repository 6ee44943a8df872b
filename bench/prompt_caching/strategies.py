"""What the gateway does for prompt caches, each switchable off for the benchmark; nothing of it is a setting.

`STRATEGIES` says which families a strategy concerns. What a profile has an option for is switched by that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from gateway.conversion.cache_control import CacheMarkers
from gateway.conversion.requests import sampling

_OF_BREAKPOINTS: Final = ("openai-5.6-responses", "openai-5.6-chat")
_OF_KEYS: Final = (*_OF_BREAKPOINTS, "openai-automatic")


def _nothing() -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext()


def _no_ends() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(CacheMarkers, "end", lambda self, content: None)


def _strings() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(CacheMarkers, "in_lists", False)


def _one_key() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(sampling, "AGENT_HEADER", "x-not-sent")


@dataclass(frozen=True)
class Strategy:
    """`off` is how it is switched off: by `options` of the profile, or by a change of the code meanwhile."""

    text: str
    families: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    off: Callable[[], contextlib.AbstractContextManager[Any]] = _nothing

    @contextlib.contextmanager
    def switched_off(self) -> Iterator[dict[str, Any]]:
        """The options of the profile without it."""
        with self.off():
            yield dict(self.options)


STRATEGIES: Final[dict[str, Strategy]] = {
    "turn-ends": Strategy("a breakpoint at the end of every turn", _OF_BREAKPOINTS, off=_no_ends),
    "one-form": Strategy(
        "one form for each content", (*_OF_BREAKPOINTS, "claude-on-openrouter"), off=_strings
    ),
    "agent-keys": Strategy("a routing key for each agent", _OF_KEYS, off=_one_key),
    "keys": Strategy("routing keys at all", _OF_KEYS, {"session_key": None}),
    "short-lifetime": Strategy(
        "no dearer lifetime by accident", _OF_BREAKPOINTS, {"cache_lifetime": "client"}
    ),
    "markers": Strategy("the client's markers kept", ("claude-on-openrouter",), {"cache_control": "strip"}),
}
