"""What became of the requests of a mapping's arms: the figures that guards and pages compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count

from gateway.models import RequestLog
from gateway.models.history.request_log import State

# the newest of an arm that are read; more would tell a guard little, and cost the more the busier it is
MOST_ROWS: Final = 2_000
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
    dollars. Figures of which nothing is known are None.
    """

    requests: int = 0
    failed: int = 0
    sessions: int = 0
    calls: int = 0
    failed_calls: int = 0
    first_byte_ms: int | None = None
    cost: float | None = None

    @property
    def failed_share(self) -> float | None:
        """Of the requests, in percent."""
        return 100 * self.failed / self.requests if self.requests else None

    @property
    def failed_calls_share(self) -> float | None:
        """Of the calls of tools, in percent."""
        return 100 * self.failed_calls / self.calls if self.calls else None

    @property
    def session_cost(self) -> float | None:
        """In US dollars."""
        return self.cost / self.sessions if self.cost is not None and self.sessions else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rows_of_arm(mapping_pk: int, arm: str, since: datetime) -> list[dict[str, Any]]:
    """The newest rows of an arm, as `figures` reads them. Raises what the database raises."""
    rows = RequestLog.objects.filter(mapping_pk=mapping_pk, arm=arm, started_at__gte=since, replay_of="")
    return list(rows.exclude(arm="").order_by("-started_at").values(*_FIELDS)[:MOST_ROWS])


def sessions_of_arm(mapping_pk: int, arm: str, since: datetime) -> int:
    """How many sessions an arm was given; a request without a session counts as one."""
    rows = RequestLog.objects.filter(mapping_pk=mapping_pk, arm=arm, started_at__gte=since, replay_of="")
    rows = rows.exclude(arm="").order_by()
    named = rows.exclude(session_id="").aggregate(number=Count("session_id", distinct=True))["number"]
    return int(named) + rows.filter(session_id="").count()


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
