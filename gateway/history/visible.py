"""Whose requests a user may see: all with the right to view them, else those of keys that were theirs."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet

from gateway.models import ClientKey, RequestLog

VIEW_ALL: Final = "gateway.view_requestlog"


def owned_keys(user: Any) -> QuerySet[ClientKey]:
    """The client keys whose owner this user is."""
    return ClientKey.objects.filter(user_id=user.pk) if user.pk else ClientKey.objects.none()


def owns_keys(user: Any) -> bool:
    """Whether there is something to see: a key of theirs, or requests from when they had one."""
    return bool(owned_keys(user).exists() or owned_requests(user, RequestLog.objects.all()).exists())


def visible_requests(user: Any, rows: QuerySet[RequestLog] | None = None) -> QuerySet[RequestLog]:
    """The rows (of all, by default) that a user may see."""
    rows = RequestLog.objects.all() if rows is None else rows
    return rows if user.has_perm(VIEW_ALL) else owned_requests(user, rows)


def may_see_request(user: Any, row: RequestLog) -> bool:
    """`visible_requests` of one row."""
    return user.has_perm(VIEW_ALL) or owns_request(user, row)


def owned_requests(user: Any, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """The rows that came with client keys that were this user's then."""
    return rows.filter(owner_id=user.pk) if user.pk else rows.none()


def owns_request(user: Any, row: RequestLog) -> bool:
    """`owned_requests` of one row."""
    return row.owner_id is not None and row.owner_id == user.pk
