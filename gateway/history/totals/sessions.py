"""The numbers of sessions, computed from their rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import reduce
from operator import add
from typing import Any, Final

from django.db import connection
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    F,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat

from gateway.client_protocol.purpose import CHECKS
from gateway.models import RequestLog, SessionTotal

# prefixes of the names of holders
OWNER: Final = "user:"
KEY: Final = "key:"
_LINEAGE: Final = Coalesce(F("client_key__lineage"), F("client_key_id"), output_field=BigIntegerField())
COUNTED: Final = ("messages",)
FAILED: Final = ("error", "broken", "interrupted")

# everything that was sent with a request, in tokens
_PROMPT: Final = reduce(
    add, (Coalesce(F(name), 0) for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens"))
)

_NUMBERS: Final[dict[str, Any]] = {
    # must come first: after a sum of the same name, the name refers to the sum
    "context_tokens": Max(_PROMPT, filter=Q(agent_id="")),
    "first_at": Min("started_at"),
    "last_at": Max("started_at"),
    "requests": Count("pk"),
    "failed": Count("pk", filter=Q(state__in=FAILED)),
    "retries": Sum(F("attempts") - 1, filter=Q(attempts__gt=1)),
    "agents": Count("agent_id", filter=~Q(agent_id=""), distinct=True),
    "input_tokens": Sum("input_tokens"),
    "output_tokens": Sum("output_tokens"),
    "cache_read_tokens": Sum("cache_read_tokens"),
    "cache_write_tokens": Sum("cache_write_tokens"),
    "cost": Sum("cost"),
    "tool_count": Sum("tool_count"),
    "busy_ms": Sum("duration_ms"),
}
# requests from which on a session is worked out only every so many seconds
LARGE: Final = 3_000
EVERY: Final = 60.0
# namespace of our advisory locks on totals of sessions
_LOCKS: Final = 0x63637075
# models of one session that are named
MOST_MODELS: Final = 8


def sums(rows: QuerySet[RequestLog]) -> dict[str, Any]:
    """The numbers of SessionTotal over these rows, by name, and how many are `unpriced`.

    Unknown tokens count as 0. Without rows `first_at` and `last_at` are 0 too. One query.
    """
    return _plain(rows.order_by().aggregate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS))


MOST_PROMPTS: Final = 100


def by_prompt(rows: QuerySet[RequestLog]) -> list[dict[str, Any]]:
    """What each prompt of a person led to, its subagents included; the newest MOST_PROMPTS, oldest first."""
    told = rows.order_by().exclude(prompt_id="").values("prompt_id")
    sums: Any = told.annotate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS)
    return [_plain(one) for one in sums.order_by("-first_at")[:MOST_PROMPTS]][::-1]


def by_class(rows: QuerySet[RequestLog]) -> list[dict[str, Any]]:
    """The numbers by what requests were for, safety checks apart; most requests first."""
    purpose = Case(
        When(task__in=CHECKS, then=F("task")), default=F("request_class"), output_field=CharField()
    )
    found = rows.order_by().annotate(purpose=purpose).values("purpose")
    sums: Any = found.annotate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS)
    return [_plain(one) for one in sums.order_by("-requests", "purpose")]


def by_model(rows: QuerySet[RequestLog]) -> list[dict[str, Any]]:
    """The numbers by `provider` and `upstream_model`; the most expensive first."""
    found = rows.order_by().values("provider", "upstream_model")
    sums: Any = found.annotate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS)
    dearest = F("cost").desc(nulls_last=True)
    return [_plain(one) for one in sums.order_by(dearest, "-requests", "provider", "upstream_model")]


def by_agent(rows: QuerySet[RequestLog]) -> dict[str, dict[str, Any]]:
    """The numbers of each agent, by its id; "" is the main one."""
    found = rows.order_by().values("agent_id")
    sums: Any = found.annotate(unpriced=Count("pk", filter=Q(cost=None)), **_NUMBERS)
    return {one["agent_id"]: _plain(one) for one in sums}


def _plain(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: 0 if value is None and name != "cost" else value for name, value in numbers.items()}


def held(rows: QuerySet[RequestLog]) -> QuerySet[Any]:
    """The rows with their `holder`, as SessionTotal has it."""
    return rows.annotate(
        holder=Case(
            When(owner_id__isnull=False, then=_named(OWNER, F("owner_id"))),
            When(client_key_id__isnull=False, then=_named(KEY, _LINEAGE)),
            default=Value(""),
            output_field=CharField(),
        )
    )


def _named(kind: str, number: Any) -> Concat:
    return Concat(Value(kind), Cast(number, CharField()), output_field=CharField())


def work_out(session_id: str) -> int:
    """Recompute the totals of one session for each of its holders; open rows count as requests.

    Returns how many requests it has. Inside the caller's transaction.
    """
    _lock(session_id)
    requests = 0
    rows = held(RequestLog.objects.filter(session_id=session_id, endpoint__in=COUNTED))
    for numbers in rows.order_by().values("holder").annotate(**_NUMBERS):
        holder = numbers.pop("holder")
        requests += numbers["requests"]
        latest = rows.filter(holder=holder).order_by("-started_at")
        [facts] = latest.values("client_key_id", "key_name", "client")[:1]
        asked = rows.filter(holder=holder).exclude(upstream_model="").order_by().values("upstream_model")
        models = asked.annotate(times=Count("pk")).order_by("-times", "upstream_model")
        facts["upstream_models"] = [one["upstream_model"] for one in models[:MOST_MODELS]]
        SessionTotal.objects.update_or_create(
            session_id=session_id, holder=holder, defaults={**_plain(numbers), **facts}
        )
    return requests


def _lock(session_id: str) -> None:
    """Nobody else works out this session until the transaction ends, so the last to write has read last.

    On SQLite nobody else writes at all.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, session_id])


class SessionPace:
    """Which sessions to work out now. A large one waits for EVERY: each time reads all its requests.

    Clients choose their session ids, so one may give the same to a million requests. One thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # when each large one may be worked out again
        self._large: dict[str, float] = {}
        self._waiting: set[str] = set()

    def due(self, touched: Iterable[str] = ()) -> list[str]:
        """Those of these sessions, and of the ones that waited, whose time has come."""
        self._waiting.update(touched)
        now = self._clock()
        return sorted(one for one in self._waiting if self._large.get(one, now) <= now)

    def rest(self) -> list[str]:
        """All that wait, at the end."""
        found, self._waiting = sorted(self._waiting), set()
        return found

    def counted(self, session_id: str, requests: int) -> None:
        """A session was worked out, with so many requests; until then it waits."""
        self._waiting.discard(session_id)
        now = self._clock()
        self._large = {name: until for name, until in self._large.items() if until > now}
        if requests > LARGE:
            self._large[session_id] = now + EVERY


def forget_empty(session_ids: Iterable[str]) -> None:
    """Remove the totals of these sessions whose holders have no rows left."""
    names = set(session_ids)
    rows = held(RequestLog.objects.filter(session_id__in=names))
    left = set(rows.order_by().values_list("session_id", "holder").distinct())
    totals = SessionTotal.objects.filter(session_id__in=names).values_list("pk", "session_id", "holder")
    SessionTotal.objects.filter(pk__in=[pk for pk, *one in totals if tuple(one) not in left]).delete()
