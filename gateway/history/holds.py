"""What a legal hold covers, and which requests repeat another one and are kept or removed with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import BigIntegerField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from gateway.history.outcome import ExchangeOutcome
from gateway.models import ClientKey, LegalHold, RequestLog

# a request, a repeat of it, and the judge of that answer
_REPEATS: Final = 2


def held(repeats: int = _REPEATS) -> Q:
    """Whether a hold covers a row of RequestLog: by the lineage of its key and its session, as far as the
    hold names them. A repeat of a request is the same conversation, so a hold of the first covers it.
    """
    holds = LegalHold.objects.annotate(
        lineage=Coalesce("client_key__lineage", "client_key_id", output_field=BigIntegerField())
    )
    lineage = Coalesce(
        OuterRef("client_key__lineage"), OuterRef("client_key_id"), output_field=BigIntegerField()
    )
    own = Exists(
        holds.filter(
            Q(client_key=None) | Q(lineage=lineage), Q(session_id="") | Q(session_id=OuterRef("session_id"))
        )
    )
    if not repeats:
        return Q(own)
    first = RequestLog.objects.order_by().filter(request_id=OuterRef("replay_of"))
    return Q(own) | (~Q(replay_of="") & Q(Exists(first.filter(held(repeats - 1)))))


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
