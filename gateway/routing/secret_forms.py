"""How secrets of the configuration may be written in a text that must not show them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.wire.written_forms import written_forms

# characters; a shorter value is an ordinary word that messages may contain
SHORTEST_SECRET: Final = 8


def kept_secret(values: Iterable[str]) -> tuple[str, ...]:
    """The values that are long enough to be unmistakable: each once, longest first, then by the alphabet.

    So one that contains another is replaced as a whole, and every process has them in the same order.
    """
    return _longest_first({value for value in values if len(value) >= SHORTEST_SECRET})


def forms_of_secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What to look for in a text that must not show these values: `kept_secret` with their written forms."""
    return _forms(frozenset(values))


# asked for with each line of the log and each error of a provider
@lru_cache(maxsize=256)
def _forms(values: frozenset[str]) -> tuple[str, ...]:
    return _longest_first({form for value in kept_secret(values) for form in written_forms(value)})


def _longest_first(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda value: (-len(value), value)))
