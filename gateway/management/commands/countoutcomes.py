"""countoutcomes: counts the outcomes of requests that an earlier release stored."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from gateway.history.outcome import OPEN
from gateway.history.record.follow_up import count_outcomes, ended_exchanges
from gateway.models import CountedTurn, RequestLog

BATCH: Final = 200
SAY_EVERY: Final = 20_000


class Command(BaseCommand):
    help = _(
        "Count what became of the requests in the history, for the page Models. Requests that end are "
        "counted without it; this counts those from before an update. It can be stopped and started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again", action="store_true", help=_("Also look again at requests that were counted.")
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        rows = RequestLog.objects.filter(endpoint="messages").exclude(state=OPEN)
        if not given["again"]:
            rows = rows.filter(~Exists(CountedTurn.objects.filter(pk=OuterRef("request_id"))))
        number = 0
        for names in _batches(rows):
            count_outcomes(ended_exchanges(names))
            number += len(names)
            if number % SAY_EVERY == 0:
                self.stdout.write(_("%(number)d requests") % {"number": number})
        self.stdout.write(_("%(number)d requests were counted.") % {"number": number})


def _batches(rows: QuerySet[RequestLog]) -> Any:
    """Request ids in chronological order, since results are attributed to earlier requests."""
    behind = rows
    while page := list(
        behind.order_by("started_at", "pk").values_list("started_at", "pk", "request_id")[:BATCH]
    ):
        yield [request_id for _, _, request_id in page]
        at, pk, _name = page[-1]
        behind = rows.filter(Q(started_at__gt=at) | Q(started_at=at, pk__gt=pk))
