"""Failures by reason over time: by hours from the problems, by minutes from the requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Sum

from gateway.history.totals.contributions import FAILED, HOUR, hour_of
from gateway.models import Problem, ProblemHour, RequestLog

_MOST_ROWS: Final = 20_000


def count_off(request_ids: Sequence[str]) -> None:
    """Take requests out of the problems that counted them; whoever counts problems looks at them anew.

    For those whose end was replaced by another: one that was taken for interrupted may have gone well. Inside
    the transaction that writes the new end, before it does.
    """
    rows = RequestLog.objects.order_by("pk").filter(request_id__in=request_ids).exclude(problem_id=None)
    counted = list(rows.select_for_update())
    for row in sorted(counted, key=lambda row: row.problem_id or 0):
        Problem.objects.filter(pk=row.problem_id or 0, times__gt=0).update(times=F("times") - 1)
        slot = ProblemHour.objects.filter(
            problem=row.problem_id, hour=hour_of(row.started_at),
            client_key_pk=row.client_key_id or 0, owner_id=row.owner_id or 0,
        )  # fmt: skip
        slot.filter(times__gt=0).update(times=F("times") - 1)
    RequestLog.objects.filter(pk__in=[row.pk for row in counted]).update(problem_id=None)


# counts by place on the axis
Places = Mapping[int, int]


def by_reason(since: datetime, each: timedelta, places: int) -> Sequence[tuple[str, Places]]:
    """(error type, failures by place) of `places` spans of `each` from `since`; the most frequent first.

    Spans of whole hours are counted from the problems, which know of a failure some seconds after it.
    """
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    if each < timedelta(hours=1):
        rows = RequestLog.objects.filter(
            started_at__gte=since, started_at__lt=since + places * each, state__in=FAILED, endpoint="messages"
        )
        for moment, reason in rows.order_by("-started_at").values_list("started_at", "error_type")[
            :_MOST_ROWS
        ]:
            found[reason][(moment - since) // each] += 1
    else:
        first, hours = hour_of(since), int(each.total_seconds()) // HOUR
        counted = ProblemHour.objects.order_by().filter(hour__gte=first, hour__lt=first + places * hours)
        place = (F("hour") - first) / hours
        sums = counted.annotate(place=place).values_list("problem__error_type", "place")
        for reason, at, times in sums.annotate(sum_of_times=Sum("times")):
            found[reason][int(at)] += times
    return sorted(found.items(), key=lambda one: (-sum(one[1].values()), one[0]))
