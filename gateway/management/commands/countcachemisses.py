"""countcachemisses: finds cache misses in requests that an earlier release stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from gateway.config.snapshot.loader import load
from gateway.history.record.follow_up import count_cache_misses
from gateway.models import RequestLog

BATCH: Final = 200
SAY_EVERY: Final = 20_000


class Command(BaseCommand):
    help = _(
        "Find out which requests in the history missed the provider's prompt cache, and why, for the page "
        "Caching. Requests that end are looked at without it; this looks at those from before an update, and "
        "values all misses at today's prices. It can be stopped and started again."
    )

    def handle(self, *_args: Any, **_given: Any) -> None:
        prices = load().prices
        number = missed = 0
        for names in _batches(RequestLog.objects.filter(endpoint="messages", state="ok")):
            missed += count_cache_misses(names, lambda: prices)
            number += len(names)
            if number % SAY_EVERY == 0:
                self.stdout.write(_("%(number)d requests") % {"number": number})
        facts = {"number": number, "missed": missed}
        self.stdout.write(_("%(number)d requests were looked at, %(missed)d missed the cache.") % facts)


def _batches(rows: QuerySet[RequestLog]) -> Iterator[list[str]]:
    """Request ids in the order of their primary key."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", "request_id")[:BATCH]):
        yield [request_id for _, request_id in page]
        last = page[-1][0]
