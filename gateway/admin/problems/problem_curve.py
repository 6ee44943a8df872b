"""When a problem occurred, and which keys it affected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.admin.ui.charts import Chart, ChartColumn, Series, cells, span_query
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.totals.contributions import HOUR, hour_of
from gateway.models import ClientKey, Problem, ProblemHour

HOURS: Final = 24
_WEEK: Final = 7 * 24
# hours in one bar of a week
_EACH: Final = 3
_MOST_HIT: Final = 12


class Hits(NamedTuple):
    """Keys that a problem affected in the last week, and failures by hour in the last 24, oldest first."""

    people: int
    keys: int
    hours: Sequence[int]


class Hit(NamedTuple):
    """How often a problem affected a key."""

    key_pk: int
    name: str
    owner: str
    times: int


def hits(pks: Sequence[int], now: datetime) -> dict[int, Hits]:
    """The `Hits` of several problems, in one query."""
    last = hour_of(now)
    rows = ProblemHour.objects.order_by().filter(problem_id__in=pks, hour__gt=last - _WEEK)
    people: dict[int, set[int]] = defaultdict(set)
    keys: dict[int, set[int]] = defaultdict(set)
    hours: dict[int, list[int]] = defaultdict(lambda: [0] * HOURS)
    for pk, hour, key, owner, times in rows.values_list(
        "problem_id", "hour", "client_key_pk", "owner_id", "times"
    ):
        people[pk].add(owner)
        keys[pk].add(key)
        place = hour - last + HOURS - 1
        if 0 <= place < HOURS:
            hours[pk][place] += times
    return {pk: Hits(len(people[pk] - {0}), len(keys[pk] - {0}), hours[pk]) for pk in people | hours}


def small(values: Sequence[int]) -> SafeString:
    """A curve for a cell of the list, with the number in words."""
    top = max(values, default=0) or 1
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="3" height="{}"></rect>',
        [
            (4 * at, round(20 - 20 * value / top, 1), round(20 * value / top, 1))
            for at, value in enumerate(values)
            if value
        ],
    )
    words = ngettext(
        "%(number)d failure in the last 24 hours", "%(number)d failures in the last 24 hours", sum(values)
    )
    said = words % {"number": sum(values)}
    return format_html(
        '<svg class="gw-spark" viewBox="0 0 {} 20" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        4 * len(values),
        said,
        said,
        bars,
    )


def week(problem: Problem, now: datetime) -> Chart:
    """The last seven days, one bar for three hours."""
    last = hour_of(now)
    first = last - _WEEK + 1
    first -= first % _EACH
    rows = ProblemHour.objects.order_by().filter(problem=problem, hour__gte=first)
    sums: dict[int, int] = defaultdict(int)
    for hour, times in rows.values_list("hour").annotate(sum_of_times=Sum("times")):
        sums[(hour - first) // _EACH] += times
    places = range((last - first) // _EACH + 1)
    columns = [_column(problem, first + _EACH * place) for place in places]
    counts = cells([sums[place] for place in places], lambda number: f"{number:,}")
    top = f"{max(sums.values(), default=0):,}"
    series = [Series(_("failures"), counts, colour="bad")]
    return Chart(_("Failures in the last 7 days"), columns, series, top=top)


def whom(problem: Problem) -> list[Hit]:
    """The keys that it affected most, with the names of their owners."""
    rows = ProblemHour.objects.order_by().filter(problem=problem)
    sums = rows.values_list("client_key_pk", "owner_id").annotate(sum_of_times=Sum("times"))
    found = list(sums.order_by("-sum_of_times")[:_MOST_HIT])
    names = dict(ClientKey.objects.filter(pk__in=[row[0] for row in found]).values_list("pk", "name"))
    users = get_user_model().objects.filter(pk__in=[row[1] for row in found])
    owners = {user.pk: user.get_username() for user in users}
    return [
        Hit(
            key,
            inert(names.get(key, f"#{key}")) if key else _("without a key"),
            inert(owners.get(owner, "")),
            times,
        )
        for key, owner, times in found
    ]


def _column(problem: Problem, hour: int) -> ChartColumn:
    since = datetime.fromtimestamp(hour * HOUR, UTC)
    asked = {"problem": str(problem.pk), **span_query(since, since + timedelta(hours=_EACH))}
    return ChartColumn(date_format(localtime(since), "j N H:i"), requests_url(asked))
