"""A client key that is given to somebody else: what it has used stays with who owned it then, and their
sign-ins count apart from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import F, Sum

from gateway.limits.windows import PERIODS, Period
from gateway.models import ClientKey, DailyTotal, FormerUse, LegalHold, Origin
from gateway.models.base import config_written

_NUMBERS: Final = ("cost_units", "tokens")
_TOKENS: Final = F("input_tokens") + F("output_tokens") + F("cache_read_tokens") + F("cache_write_tokens")


def book(key: int, owner: int | None, now: float) -> None:
    """Note as use of `owner` what `key` used in the present periods and nobody was given yet."""
    first = min(int(Period.at(kind, now).start.timestamp()) // 3600 for kind in PERIODS)
    FormerUse.objects.filter(hour__lt=first).delete()
    booked: Any = FormerUse.objects.filter(client_key_pk=key).values("hour")
    given = {row["hour"]: row for row in booked.annotate(**_sums("tokens"))}
    days: Any = DailyTotal.objects.order_by().filter(client_key_pk=key, hour__gte=first, endpoint="messages")
    for day in days.values("hour").annotate(**_sums(_TOKENS)):
        before = given.get(day["hour"], {})
        more = {name: day[f"{name}_sum"] - before.get(f"{name}_sum", 0) for name in _NUMBERS}
        if any(more.values()):
            row, _made = FormerUse.objects.get_or_create(
                client_key_pk=key, owner_id=owner or 0, hour=day["hour"]
            )
            changed = {name: F(name) + amount for name, amount in more.items()}
            FormerUse.objects.filter(pk=row.pk).update(**changed)


def _sums(tokens: Any) -> dict[str, Sum]:
    return {"cost_units_sum": Sum("cost_units"), "tokens_sum": Sum(tokens)}


def part(key: int) -> None:
    """Give the sign-ins that share the lineage of `key` with somebody else's keys one of their own.

    A sign-in shares the budgets of the key that its person had. Rotated keys stay together: the owner of the
    newest keeps the lineage, and of sign-ins alone that of the first. A hold goes on covering all that it
    covered.
    """
    record = ClientKey.objects.filter(pk=key).first()
    if record is None:
        return
    lineage = record.lineage or record.pk
    # whoever adds a sign-in to the line meanwhile is waited for, and seen
    ClientKey.lock_line(lineage)
    line = list(ClientKey.line(lineage))
    issued = [one for one in line if one.origin != Origin.SIGN_IN]
    keeper = issued[-1] if issued else line[0]
    leaving: dict[int | None, list[ClientKey]] = {}
    for one in line:
        if one.origin == Origin.SIGN_IN and one.user_id != keeper.user_id:
            leaving.setdefault(one.user_id, []).append(one)
    for first, *others in leaving.values():
        # each by itself, because each may be lifted by itself
        for hold in list(LegalHold.objects.filter(client_key__in=line)):
            for one in (keeper, first):
                same = {"client_key": one, "session_id": hold.session_id, "reason": hold.reason}
                if not LegalHold.objects.filter(**same).exists():
                    LegalHold.objects.create(**same)
        ClientKey.objects.filter(pk=first.pk).update(lineage=None)
        ClientKey.objects.filter(pk__in=[one.pk for one in others]).update(lineage=first.pk)


def _key_written(
    pk: int, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, **_: Any
) -> None:
    if before is not None and after is not None and before["user_id"] != after["user_id"]:
        book(pk, before["user_id"], time.time())
        part(pk)


def connect() -> None:
    """Listen to keys whose owner changes, in the transaction of the change."""
    config_written.connect(_key_written, sender=ClientKey, dispatch_uid="gateway.former_use")
