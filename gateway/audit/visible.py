"""Whose requests a user may see: all with the right to view them, else those of their own client keys."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet

from gateway.models import ClientKey, RequestLog

VIEW_ALL: Final = "gateway.view_requestlog"


def owned_keys(user: Any) -> QuerySet[ClientKey]:
    """The client keys whose owner this user is."""
    return ClientKey.objects.filter(user_id=user.pk) if user.pk else ClientKey.objects.none()


def owns_keys(user: Any) -> bool:
    return bool(owned_keys(user).exists())


def visible_requests(user: Any, rows: QuerySet[RequestLog] | None = None) -> QuerySet[RequestLog]:
    """The rows (of all, by default) that a user may see."""
    rows = RequestLog.objects.all() if rows is None else rows
    return rows if user.has_perm(VIEW_ALL) else owned_requests(user, rows)


def may_see_request(user: Any, row: RequestLog) -> bool:
    """`visible_requests` of one row."""
    return user.has_perm(VIEW_ALL) or owns_request(user, row)


def owned_requests(user: Any, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """The rows that came with client keys of this user."""
    # a list of few numbers: the index of key and time serves it
    return rows.filter(client_key_id__in=list(owned_keys(user).values_list("pk", flat=True)))


def owns_request(user: Any, row: RequestLog) -> bool:
    """`owned_requests` of one row."""
    return row.client_key_id is not None and owned_keys(user).filter(pk=row.client_key_id).exists()
