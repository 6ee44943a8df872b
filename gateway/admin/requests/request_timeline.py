"""The timeline of one request: attempts, first byte, silences and pings, as a picture and a list."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from gateway.admin.ui.sanitize import inert
from gateway.admin.ui.timeline_svg import Span, picture
from gateway.models import Attempt, RequestLog

Event = dict[str, Any]


def request_timeline(row: RequestLog) -> dict[str, Any]:
    """`picture` and `events`: what happened when, in milliseconds since the request came in."""
    attempts = list(Attempt.objects.filter(log=row).order_by("number"))
    notes = [note for note in row.timeline if isinstance(note, list) and len(note) == 3]
    events = sorted(
        [*_of_row(row), *_of_attempts(row, attempts), *_of_notes(notes)], key=lambda event: event["at"]
    )
    length = max([event["at"] + event["took"] for event in events] or [0])
    return {
        "picture": picture(_spans(row, attempts, notes, length), _labels(attempts), length),
        "events": events,
    }


def _of_row(row: RequestLog) -> list[Event]:
    events = [_event(0, _("the request came in"))]
    if row.first_byte_ms is not None:
        events.append(_event(row.first_byte_ms, _("the first byte went to the client")))
    if row.duration_ms is not None:
        events.append(_event(row.duration_ms, _("the end: %(state)s") % {"state": row.get_state_display()}))
    return events


def _of_attempts(row: RequestLog, attempts: list[Attempt]) -> list[Event]:
    events = []
    for attempt in attempts:
        text = _("attempt %(number)s at %(provider)s, %(model)s: %(state)s") % {
            "number": attempt.number,
            "provider": attempt.provider,
            "model": attempt.upstream_model,
            "state": attempt.get_state_display(),
        }
        if attempt.status is not None:
            text += f" (HTTP {attempt.status})"
        if attempt.error_message:
            text += f": {attempt.error_message}"
        events.append(_event(_offset(row, attempt), text, attempt.duration_ms or 0, _then(attempt)))
    return events


def _then(attempt: Attempt) -> str:
    step = str(attempt.get_next_step_display())
    return (
        step
        if not attempt.pause_ms
        else _("%(step)s after %(pause)s ms") % {"step": step, "pause": attempt.pause_ms}
    )


def _of_notes(notes: list[list[Any]]) -> list[Event]:
    texts = {
        "commit": _("the answer began before the provider had sent anything"),
        "ping": _("a sign of life went to the client"),
        "gap": _("the provider was silent"),
    }
    return [_event(at, texts[what], took) for what, at, took in notes if what in texts]


def _spans(row: RequestLog, attempts: list[Attempt], notes: list[list[Any]], length: float) -> list[Span]:
    end = row.duration_ms if row.duration_ms is not None else length
    first = row.first_byte_ms
    spans = [Span(0, 0, first if first is not None else end, "waiting", _("until the first byte"))]
    if first is not None:
        spans.append(Span(0, first, end - first, "answering", _("the answer")))
    for number, attempt in enumerate(attempts, 1):
        kind = "answering" if attempt.state == "ok" else "failed"
        spans.append(
            Span(number, _offset(row, attempt), attempt.duration_ms or 0, kind, inert(attempt.error_message))
        )
    for what, at, took in notes:
        if what == "gap":
            spans.append(Span(0, at, took, "silent", _("the provider was silent")))
        elif what in ("ping", "commit"):
            spans.append(Span(0, at, 0, "mark", _("a sign of life went to the client")))
    return spans


def _labels(attempts: list[Attempt]) -> list[str]:
    return [_("request"), *(f"{attempt.number} {inert(attempt.provider)}" for attempt in attempts)]


def _offset(row: RequestLog, attempt: Attempt) -> int:
    return max(0, round((attempt.started_at - row.started_at).total_seconds() * 1000))


def _event(at: float, text: Any, took: float = 0, then: Any = "") -> Event:
    return {"at": at, "took": took, "text": inert(str(text)), "then": then}
