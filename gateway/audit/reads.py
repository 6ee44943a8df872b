"""Reading content: who may, and the note of it that is written before anything is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.models import ContentRead

PERMISSION: Final = "gateway.read_content"


def may_read(user: Any) -> bool:
    """Whether a user may read the content of requests."""
    return bool(user.has_perm(PERMISSION))


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
