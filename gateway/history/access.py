"""Which requests a user may see, who may read contents, and noting each read before anything is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

from gateway.conf import gateway_conf
from gateway.models import ClientKey, ContentRead, RequestLog

Reader = User | AnonymousUser

VIEW_ALL: Final = "gateway.view_requestlog"


def owned_keys(user: Reader) -> QuerySet[ClientKey]:
    """The client keys that this user owns."""
    return ClientKey.objects.filter(user_id=user.pk) if user.pk else ClientKey.objects.none()


def owns_keys(user: Reader) -> bool:
    """Whether the user owns a key, or owned one that requests came with."""
    return bool(owned_keys(user).exists() or owned_requests(user, RequestLog.objects.all()).exists())


def visible_requests(user: Reader, rows: QuerySet[RequestLog] | None = None) -> QuerySet[RequestLog]:
    """The rows (out of all, by default) that a user may see."""
    rows = RequestLog.objects.all() if rows is None else rows
    return rows if user.has_perm(VIEW_ALL) else owned_requests(user, rows)


def may_see_request(user: Reader, row: RequestLog) -> bool:
    """`visible_requests` for one row."""
    return user.has_perm(VIEW_ALL) or owns_request(user, row)


def owned_requests(user: Reader, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """The rows that came with client keys this user owned at the time."""
    return rows.filter(owner_id=user.pk) if user.pk else rows.none()


def owns_request(user: Reader, row: RequestLog) -> bool:
    """`owned_requests` for one row."""
    return row.owner_id is not None and row.owner_id == user.pk


PERMISSION: Final = "gateway.read_content"


def may_read_all(user: Reader) -> bool:
    """Whether a user may read the content of everybody's requests."""
    return bool(user.has_perm(PERMISSION))


def may_read(user: Reader, row: RequestLog) -> bool:
    """Whether a user may read this request's content: by permission, or as its key's owner."""
    return may_read_all(user) or (gateway_conf().owners_read_content and owns_request(user, row))


def readable_requests(user: Reader, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """`may_read` for many rows."""
    if may_read_all(user):
        return rows
    return owned_requests(user, rows) if gateway_conf().owners_read_content else rows.none()


def readers() -> list[str]:
    """The names of everybody who may read all contents."""
    users = get_user_model()._default_manager.with_perm(
        PERMISSION, backend="django.contrib.auth.backends.ModelBackend"
    )
    return sorted(user.get_username() for user in users)


def note_reads(user: Reader, request_ids: Iterable[str], part: str) -> None:
    """Note that `user` reads `part` (conversation, received, export ...) of these requests.

    Call it before the content is shown. Raises what the database raises; then nothing may be shown.
    """
    # nobody without an account may read contents
    assert not isinstance(user, AnonymousUser)
    ContentRead.objects.bulk_create(
        [
            ContentRead(user=user, user_name=user.get_username()[:150], request_id=name[:64], part=part[:40])
            for name in request_ids
        ],
        batch_size=500,
    )


def note_read(user: Reader, request_id: str, part: str) -> None:
    """`note_reads` for one request."""
    note_reads(user, [request_id], part)
