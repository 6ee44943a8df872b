"""The texts of a recorded step: the request as it was received, and the answer that was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.history.access import may_read, may_read_all
from gateway.history.content import bodies
from gateway.history.content.codec import Damaged, decompressed
from gateway.models import DatasetStep, Erasure, RequestLog
from gateway.wire import json_bounds, jsontext
from gateway.wire.message_reader import read_answer

# more output than any model has; a file may say any number
MOST_TOKENS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """`headers` and `body`: the client's; `taken`: the message that was answered; `key_id`: the client key.

    `max_tokens`: the longest answer that the request allows.
    """

    headers: Mapping[str, str]
    body: bytes
    taken: Mapping[str, Any]
    asked_model: str
    key_id: int | None
    max_tokens: int


class TextsNotKept(ValueError):
    """The texts of the step are not kept any more, or cannot be read."""


class TextsForbidden(ValueError):
    """The texts of the step are not for this user."""


def recorded_step(step: DatasetStep, user: Any, since: datetime | None) -> RecordedStep:
    """The texts of a step for `user`; `since`: selection.kept_since. Raises TextsNotKept, TextsForbidden."""
    if step.content is not None:
        if not may_read_all(user):
            raise TextsForbidden
        return _from_file(step)
    row = RequestLog.objects.filter(request_id=step.request_id).first()
    if row is None or (since is not None and row.started_at < since):
        raise TextsNotKept
    if not may_read(user, row):
        raise TextsForbidden
    if row.owner_id is not None and Erasure.unfinished().filter(user_pk=row.owner_id).exists():
        # what a legal hold keeps of somebody is kept for that alone
        raise TextsNotKept
    try:
        stored = bodies.stored(step.request_id)
        if stored is None:
            raise TextsNotKept
        body, returned, headers = stored.text("received"), stored.text("returned"), stored.headers["request"]
    except (bodies.UnreadableContent, KeyError) as problem:
        raise TextsNotKept from problem
    taken = read_answer(returned or b"").message
    if body is None or taken is None:
        raise TextsNotKept
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    return RecordedStep(texts, body, taken, row.asked_model, row.client_key_id, _max_tokens(body))


def _from_file(step: DatasetStep) -> RecordedStep:
    try:
        texts = jsontext.loads(decompressed(bytes(step.content or b"")))
        body = jsontext.dumps(texts["request"])
        headers = {str(name): str(value) for name, value in texts["headers"].items()}
        return RecordedStep(headers, body, texts["answer"], step.asked_model, None, _max_tokens(body))
    except (Damaged, jsontext.InvalidJSON, KeyError, TypeError, AttributeError) as problem:
        raise TextsNotKept from problem


def _max_tokens(body: bytes) -> int:
    try:
        value = json_bounds.loads(body)
    except jsontext.InvalidJSON:
        return 0
    number = value.get("max_tokens") if isinstance(value, dict) else None
    return min(number, MOST_TOKENS) if type(number) is int and number > 0 else 0


def ended_exchange(request_id: str) -> tuple[RequestLog | None, bytes | None]:
    """How an exchange ended, and what its client got; None for what the history does not have.

    One that was interrupted came to no end.
    """
    row = RequestLog.objects.filter(request_id=request_id, state__in=("ok", "error")).first()
    if row is None:
        return None, None
    try:
        return row, bodies.rebuilt(request_id, "returned")
    except bodies.UnreadableContent:
        return row, None
