"""AskedStep: a request that an evaluation has under way, and the row that waits for its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gateway.evaluation.recorded_steps import RecordedStep
from gateway.models import EvaluationStep
from gateway.models.operation.evaluation import StepState


@dataclass(slots=True)
class AskedStep:
    """A request under way: for a step, or (`proposed` is there) for the judge of its divergence.

    `reserved`: US dollars that it may cost.
    """

    step: EvaluationStep
    request_id: str
    reserved: Decimal
    texts: RecordedStep
    proposed: Mapping[str, Any] | None = None

    def awaited(self) -> Any:
        """The step's row, while it waits for this very answer: a run that stalled past its lease lost it."""
        rows = EvaluationStep.objects.filter(pk=self.step.pk)
        if self.proposed is None:
            return rows.filter(answer_id=self.request_id, state=StepState.ASKING)
        return rows.filter(judge_id=self.request_id, judgement="")
