"""What became of the requests of a mapping's arms: the figures that guards and pages compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from gateway.models import RequestLog
from gateway.models.history.request_log import State

# the newest of an arm that are read; more would tell a guard little, and cost the more the busier it is
MOST_ROWS: Final = 2_000
# the same for costs of sessions, of which three columns are read
MOST_PRICED_ROWS: Final = 20_000
_FAILED: Final = (State.ERROR, State.BROKEN)
_FIELDS: Final = (
    "started_at", "arm", "session_id", "state", "attempts", "provider", "upstream_model", "first_byte_ms",
    "tool_count", "tools_failed", "cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Sums over the requests of some arms that have ended and that a provider was asked for.

    `failed`: its target did not answer, whether another one stood in or not. `sessions`: different ones;
    a request without a session counts as one. `first_byte_ms`: 95 of 100 answers began sooner. `cost`: in US
    dollars. `session_cost`: what a session cost up to a certain age, of `priced_sessions` (`young_cost`).
    Figures of which nothing is known are None.
    """

    requests: int = 0
    failed: int = 0
    sessions: int = 0
    calls: int = 0
    failed_calls: int = 0
    first_byte_ms: int | None = None
    cost: float | None = None
    session_cost: float | None = None
    priced_sessions: int = 0

    @property
    def failed_share(self) -> float | None:
        """Of the requests, in percent."""
        return 100 * self.failed / self.requests if self.requests else None

    @property
    def failed_calls_share(self) -> float | None:
        """Of the calls of tools, in percent."""
        return 100 * self.failed_calls / self.calls if self.calls else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ArmCosts:
    """What the sessions of some arms cost that began in the mapping from `since` to `until`.

    Each session is a list of its requests: when they began, and their cost in US dollars.
    """

    since: datetime
    until: datetime
    sessions: tuple[tuple[tuple[datetime, float], ...], ...]

    @property
    def span(self) -> timedelta:
        return self.until - self.since

    def young_cost(self, age: timedelta) -> tuple[float | None, int]:
        """The mean cost of a session up to `age`, and of how many sessions are that old."""
        costs = [
            sum(cost for at, cost in session if at - session[0][0] <= age)
            for session in self.sessions
            if session[0][0] + age <= self.until
        ]
        return (sum(costs) / len(costs) if costs else None), len(costs)


def rows_of_arm(mapping_pk: int, arm: str, since: datetime) -> list[dict[str, Any]]:
    """The newest rows of an arm, as `figures` reads them. Raises what the database raises."""
    return list(_rows(mapping_pk, arm, since).order_by("-started_at").values(*_FIELDS)[:MOST_ROWS])


def sessions_begun(mapping_pk: int, arm: str, since: datetime) -> int:
    """How many sessions had their first request in an arm at `since` or later.

    A request without a session counts as one.
    """
    rows = _rows(mapping_pk, arm, since)
    earlier = RequestLog.objects.filter(
        session_id=OuterRef("session_id"), mapping_pk=mapping_pk, arm=arm, started_at__lt=since, replay_of=""
    )
    return _number_of_sessions(rows.exclude(Exists(earlier), ~Q(session_id="")))


def sessions_seen(mapping_pk: int, arm: str, since: datetime) -> int:
    """How many sessions had a request in an arm since then; a request without a session counts as one."""
    return _number_of_sessions(_rows(mapping_pk, arm, since))


def costs_of_arms(mapping_pk: int, arms: Iterable[str], since: datetime, until: datetime) -> ArmCosts:
    """The costs of sessions of arms; a request without a session counts as one.

    Where the newest MOST_PRICED_ROWS of an arm go back less far, `since` is later. A session that came from
    another arm of the mapping is left out: its first request here pays for a prompt that is in no cache.
    """
    rows: list[tuple[datetime, str, Any]] = []
    for arm in arms:
        found = _rows(mapping_pk, arm, since).filter(started_at__lte=until, attempts__gt=0)
        newest = found.order_by("-started_at").values_list("started_at", "session_id", "cost")
        read = list(newest[:MOST_PRICED_ROWS])
        since = read[-1][0] if len(read) == MOST_PRICED_ROWS else since
        rows += read
    known = sorted(row for row in rows if row[0] >= since and row[2] is not None)
    sessions: dict[object, list[tuple[datetime, float]]] = {}
    for number, (at, name, cost) in enumerate(known):
        sessions.setdefault(name or number, []).append((at, float(cost)))
    names = [name for name in sessions if isinstance(name, str)]
    older = RequestLog.objects.filter(session_id__in=names, mapping_pk=mapping_pk, started_at__lt=since)
    for name in older.filter(replay_of="").order_by().values_list("session_id", flat=True).distinct():
        del sessions[name]
    return ArmCosts(since, until, tuple(map(tuple, sessions.values())))


def reach(rows: Sequence[Mapping[str, object]], since: datetime) -> datetime:
    """The moment from which on `rows`, as `rows_of_arm` read them, lack none."""
    began = rows[-1]["started_at"] if len(rows) == MOST_ROWS else since
    assert isinstance(began, datetime)
    return began


def _number_of_sessions(rows: QuerySet[RequestLog]) -> int:
    named = rows.exclude(session_id="").aggregate(number=Count("session_id", distinct=True))["number"]
    return int(named) + rows.filter(session_id="").count()


def _rows(mapping_pk: int, arm: str, since: datetime) -> QuerySet[RequestLog]:
    rows = RequestLog.objects.filter(mapping_pk=mapping_pk, arm=arm, started_at__gte=since, replay_of="")
    return rows.exclude(arm="").order_by()


def figures(rows: Iterable[Mapping[str, Any]], since: datetime | None = None) -> ArmFigures:
    """The figures of rows, or of those that began at `since` or later."""
    requests = failed = calls = failed_calls = without_session = 0
    sessions, first_bytes = set(), []
    cost: float | None = None
    for row in rows:
        if row["state"] == State.OPEN or not row["attempts"] or (since and row["started_at"] < since):
            continue
        requests += 1
        failed += _target_failed(row)
        calls += row["tool_count"]
        failed_calls += len(row["tools_failed"])
        if row["session_id"]:
            sessions.add(row["session_id"])
        else:
            without_session += 1
        if row["first_byte_ms"] is not None and row["state"] == State.OK:
            first_bytes.append(row["first_byte_ms"])
        if row["cost"] is not None:
            cost = (cost or 0.0) + float(row["cost"])
    first_bytes.sort()
    return ArmFigures(
        requests,
        failed,
        len(sessions) + without_session,
        calls,
        failed_calls,
        first_bytes[int(0.95 * (len(first_bytes) - 1))] if first_bytes else None,
        cost,
    )


def _target_failed(row: Mapping[str, Any]) -> bool:
    """Whether the arm's own target gave no answer. An upstream model with a `*` has other names in rows."""
    provider, _, model = row["arm"].partition("/")
    if row["state"] in _FAILED or row["provider"] != provider:
        return True
    return bool(model) and "*" not in model and row["upstream_model"] != model
