"""What a legal hold covers, and which requests repeat another one and are kept or removed with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import BigIntegerField, BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from gateway.history.outcome import ExchangeOutcome
from gateway.models import ClientKey, LegalHold, RequestLog

# UNION, so that a circle ends
_ABOVE: Final = (
    "WITH RECURSIVE above (request_id) AS (SELECT %(first)s UNION"
    " SELECT link.replay_of FROM above JOIN gateway_requestlog link ON link.request_id = above.request_id"
    " WHERE link.replay_of <> '') SELECT request_id FROM above"
)


class _IsOrIsAbove(Func):
    """Whether the first request id is the second, or that of a request which the second repeats, in however
    many steps.

    In SQL, because the ORM cannot recurse. Each step is one look at the index of request ids.
    """

    output_field = BooleanField()

    def as_sql(
        self, compiler: Any, connection: Any, *_rest: Any, **_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        (wanted, wanted_values), (first, first_values) = map(compiler.compile, self.source_expressions)
        above = _ABOVE % {"first": first}
        # PostgreSQL looks into the index for each member of an array, and through the whole table for IN here
        among = f"= ANY(ARRAY({above}))" if connection.vendor == "postgresql" else f"IN ({above})"
        return f"{wanted} {among}", (*wanted_values, *first_values)


def repeating(first: Q) -> Q:
    """Whether a row of RequestLog repeats a request that passes `first`, in however many steps."""
    above = RequestLog.objects.order_by().filter(_IsOrIsAbove(F("request_id"), OuterRef("replay_of")), first)
    return ~Q(replay_of="") & Q(Exists(above))


def held() -> Q:
    """Whether a hold covers a row of RequestLog: by the lineage of its key and its session, as far as the
    hold names them. A repeat of a request is the same conversation, so a hold of the first covers it.
    """
    return _held_itself() | repeating(_held_itself())


def _held_itself() -> Q:
    holds = LegalHold.objects.annotate(
        lineage=Coalesce("client_key__lineage", "client_key_id", output_field=BigIntegerField())
    )
    lineage = Coalesce(
        OuterRef("client_key__lineage"), OuterRef("client_key_id"), output_field=BigIntegerField()
    )
    return Q(
        Exists(
            holds.filter(
                Q(client_key=None) | Q(lineage=lineage),
                Q(session_id="") | Q(session_id=OuterRef("session_id")),
            )
        )
    )


def is_held(outcome: ExchangeOutcome) -> bool:
    """Whether a hold covers an exchange that has no row."""
    if outcome.replay_of and RequestLog.objects.filter(held(), request_id=outcome.replay_of).exists():
        return True
    key = ClientKey.objects.filter(pk=outcome.client_key_id or 0).first()
    holds = LegalHold.objects.filter(Q(session_id="") | Q(session_id=outcome.session_id))
    lineage = key and (key.lineage or key.pk)
    return any(
        hold.client_key is None or (hold.client_key.lineage or hold.client_key.pk) == lineage
        for hold in holds.select_related("client_key")
    )


def not_held(rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """The rows that may be removed."""
    return rows.filter(~held())


def repeats_of(names: Sequence[str]) -> list[str]:
    """The ids of the requests that repeat these, and of those that repeat them."""
    found: list[str] = []
    known = set(names)
    left = list(names)
    while left:
        rows = RequestLog.objects.filter(replay_of__in=left)
        left = [name for name in rows.values_list("request_id", flat=True) if name not in known]
        known.update(left)
        found += left
    return found
