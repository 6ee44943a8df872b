"""Reading content: who may, and the note of it that is written before anything is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from gateway.conf import gateway_conf
from gateway.history.visible import owned_requests, owns_request
from gateway.models import ContentRead, RequestLog

PERMISSION: Final = "gateway.read_content"


def may_read_all(user: Any) -> bool:
    """Whether a user may read the content of everybody's requests."""
    return bool(user.has_perm(PERMISSION))


def may_read(user: Any, row: RequestLog) -> bool:
    """Whether a user may read the content of this request: with the right to, or as its key's owner."""
    return may_read_all(user) or (gateway_conf().owners_read_content and owns_request(user, row))


def readable_requests(user: Any, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
    """`may_read` of many rows."""
    if may_read_all(user):
        return rows
    return owned_requests(user, rows) if gateway_conf().owners_read_content else rows.none()


def readers() -> list[str]:
    """The names of all who may read everybody's contents."""
    users = get_user_model()._default_manager.with_perm(
        PERMISSION, backend="django.contrib.auth.backends.ModelBackend"
    )
    return sorted(user.get_username() for user in users)


def note_reads(user: Any, request_ids: Iterable[str], part: str) -> None:
    """Note that `user` reads `part` (conversation, received, export ...) of these requests.

    Call it before the content is shown; raises what the database raises, and then nothing is to be shown.
    """
    ContentRead.objects.bulk_create(
        [
            ContentRead(user=user, user_name=user.get_username()[:150], request_id=name[:64], part=part[:40])
            for name in request_ids
        ],
        batch_size=500,
    )


def note_read(user: Any, request_id: str, part: str) -> None:
    """`note_reads` of one request."""
    note_reads(user, [request_id], part)
