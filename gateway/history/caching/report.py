"""What was missed in a range of time, summed up by reason, client, target and mapping, with advice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NamedTuple

from django.db.models import Count, Q, QuerySet, Sum

from gateway.history.caching.diagnosis import CREDENTIAL, IDLE, LOADED, NOT_KEPT, TARGET
from gateway.history.caching.differences import SYSTEM, TOOLS
from gateway.history.csv_text import csv_text
from gateway.history.totals.contributions import hour_of
from gateway.models import CacheMiss, HourlyTotal, SessionTotal

COLUMNS: Final = (
    "request_id", "started_at", "session", "agent", "client", "provider", "upstream_model", "mapping", "item",
    "place", "culprit", "reason", "source", "tokens", "money", "before",
)  # fmt: skip
# by what the misses are summed up, and the columns that decide
BY: Final[dict[str, tuple[str, ...]]] = {
    "reason": ("culprit", "item", "reason"),
    "client": ("log__client",),
    "target": ("log__provider", "log__upstream_model"),
    "mapping": ("log__mapping",),
}
# lines of one table; clients choose what they call themselves
MOST_LINES: Final = 200
# what is worth an advice: misses, and their share of the input of the sessions that had them
_LEAST_MISSES: Final = 3
_LEAST_SHARE: Final = 0.01
MOST_ADVICE: Final = 6


class MissSums(NamedTuple):
    """`key`: the values of the columns of BY. `money` of those that have a price, the rest is `unpriced`."""

    key: tuple[str, ...]
    requests: int
    tokens: int
    money: Decimal
    unpriced: int


class Advice(NamedTuple):
    """`kind`: which one, in words of the page; `about`: culprit, item and reason of its misses; `source`:
    whose tools, where it is about those of one MCP server.

    `share` of the input of `sessions` that was billed in full again, 0 to 1.
    """

    kind: str
    about: tuple[str, str, str]
    source: str
    sums: MissSums
    sessions: int
    share: float


@dataclass(frozen=True, slots=True)
class CachingReport:
    """`input_tokens` of all requests that began in the hours of the range, and how many were read."""

    since: datetime
    until: datetime
    input_tokens: int
    read_tokens: int
    whole: MissSums
    by: dict[str, list[MissSums]] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)

    @property
    def read_share(self) -> float | None:
        """The share of the input that was read from a cache, 0 to 1."""
        return self.read_tokens / self.input_tokens if self.input_tokens else None


# culprit, item and reason of the misses that an advice is about; "" stands for any
_KINDS: Final[dict[str, tuple[str, str, str]]] = {
    "mcp_server": ("client", TOOLS, ""),
    "tools": ("client", TOOLS, ""),
    "system": ("client", SYSTEM, ""),
    "loaded": ("gateway", "", LOADED),
    "target": ("gateway", "", TARGET),
    "credential": ("provider", "", CREDENTIAL),
    "idle": ("provider", "", IDLE),
    "not_kept": ("unknown", "", NOT_KEPT),
}
_OF_SERVER: Final = Q(source__startswith="mcp__") & ~Q(source__contains=", ")


def report(since: datetime, until: datetime) -> CachingReport:
    """The misses of requests that began from `since` until before `until`."""
    rows = _rows(since, until)
    # `until` itself is no longer in the range
    last = hour_of(until - timedelta(microseconds=1))
    hours = HourlyTotal.objects.filter(hour__gte=hour_of(since), hour__lte=last)
    told = hours.aggregate(full=Sum("input_tokens"), read=Sum("cache_read_tokens"),
                           written=Sum("cache_write_tokens"))  # fmt: skip
    read = told["read"] or 0
    return CachingReport(
        since,
        until,
        (told["full"] or 0) + read + (told["written"] or 0),
        read,
        _summed(rows, ())[0],
        {by: _summed(rows, columns) for by, columns in BY.items()},
        _advice(rows),
    )


def as_values(since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Each miss as plain values by COLUMNS, oldest first."""
    rows = _rows(since, until).order_by("started_at", "pk").values_list(
        "log_id", "started_at", "session_id", "log__agent_id", "log__client", "log__provider",
        "log__upstream_model", "log__mapping", "item", "place", "culprit", "reason", "source", "tokens",
        "money", "before_id",
    )  # fmt: skip
    for values in rows.iterator(chunk_size=1000):
        line: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
        line["started_at"] = line["started_at"].isoformat()
        line["money"] = None if line["money"] is None else str(line["money"])
        yield line


def as_csv(since: datetime, until: datetime) -> str:
    """The same as CSV with a head."""
    lines = ([line[name] for name in COLUMNS] for line in as_values(since, until))
    return csv_text(chain([COLUMNS], lines))


def _rows(since: datetime, until: datetime) -> QuerySet[CacheMiss]:
    return CacheMiss.objects.filter(started_at__gte=since, started_at__lt=until)


def _summed(rows: QuerySet[CacheMiss], columns: tuple[str, ...]) -> list[MissSums]:
    """The dearest first; without columns one line of all."""
    sums = {
        "requests": Count("pk"), "lost": Sum("tokens"), "dollars": Sum("money"),
        "unpriced": Count("pk", filter=Q(money=None)),
    }  # fmt: skip
    found = list(rows.order_by().values(*columns).annotate(**sums)) if columns else [rows.aggregate(**sums)]
    lines = [
        MissSums(
            tuple(one[name] for name in columns), one["requests"], one["lost"] or 0,
            Decimal(one["dollars"] or 0), one["unpriced"],
        )
        for one in found
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (-line.money, -line.tokens, line.key))[:MOST_LINES]


def _advice(rows: QuerySet[CacheMiss]) -> list[Advice]:
    """What can be done about misses, the dearest first."""
    found = []
    for kind, about in _KINDS.items():
        some = rows.filter(about_condition(*about))
        if kind in ("mcp_server", "tools"):
            some = some.filter(_OF_SERVER) if kind == "mcp_server" else some.exclude(_OF_SERVER)
        for sums in _summed(some, ("source",) if kind == "mcp_server" else ()):
            if sums.requests < _LEAST_MISSES:
                continue
            source = sums.key[0] if sums.key else ""
            sessions = (some.filter(source=source) if source else some).order_by().values("session_id")
            share = sums.tokens / max(_input_of(sessions.distinct()), sums.tokens)
            if share >= _LEAST_SHARE:
                found.append(Advice(kind, about, source, sums, sessions.distinct().count(), share))
    return sorted(found, key=lambda one: (-one.sums.money, -one.sums.tokens))[:MOST_ADVICE]


def about_value(culprit: str, item: str = "", reason: str = "", source: str = "") -> str:
    """Which misses are meant, as a parameter of an address; `about_of` reads it.

    A reason is a note of the ledger and a source is a name of a client's: both may have colons.
    """
    parts = [part.replace("%", "%25").replace(":", "%3A") for part in (culprit, item, reason, source)]
    return ":".join(parts).rstrip(":")


def about_of(value: str) -> Q:
    """What `about_value` wrote, as a condition; any text has a meaning."""
    parts = [part.replace("%3A", ":").replace("%25", "%") for part in value.split(":", 3)]
    return about_condition(*parts)


def about_condition(culprit: str, item: str = "", reason: str = "", source: str = "") -> Q:
    """Which misses are meant; "" stands for any value."""
    named = {"culprit": culprit, "item": item, "reason": reason, "source": source}
    return Q(**{name: value for name, value in named.items() if value})


def _input_of(sessions: QuerySet[Any]) -> int:
    told = SessionTotal.objects.filter(session_id__in=sessions).aggregate(
        full=Sum("input_tokens"), read=Sum("cache_read_tokens"), written=Sum("cache_write_tokens")
    )
    return sum(value or 0 for value in told.values())
