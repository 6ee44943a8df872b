"""Sizes of models as the providers' own lists tell them: kept when one is loaded, read for the snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db import transaction

from gateway.models import ListedModel, Provider

LONGEST_NAME: Final = 200
# what a column holds; a larger number is no size
_LARGEST: Final = 2_000_000_000

Sizes = tuple[str, int | None, int | None]


def keep_listed(provider: Provider, sizes: Iterable[Sizes]) -> int:
    """Keep (upstream model, context window, output cap) of a list that was just loaded; gives how many.

    They take the place of those kept before; the same list again changes nothing, not even the stamp.
    An empty list changes nothing either: a provider that fails has not forgotten its models.
    """
    told = {
        name: (_size(window), _size(cap))
        for name, window, cap in sizes
        # PostgreSQL takes no NUL characters
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
    """The kept sizes as profile options, by provider slug and upstream model."""
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
