"""Taught: an option that a provider's answers have taught a process, on its way to the records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Taught:
    """An option of an upstream model that should be `new` instead of `old` (JSON values), for an admin.

    `words`: the provider's reason in its own words. `mapping_pk`: the mapping whose request taught it.
    """

    provider: str
    upstream_model: str
    option: str
    old: Any
    new: Any
    words: str
    mapping_pk: int | None = None
