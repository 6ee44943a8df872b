"""The size of the database, the age of the oldest contents, and a forecast from both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from gateway.history.retention import LONGEST
from gateway.models import LegalHold, RequestBody, RequestLog, Retention

# the first days of an installation say little about the next ones
LEAST_AGE: Final = timedelta(days=1)
MONTH: Final = 30
# expired contents are removed by a purge each hour, while the gateway runs
_PURGED_WITHIN: Final = timedelta(days=2)
# days of contents proposed to an admin who has not decided
PROPOSED_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """`size`: bytes of the database now. `oldest`: when the oldest request with contents began; None: there
    is none. `age`: days of the oldest request. `per_day`: bytes a day so far.
    """

    size: int
    oldest: datetime | None
    age: float
    per_day: float

    def in_a_month(self, body_days: int | None) -> int:
        """Bytes 30 days from now at the present rate, with contents kept for `body_days` (None: for ever).

        Contents older than `body_days` are removed by then, and the database reuses their space.
        """
        days = self.age + MONTH
        if body_days is not None:
            days = max(self.age, min(days, float(body_days)))
        return round(self.per_day * days)


def disk_need(now: datetime) -> DiskNeed:
    """The need as of `now`. Raises what the database raises."""
    size = size_of_database()
    first = RequestLog.objects.order_by("started_at").values_list("started_at", flat=True).first()
    age = max(now - first, LEAST_AGE) / timedelta(days=1) if first is not None else 0.0
    oldest = oldest_contents(now, Retention.current().body_days)
    return DiskNeed(size, oldest, age, size / age if age else 0.0)


def oldest_contents(now: datetime, body_days: int | None) -> datetime | None:
    """When the first request that still has contents began; None: none has.

    A search by time passes every row without contents. Rows are kept for longer than contents, so with
    `body_days` it begins where the purge ended, unless a legal hold keeps older ones.
    """
    if not RequestBody.objects.exists():
        return None
    rows = RequestLog.objects.filter(body__isnull=False).order_by("started_at")
    if body_days is not None and not LegalHold.objects.exists():
        rows = rows.filter(started_at__gte=now - timedelta(days=min(body_days, LONGEST)) - _PURGED_WITHIN)
    found: datetime | None = rows.values_list("started_at", flat=True).first()
    return found


def size_of_database() -> int:
    """The size of the database in bytes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return int(cursor.fetchone()[0])
