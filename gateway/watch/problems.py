"""Failures as problems: counted beside the requests, from their rows, each row once.

A row that was counted names its problem. Whichever process looks first counts it, so a crash between two
looks loses nothing, and counting again counts nothing twice. Kinds of failures that clients make up are
counted together once there are many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from gateway.history.statements import Statement
from gateway.history.totals.contributions import hour_of
from gateway.models import Problem, ProblemHour, RequestLog
from gateway.models.history.request_log import UNCOUNTED
from gateway.models.operation.problem import ProblemState
from gateway.watch.fingerprints import fingerprint, normalised

# how far back failures are looked for that nobody counted
BACK: Final = timedelta(days=30)
BATCH: Final = 500
# from here on new kinds are counted with the other ones of their provider and error type
MOST_PROBLEMS: Final = 2_000
OTHER: Final = "…"

_TABLE: Final = ProblemHour._meta.db_table
_ADD: Final = Statement(
    f"INSERT INTO {_TABLE} (problem_id, hour, client_key_pk, owner_id, times) "  # noqa: S608 (our table)
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (problem_id, hour, client_key_pk, owner_id) "
    f"DO UPDATE SET times = {_TABLE}.times + excluded.times"
)


class FailureKind(NamedTuple):
    """What failures of one problem have in common."""

    provider: str
    model: str
    error_type: str
    message: str


def kind_of(row: Any) -> FailureKind:
    """The kind of a failed request. One that was refused before a provider was chosen has no model."""
    message = normalised(row.error_message, row.asked_model, row.upstream_model)
    error_type = row.error_type or row.state
    return FailureKind(row.provider, row.upstream_model if row.provider else "", error_type, message)


def count_new(now: datetime | None = None, most: int = BATCH) -> int:
    """Count up to `most` failures that nobody counted yet; how many there were. One transaction."""
    now = now or timezone.now()
    unseen = RequestLog.objects.order_by("started_at").filter(UNCOUNTED, started_at__gte=now - BACK)
    rows = list(
        unseen.only(
            "started_at", "provider", "upstream_model", "asked_model", "error_type", "error_message", "state",
            "client_key_id", "owner_id", "duration_ms",
        )[:most]
    )  # fmt: skip
    if rows:
        with transaction.atomic():
            _count(rows, now)
    return len(rows)


def _count(rows: Sequence[Any], now: datetime) -> None:
    by_kind: dict[FailureKind, list[Any]] = defaultdict(list)
    for row in rows:
        by_kind[kind_of(row)].append(row)
    known = _known(by_kind)
    room = MOST_PROBLEMS - Problem.objects.count()
    for kind, found in by_kind.items():
        problem = known.get(fingerprint(*kind))
        if problem is None and room <= 0:
            kind = FailureKind(kind.provider, "", kind.error_type, OTHER)
            problem = _known([kind]).get(fingerprint(*kind))
        if problem is None:
            problem = _new(kind, found)
            room -= 1
        mine = _take(problem, found)
        if mine:
            _add(problem, mine, now)


def _known(kinds: Iterable[FailureKind]) -> dict[str, Problem]:
    prints = [fingerprint(*kind) for kind in kinds]
    return {one.fingerprint: one for one in Problem.objects.filter(fingerprint__in=prints)}


def _new(kind: FailureKind, found: Sequence[Any]) -> Problem:
    facts = {"first_at": found[0].started_at, "last_at": found[-1].started_at}
    problem, _made = Problem.objects.get_or_create(
        fingerprint=fingerprint(*kind), defaults={**kind._asdict(), **facts}
    )
    return problem


def _take(problem: Problem, found: Sequence[Any]) -> list[Any]:
    """The rows that no other process has counted meanwhile."""
    return [
        row
        for row in found
        if RequestLog.objects.filter(pk=row.pk, problem_id=None).update(problem_id=problem.pk)
    ]


def _add(problem: Problem, rows: Sequence[Any], now: datetime) -> None:
    hours: dict[tuple[int, int, int, int], int] = defaultdict(int)
    for row in rows:
        hours[problem.pk, hour_of(row.started_at), row.client_key_id or 0, row.owner_id or 0] += 1
    _ADD.many([(*slot, times) for slot, times in sorted(hours.items())])
    last = max(row.started_at for row in rows)
    newest = max(rows, key=lambda row: row.started_at)
    Problem.objects.filter(pk=problem.pk).update(times=F("times") + len(rows))
    # the purge forgets the sample when `last_at` is past, so it must be of that time
    Problem.objects.filter(pk=problem.pk, last_at__lte=last).update(last_at=last, sample=newest.error_message)
    Problem.objects.filter(pk=problem.pk, first_at__gt=rows[0].started_at).update(first_at=rows[0].started_at)
    # what failed after it was resolved, or after its time of being ignored, is open again
    ended = max(row.started_at + timedelta(milliseconds=row.duration_ms or 0) for row in rows)
    back = Q(state=ProblemState.RESOLVED, decided_at__lt=ended)
    Problem.objects.filter(back, pk=problem.pk).update(state=ProblemState.OPEN, is_back=True)
    over = Q(state=ProblemState.IGNORED, ignored_until__lte=now)
    Problem.objects.filter(over, pk=problem.pk).update(state=ProblemState.OPEN, ignored_until=None)


def decide(problem: Problem, state: str, user: Any = None, until: datetime | None = None) -> None:
    """Resolve, ignore (until a moment, or for good) or open a problem."""
    problem.state, problem.decided_at, problem.decided_by = state, timezone.now(), user
    problem.ignored_until = until if state == ProblemState.IGNORED else None
    problem.is_back = False
    problem.save(update_fields=["state", "decided_at", "decided_by", "ignored_until", "is_back"])
