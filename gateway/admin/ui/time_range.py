"""The time range in a page's address, spelt the same for all pages, so that links can carry it along.

`?range=` is one of NAMED, or `FROM..UNTIL`: dates or moments (2026-11-30, 2026-11-30T09:00, with an offset or
`Z`), each of which may be missing. An end date includes the whole day. Without an offset, the reader's time
zone applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar

from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

Day = TypeVar("Day", date, datetime)

PARAMETER: Final = "range"
_ROLLING: Final = {
    "15m": (timedelta(minutes=15), _("last 15 minutes")),
    "1h": (timedelta(hours=1), _("last hour")),
    "24h": (timedelta(hours=24), _("last 24 hours")),
    "7d": (timedelta(days=7), _("last 7 days")),
    "30d": (timedelta(days=30), _("last 30 days")),
}
_CALENDAR: Final = {
    "today": _("today"),
    "yesterday": _("yesterday"),
    "month": _("this month"),
    "last-month": _("last month"),
}
NAMED: Final = {**{name: title for name, (_length, title) in _ROLLING.items()}, **_CALENDAR}
_LONGEST: Final = 80
# hours are counted from 1970 on; near year 9999 a time zone or span would overflow a date
_YEARS: Final = range(1970, 9000)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `since` (inclusive) to `until` (exclusive); None for no bound. `token` names it."""

    token: str
    title: Any
    since: datetime | None
    until: datetime | None

    def query(self) -> str:
        """`range=...`, for an address."""
        return urlencode({PARAMETER: self.token})

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Both ends; without a start its last 30 days. A range in the future is empty."""
        until = min(self.until or now, now)
        return min(self.since or until - timedelta(days=30), until), until


def time_range(token: str, now: datetime | None = None) -> TimeRange | None:
    """The range that `token` names, in the reader's time zone; None for anything else."""
    now = timezone.localtime(now)
    if token in _ROLLING:
        length, title = _ROLLING[token]
        return TimeRange(token, title, timezone.localtime(now.astimezone(UTC) - length), None)
    if token in _CALENDAR:
        first, behind = _calendar(token, now)
        return TimeRange(token, _CALENDAR[token], first, None if behind > now else behind)
    start, dots, end = token[:_LONGEST].partition("..")
    if not dots:
        return None
    try:
        since, until = _moment(start, first=True), _moment(end, first=False)
    except ValueError:
        return None
    if (since is None and until is None) or (since and until and since >= until):
        return None
    return TimeRange(token, _title(start, end), since, until)


def chosen(request: HttpRequest, default: str = "") -> TimeRange | None:
    """The range in the request's address, else the default one, else None."""
    asked = time_range(request.GET.get(PARAMETER, ""))
    return asked or (time_range(default) if default else None)


def carried(request: HttpRequest) -> str:
    """`?range=...` for links to other pages if the address has a range, else ""."""
    found = chosen(request)
    return f"?{found.query()}" if found else ""


def choices(request: HttpRequest, names: Iterable[str], default: str) -> list[dict[str, Any]]:
    """Links to the named ranges, the present one marked; other parameters of the address stay."""
    here = chosen(request, default)
    rest = request.GET.copy()
    links = []
    for name in names:
        rest[PARAMETER] = name
        current = here is not None and here.token == name
        links.append({"title": NAMED[name], "query": rest.urlencode(), "current": current})
    return links


def _calendar(token: str, now: datetime) -> tuple[datetime, datetime]:
    """The start of a day or month and of the next, in the time zone of `now`."""
    today = now.date()
    days: dict[str, Callable[[], tuple[Any, Any]]] = {
        "today": lambda: (today, today + timedelta(days=1)),
        "yesterday": lambda: (today - timedelta(days=1), today),
        "month": lambda: (today.replace(day=1), _next_month(today)),
        "last-month": lambda: (_month_before(today), today.replace(day=1)),
    }
    first, behind = days[token]()
    return _midnight(first), _midnight(behind)


def _next_month(day: Any) -> Any:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _month_before(day: Any) -> Any:
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _moment(text: str, *, first: bool) -> datetime | None:
    """One end of a range. Raises ValueError."""
    if not text:
        return None
    day = parse_date(text)
    if day is not None:
        day = _counted(day)
        return _midnight(day if first else day + timedelta(days=1))
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    found = _counted(found)
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def _counted(named: Day) -> Day:
    """The day or moment, moved to the nearest year in which anything can be counted."""
    if named.year < _YEARS.start:
        return named.replace(year=_YEARS.start, month=1, day=1)
    return named.replace(year=_YEARS[-1], month=12, day=31) if named.year > _YEARS[-1] else named


def _title(start: str, end: str) -> str:
    return f"{_shown(start)} – {_shown(end)}".strip()


def _shown(text: str) -> str:
    if not text:
        return "…"
    if parse_date(text) is not None:
        return text
    found = _moment(text, first=True)
    return date_format(timezone.localtime(found), "Y-m-d H:i") if found else text
