"""What is kept of a person, as a file: one JSON object a line, `record` says of what.

What was asked again of their requests (shadows, replays, answers of evaluations, judges) is theirs, too.
Texts are given out as they are stored, with their secrets masked; each read of one is noted first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.contrib.admin.models import LogEntry
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet

from gateway.history.access import note_read
from gateway.history.content import bodies
from gateway.history.holds import repeating
from gateway.history.totals.sessions import OWNER
from gateway.models import (
    Attempt,
    CacheMiss,
    ClientKey,
    ContentRead,
    DailyOrigin,
    DailyTotal,
    DeviceGrant,
    EvaluationStep,
    ManagedPolicy,
    PersonBudget,
    RefusedKey,
    RequestBody,
    RequestLog,
    SafeguardRule,
    SafeguardVerdict,
    SavedView,
    SessionTotal,
)

PART: Final = "person"
# ours, and nothing about a person
_INNER: Final = frozenset({"id", "folded", "served_by", "digest", "device_digest", "user_code", "password"})
_AT_ONCE: Final = 200


def person_lines(user: Any, reader: Any, *, with_contents: bool) -> Iterator[bytes]:
    """Everything that is kept of `user`, for `reader`; contents only `with_contents`."""
    account = ("username", "first_name", "last_name", "email", "date_joined", "last_login", "is_active")
    groups = [group.name for group in user.groups.all()]
    yield _line("account", {**{name: getattr(user, name) for name in account}, "groups": groups})
    for record, rows in exported(user).items():
        fields = [field.attname for field in rows.model._meta.concrete_fields if field.attname not in _INNER]
        order = ("started_at", "pk") if rows.model is RequestLog else ("pk",)
        for values in rows.order_by(*order).values(*fields).iterator(chunk_size=_AT_ONCE):
            yield _line(record, values)
    if with_contents:
        theirs = _with_repeats(user.pk).order_by().values("request_id")
        kept = RequestBody.objects.filter(log_id__in=theirs).order_by("log__started_at", "pk")
        for request_id in kept.values_list("pk", flat=True).iterator(chunk_size=_AT_ONCE):
            note_read(reader, request_id, PART)
            yield _line("content", _content(request_id))


def _with_repeats(user_pk: int) -> QuerySet[RequestLog]:
    """The requests of a person, and what repeats them."""
    theirs = Q(owner_id=user_pk)
    return RequestLog.objects.filter(theirs | repeating(theirs))


def exported(user: Any) -> dict[str, QuerySet[Any]]:
    """{record: the rows}, but for the account and contents."""
    theirs = Q(user=user)
    requests = _with_repeats(user.pk)
    mine = requests.order_by().values("request_id")
    keys = ClientKey.objects.filter(theirs).values("pk")
    kinds: dict[str, Callable[[], QuerySet[Any]]] = {
        "key": lambda: ClientKey.objects.filter(theirs),
        "budget": lambda: PersonBudget.objects.filter(theirs),
        "policy": lambda: ManagedPolicy.objects.filter(theirs),
        "safeguard_rule": lambda: SafeguardRule.objects.filter(theirs),
        "saved_view": lambda: SavedView.objects.filter(theirs),
        "sign_in": lambda: DeviceGrant.objects.filter(theirs | Q(key__in=keys)),
        "refused_key": lambda: RefusedKey.objects.filter(client_key_pk__in=keys),
        "change": lambda: LogEntry.objects.filter(theirs),
        "read_by_them": lambda: ContentRead.objects.filter(theirs),
        "read_of_theirs": lambda: ContentRead.objects.filter(request_id__in=mine),
        "session": lambda: SessionTotal.objects.filter(holder=f"{OWNER}{user.pk}"),
        "total_of_day": lambda: DailyTotal.objects.filter(client_key_pk__in=keys),
        "folder_of_day": lambda: DailyOrigin.objects.filter(owner_id=user.pk),
        "attempt": lambda: Attempt.objects.filter(log_id__in=mine),
        "verdict": lambda: SafeguardVerdict.objects.filter(log_id__in=mine),
        "cache_miss": lambda: CacheMiss.objects.filter(log_id__in=mine),
        "evaluation_step": lambda: EvaluationStep.objects.filter(recorded__request_id__in=mine),
        "request": lambda: requests,
    }
    return {name: made() for name, made in kinds.items()}


def _content(request_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {"request_id": request_id}
    try:
        stored = bodies.stored(request_id)
        if stored is not None:
            told["headers"] = stored.headers.get("request", {})
            for part in RequestBody.PARTS:
                text = stored.text(part)
                told[part] = None if text is None else text.decode("utf-8", "replace")
    except bodies.UnreadableContent as problem:
        told["problem"] = str(problem)
    return told


def _line(record: str, values: dict[str, Any]) -> bytes:
    told = {"record": record, **values}
    return json.dumps(told, cls=DjangoJSONEncoder, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
