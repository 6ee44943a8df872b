"""Starting an evaluation: one row for each step of its dataset."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Sum

from gateway.models import Dataset, Evaluation, EvaluationStep
from gateway.models.operation.evaluation import EvaluationState, StepState

_BATCH: Final = 500


def start(user: Any, dataset: Dataset, name: str, now: datetime, **fields: Any) -> Evaluation:
    """Store an evaluation that waits for a worker. `fields`: the rest of its columns."""
    with transaction.atomic():
        evaluation: Evaluation = Evaluation.objects.create(
            name=name[:100], dataset=dataset, started_by=user, created=now, **fields
        )
        steps = dataset.steps.order_by("position").values_list("pk", flat=True)
        EvaluationStep.objects.bulk_create(
            [EvaluationStep(evaluation=evaluation, recorded_id=pk) for pk in steps], batch_size=_BATCH
        )
    return evaluation


def pause(evaluation: Evaluation) -> bool:
    """Stop asking; what is under way comes to its end. False: it was over already."""
    return _moved(evaluation, (EvaluationState.WAITING, EvaluationState.RUNNING), EvaluationState.PAUSED)


def go_on(evaluation: Evaluation) -> bool:
    """Continue one that is paused or was stopped by its cap, and ask again for what failed.

    One that is done goes on when steps of it failed.
    """
    failed = evaluation.steps.filter(state=StepState.FAILED)
    before = [EvaluationState.PAUSED, EvaluationState.CAPPED]
    # at once: a worker that saw it wait with nothing to ask yet would call it done
    with transaction.atomic():
        if failed.exists():
            before.append(EvaluationState.DONE)
        moved = _moved(evaluation, tuple(before), EvaluationState.WAITING)
        if moved:
            # what they cost stays spent
            paid = failed.aggregate(paid=Sum("cost"))["paid"] or 0
            Evaluation.objects.filter(pk=evaluation.pk).update(lost_cost=F("lost_cost") + paid)
            failed.update(state=StepState.WAITING, error="", answer_id="", cost=None)
    return moved


def cancel(evaluation: Evaluation, now: datetime) -> bool:
    """End it for good; what is under way is cancelled."""
    before = (
        EvaluationState.WAITING, EvaluationState.RUNNING, EvaluationState.PAUSED, EvaluationState.CAPPED,
    )  # fmt: skip
    moved = _moved(evaluation, before, EvaluationState.CANCELLED)
    if moved:
        Evaluation.objects.filter(pk=evaluation.pk).update(ended_at=now)
    return moved


def _moved(evaluation: Evaluation, before: tuple[EvaluationState, ...], after: EvaluationState) -> bool:
    rows = Evaluation.objects.filter(pk=evaluation.pk, state__in=before)
    return bool(rows.update(state=after, **({"problem": ""} if after == EvaluationState.WAITING else {})))
