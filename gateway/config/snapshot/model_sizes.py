"""Sizes of models as told by the providers' own lists: stored when a list is loaded, read for the
snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db import transaction

from gateway.models import ListedModel, Provider

LONGEST_NAME: Final = 200
# the range of the column; a larger number is not a size
_LARGEST: Final = 2_000_000_000

Sizes = tuple[str, int | None, int | None]


def keep_listed(provider: Provider, sizes: Iterable[Sizes]) -> int:
    """Store (upstream model, context window, output cap) of a list that was just loaded; returns how many.

    They replace those stored before; an unchanged list changes nothing, not even the stamp.
    An empty list changes nothing either: a provider that fails has not dropped its models.
    """
    told = {
        name: (_size(window), _size(cap))
        for name, window, cap in sizes
        # PostgreSQL accepts no NUL characters
        if 0 < len(name) <= LONGEST_NAME and "\x00" not in name and (_size(window) or _size(cap))
    }
    if not told:
        return 0
    with transaction.atomic():
        kept = ListedModel.objects.filter(provider=provider)
        before = {one.upstream_model: (one.context_window, one.max_output_tokens) for one in kept}
        if before != told:
            gone = [name for name, values in before.items() if told.get(name) != values]
            kept.filter(upstream_model__in=gone).delete()
            ListedModel.objects.bulk_create(
                ListedModel(
                    provider=provider, upstream_model=name, context_window=window, max_output_tokens=cap
                )
                for name, (window, cap) in told.items()
                if before.get(name) != (window, cap)
            )
    return len(told)


def listed_sizes() -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """The stored sizes as profile options, by provider slug and upstream model."""
    rows = ListedModel.objects.values_list(
        "provider__slug", "upstream_model", "context_window", "max_output_tokens"
    )
    return {
        (slug, model): {
            name: value
            for name, value in (("context_window", window), ("max_output_tokens", cap))
            if value is not None
        }
        for slug, model, window, cap in rows
    }


def _size(value: int | None) -> int | None:
    return value if value is not None and 0 < value <= _LARGEST else None
