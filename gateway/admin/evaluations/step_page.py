"""One step: what was done and what the candidate proposes, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from gateway.admin.evaluations.report_page import tool_words
from gateway.admin.requests import request_cells
from gateway.admin.requests.conversation import ShownTurn, conversation
from gateway.admin.ui.html_format import dollars, milliseconds, number
from gateway.admin.ui.sanitize import inert
from gateway.evaluation.recorded_steps import TextsForbidden, TextsNotKept, recorded_step
from gateway.evaluation.selection import kept_since
from gateway.history.access import note_read
from gateway.history.content import bodies
from gateway.models import EvaluationStep, RequestLog
from gateway.wire.message_reader import read_answer


@dataclass(frozen=True, slots=True)
class StepSide:
    """One of the two answers. `answer` None: `note` says why."""

    title: str
    row: RequestLog | None
    facts: Any
    answer: ShownTurn | None
    note: str


def sides(step: EvaluationStep, user: Any, now: Any) -> list[StepSide] | None:
    """What was done and what is proposed; None if `user` may not read the texts. Notes the read."""
    recorded = step.recorded
    facts = request_cells.facts(
        (_("provider"), inert(recorded.provider)),
        (_("upstream model"), inert(recorded.upstream_model)),
        (_("first byte"), milliseconds(recorded.first_byte_ms)),
        (_("cost"), dollars(recorded.cost)),
    )
    row = RequestLog.objects.filter(request_id=recorded.request_id).first()
    try:
        texts = recorded_step(recorded, user, kept_since(now))
    except TextsForbidden:
        return None
    except TextsNotKept:
        gone = _("Its content is no longer kept.")
        return [StepSide(_("What was done"), row, facts, None, gone), _proposed(step, None, gone)]
    note_read(user, recorded.request_id, "evaluation")
    body, note = None, ""
    try:
        body = bodies.rebuilt(step.answer_id, "returned") if step.answer_id else None
    except bodies.UnreadableContent:
        note = _("The stored data is damaged and cannot be shown.")
    return [
        StepSide(_("What was done"), row, facts, conversation(None, texts.taken).answer, ""),
        _proposed(step, body, note),
    ]


def _proposed(step: EvaluationStep, body: bytes | None, note: str) -> StepSide:
    read = read_answer(body or b"")
    answer = conversation(None, read.message).answer if read.message is not None else None
    if answer is None and not note:
        note = inert(step.error) or _("Its answer is not kept.")
    facts = request_cells.facts(
        (_("provider"), inert(step.evaluation.provider)),
        (_("upstream model"), inert(step.evaluation.upstream_model)),
        (_("first byte"), milliseconds(step.first_byte_ms)),
        (_("cost"), dollars(step.cost)),
        (_("compared with"), tool_words(step.proposed_tool)),
        (_("calls"), number(step.proposed_calls)),
    )
    row = RequestLog.objects.filter(request_id=step.answer_id).first() if step.answer_id else None
    return StepSide(_("What the candidate proposes"), row, facts, answer, note)
