"""What is kept for how long: contents, rows and totals are removed separately, in small batches.

Contents go first, with their entries in the search index; then the pieces that no row needs
(history/content/sweep.py); then rows, which stay counted in the totals; then totals. What a legal hold
covers stays, content and row. What was asked again (a replay, a shadow, a step of an evaluation) is the same
conversation: its contents go with those of the first request, and stay with them under a hold. One process
purges at a time, and renews its lease as it goes. Should one stall for longer than the lease, a second purge
beside it does no harm: each batch removes what it still finds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from django.db import connection, connections, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from gateway.conf import gateway_conf
from gateway.history.content import sweep as sweeping
from gateway.history.holds import held, is_held, not_held, repeats_of
from gateway.history.outcomes import counting as outcomes
from gateway.history.record.spool import forget_refused
from gateway.history.search import analyze, index
from gateway.history.totals import hourly
from gateway.history.totals.contributions import DAY, hour_of
from gateway.history.totals.sessions import forget_empty
from gateway.models import (
    CountedName,
    DailyOrigin,
    DailyOutcome,
    DailyTool,
    DailyTotal,
    DatasetStep,
    EvaluationStep,
    FollowUp,
    HourlyLedger,
    HourlyOrigin,
    HourlyOutcome,
    HourlyTool,
    HourlyTotal,
    Lease,
    Problem,
    ProblemHour,
    PurgeRun,
    RefusedKey,
    RequestBody,
    RequestLog,
    Retention,
    SafeguardVerdict,
)
from gateway.models.database_errors import concerns_server

logger = logging.getLogger("gateway.history")

TASK: Final = "purge"
BATCH: Final = 200
# seconds between two batches, for the writer of the history
BREATH: Final = 0.02
LEASE: Final = timedelta(minutes=10)
EVERY: Final = timedelta(hours=1)
LOOK_EVERY: Final = 300.0
# the longest period of a budget: its use by a key is in the totals only
KEPT_FOR_BUDGETS: Final = timedelta(days=31)
_HAS_BODY: Final = Exists(RequestBody.objects.filter(pk=OuterRef("request_id")))
# what was recorded is in the database by then, whatever it had to wait for
_SPOOLED: Final = timedelta(days=1)
# days; more count as this many
LONGEST: Final = 36_500
# the page about the next purge counts no further
MOST_COUNTED: Final = 10_000


class Stopping(Protocol):
    """Says when to stop after the current batch: a threading.Event, or a deadline."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What began before these moments is removed; None: nothing is."""

    bodies: datetime | None
    rows: datetime | None
    totals: datetime | None

    @classmethod
    def of(cls, retention: Retention, now: datetime) -> Cutoffs:
        """From the number of days in the record."""
        body, row, total = (
            None if days is None else now - timedelta(days=min(days, LONGEST))
            for days in (retention.body_days, retention.row_days, retention.total_days)
        )
        if total is not None:
            total = min(total, now - KEPT_FOR_BUDGETS)
        return cls(body, row, total)


@dataclass(frozen=True, slots=True)
class Preview:
    """How much the next purge removes; MOST_COUNTED + 1 means more. `held`: contents kept by a hold."""

    bodies: int
    rows: int
    totals: int
    held: int


def preview(now: datetime) -> Preview:
    """What a purge at `now` would remove, counted up to MOST_COUNTED."""
    cutoffs = Cutoffs.of(Retention.current(), now)
    old = _with_body(cutoffs.bodies)
    return Preview(
        bodies=_few(not_held(old)),
        rows=_few(not_held(_before(cutoffs.rows))),
        totals=_few(HourlyTotal.objects.filter(hour__lt=hour_of(cutoffs.totals))) if cutoffs.totals else 0,
        held=_few(old.filter(held())),
    )


def purge(
    now: datetime, *, breath: float = BREATH, stopping: threading.Event | None = None
) -> PurgeRun | None:
    """Remove what may go; None when another process is doing that. Raises what the database raises.

    Once `stopping` is set, the current batch is the last.
    """
    stopping = stopping or threading.Event()
    holder = secrets.token_hex(8)
    if not Lease.take(TASK, holder, now, LEASE):
        return None
    keep = now_and_then(lambda: Lease.take(TASK, holder, timezone.now(), LEASE))
    cutoffs = Cutoffs.of(Retention.current(), now)
    # known before the first row goes: of these hours nobody can count the rows any more
    run = PurgeRun.objects.create(started_at=now, rows_before=cutoffs.rows)
    try:
        for names in batches(not_held(_with_body(cutoffs.bodies)), breath, stopping, keep):
            together = [*names, *repeats_of(names)]
            index.remove(together)
            run.bodies += drop_bodies(together)
        for names in batches(not_held(_before(cutoffs.rows)), breath, stopping, keep):
            replays = repeats_of(names)
            index.remove([*names, *replays])
            run.bodies += drop_bodies(replays)
            run.rows += drop_rows(names)
        if cutoffs.bodies or cutoffs.rows:
            for names in batches(not_held(left_behind(now)), breath, stopping, keep):
                index.remove(names)
                run.bodies += drop_bodies(names)
        # not only when this run removed something: what an earlier one removed may be old enough by now
        limits = [limit for limit in (cutoffs.bodies, cutoffs.rows) if limit is not None]
        if limits and not stopping.is_set() and sweeping.is_due(max(limits), now):
            swept = sweeping.sweep(max(limits), now, keep=keep)
            run.pieces = swept.nodes + swept.blobs
        if not stopping.is_set():
            run.totals = _drop_totals(cutoffs.totals, keep)
            if cutoffs.rows is not None:
                RefusedKey.objects.filter(day__lt=cutoffs.rows.date()).delete()
                # the newest error as it was, of a row that is gone
                old = Problem.objects.filter(last_at__lt=cutoffs.rows)
                old.exclude(sample=F("message")).update(sample=F("message"))
                outcomes.forget_units(hour_of(cutoffs.rows))
    except Exception as problem:
        run.problem = str(problem)[:500]
        raise
    finally:
        run.ended_at = timezone.now()
        run.save()
        Lease.objects.filter(name=TASK, holder=holder).update(until=None)
    return run


def now_and_then(keep: Callable[[], object]) -> Callable[[], None]:
    """`keep`, which renews a lease, but at most each quarter of LEASE."""
    last = time.monotonic()

    def kept() -> None:
        nonlocal last
        if time.monotonic() - last > LEASE.total_seconds() / 4:
            keep()
            last = time.monotonic()

    return kept


def _before(moment: datetime | None) -> QuerySet[RequestLog]:
    rows = RequestLog.objects.order_by("started_at", "pk")
    return rows.none() if moment is None else rows.filter(started_at__lt=moment).exclude(state="open")


def _with_body(moment: datetime | None) -> QuerySet[RequestLog]:
    return _before(moment).filter(_HAS_BODY)


def left_behind(now: datetime) -> QuerySet[RequestLog]:
    """Repeats with contents whose first request is gone: they ended later than that was removed.

    Those of steps that came from a file never had one here, and one of today may still wait in a spool.
    """
    from_a_file = EvaluationStep.objects.filter(
        answer_id=OuterRef("request_id"), recorded__dataset__taken_in=True
    )
    rows = _with_body(now - _SPOOLED).exclude(replay_of="")
    return rows.filter(
        ~Exists(RequestLog.objects.filter(request_id=OuterRef("replay_of"))), ~Exists(from_a_file)
    )


def _few(rows: QuerySet[Any]) -> int:
    return len(rows.values_list("pk", flat=True)[: MOST_COUNTED + 1])


def batches(
    rows: QuerySet[RequestLog], breath: float, stopping: Stopping, keep: Callable[[], object]
) -> Iterator[list[str]]:
    """The request ids of `rows`, oldest first; each batch continues behind the one before.

    `keep` is called after each batch.
    """
    behind = rows
    while not stopping.is_set():
        page = list(behind.values_list("started_at", "pk", "request_id")[:BATCH])
        if not page:
            return
        yield [row[2] for row in page]
        at, pk = page[-1][:2]
        behind = rows.filter(Q(started_at__gt=at) | Q(started_at=at, pk__gt=pk))
        keep()
        stopping.wait(breath)


def drop_bodies(names: Sequence[str]) -> int:
    with transaction.atomic():
        hourly.hold(names)
        DatasetStep.objects.filter(request_id__in=names).exclude(content=None).update(content=None)
        FollowUp.objects.filter(pk__in=names).delete()
        SafeguardVerdict.objects.filter(log__request_id__in=names).exclude(reason="").update(reason="")
        return RequestBody.objects.filter(log__request_id__in=names).delete()[0]


def drop_rows(names: Sequence[str]) -> int:
    with transaction.atomic():
        # what follows up on one of them is done before, or finds it gone
        hourly.hold(names)
        sessions = set(
            RequestLog.objects.filter(request_id__in=names)
            .exclude(session_id="")
            .values_list("session_id", flat=True)
        )
        FollowUp.objects.filter(pk__in=names).delete()
        outcomes.forget(names)
        removed = RequestLog.objects.filter(request_id__in=names).delete()[1]
        forget_empty(sessions)
    return removed.get("gateway.RequestLog", 0)


def forget_refused_texts(now: datetime, folder: Path) -> int:
    """Remove outcomes that no database took from their files, once their texts or rows would go; how many.

    Each machine has files of its own, so each process does it, whoever purges. Raises OSError.
    """
    cutoffs = Cutoffs.of(Retention.current(), now)
    limits = [limit for limit in (cutoffs.bodies, cutoffs.rows) if limit is not None]
    if not limits:
        return 0
    before = max(limits)
    return forget_refused(folder, lambda outcome: outcome.started_at < before and not is_held(outcome))


def _drop_totals(before: datetime | None, keep: Callable[[], object]) -> int:
    """The hours and whole days before the moment."""
    if before is None:
        return 0
    hour = hour_of(before)
    removed = 0
    midnight = hour - hour % DAY
    tables = (
        (HourlyTotal, hour), (HourlyLedger, hour), (DailyTotal, midnight), (HourlyOrigin, hour),
        (DailyOrigin, midnight), (HourlyOutcome, hour),
        (HourlyTool, hour), (DailyOutcome, midnight), (DailyTool, midnight), (ProblemHour, hour),
    )  # fmt: skip
    for model, limit in tables:
        while True:
            some = list(
                model.objects.order_by().filter(hour__lt=limit).values_list("pk", flat=True)[: 10 * BATCH]
            )
            if not some:
                break
            model.objects.filter(pk__in=some).delete()
            removed += len(some) if model is HourlyTotal else 0
            keep()
    used = Exists(
        DailyTotal.objects.filter(Q(upstream_model=OuterRef("name")) | Q(asked_model=OuterRef("name")))
    )
    CountedName.objects.filter(~used, since__lt=hour).delete()
    return removed


class RetentionWorker:
    """A thread that purges each hour, unless another process did, and lets SQLite analyse its tables.

    `start` and `stop` once each. `also` is called at each look, with the time and what is set at the end.
    """

    def __init__(
        self, also: Callable[[datetime, threading.Event], object] = lambda _now, _stop: None
    ) -> None:
        self._also = also
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the current batch; the rest goes in the next hour."""
        self._stopping.set()

    def _work_on(self) -> None:
        hourly_at: float | None = None
        while not self._stopping.wait(LOOK_EVERY):
            try:
                purge_when_due(timezone.now(), self._stopping)
                self._also(timezone.now(), self._stopping)
                now = time.monotonic()
                if hourly_at is None or now - hourly_at >= EVERY.total_seconds():
                    hourly_at = now
                    if connection.vendor == "sqlite":
                        analyze.inform()
                    forget_refused_texts(timezone.now(), gateway_conf().spool_folder)
            except Exception as problem:
                if concerns_server(problem):
                    logger.warning("the purge waits for the database", extra={"problem": str(problem)})
                else:
                    logger.exception("unexpected error in the purge")
            connections.close_all()


def purge_when_due(now: datetime, stopping: threading.Event | None = None) -> PurgeRun | None:
    """Purge if anything may go at all and nobody did within the hour."""
    retention = Retention.current()
    if not (retention.body_days or retention.row_days or retention.total_days):
        return None
    if PurgeRun.objects.filter(started_at__gt=now - EVERY).exists():
        return None
    return purge(now, stopping=stopping)
