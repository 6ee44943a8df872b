"""Failures by reason over time: by hours from the problems, by minutes from the requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Sum

from gateway.history.totals.contributions import HOUR, hour_of
from gateway.history.totals.dashboard import FAILED
from gateway.models import ProblemHour, RequestLog

_MOST_ROWS: Final = 20_000

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
