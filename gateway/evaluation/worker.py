"""EvaluationWorker: a thread of the server that runs evaluations, one after another."""

from __future__ import annotations

import logging
import threading
from typing import Final

from django.db import connections
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from gateway.evaluation.asking import CandidateAsker
from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.models import Evaluation, Lease
from gateway.models.database_errors import concerns_server
from gateway.models.operation.evaluation import TO_BE_RUN, EvaluationState

logger = logging.getLogger("gateway.evaluation")

# seconds between two looks for one to run
EVERY: Final = 3.0


class EvaluationWorker:
    """`start` and `stop` once each. `process` names this one; `language`: of sentences about problems."""

    def __init__(self, process: str, language: str, asker: CandidateAsker) -> None:
        self._process, self._language, self._asker = process[:80], language, asker
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work_on, name="evaluation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End now; another process, or the next start, takes the evaluation up."""
        self._stopping.set()

    def _work_on(self) -> None:
        while not self._stopping.wait(EVERY) and not self._asker.closed:
            try:
                with override(self._language):
                    run_waiting(self._asker, self._process, self._stopping)
            except Exception as problem:
                if concerns_server(problem):
                    logger.warning("evaluations wait for the database", extra={"problem": str(problem)[:500]})
                else:
                    logger.exception("unexpected error in an evaluation")
            connections.close_all()


def run_waiting(asker: CandidateAsker, process: str, stopping: threading.Event) -> int:
    """Run what is to be run, the oldest first, if no other process does; how many there were."""
    count = 0
    while not stopping.is_set() and not asker.closed:
        evaluation = Evaluation.objects.filter(state__in=TO_BE_RUN).order_by("created", "pk").first()
        if evaluation is None or not Lease.take(TASK, process, timezone.now(), LEASE):
            break
        try:
            EvaluationRun(evaluation, asker, process, stopping).run()
        except Exception as problem:
            if concerns_server(problem) or stopping.is_set() or asker.closed:
                # it failed because the process ends; it stays as it is for whoever takes it up
                raise
            _pause(evaluation, problem)
        count += 1
    if count:
        release(process)
    return count


def _pause(evaluation: Evaluation, problem: Exception) -> None:
    """Stop an evaluation that cannot be run, so that younger ones are."""
    logger.error("unexpected error in an evaluation", exc_info=problem, extra={"evaluation": evaluation.pk})
    text = _("It was stopped by an unexpected error: %(error)s")
    said = text % {"error": f"{type(problem).__name__}: {problem}"}
    Evaluation.objects.filter(pk=evaluation.pk, state__in=TO_BE_RUN).update(
        state=EvaluationState.PAUSED, problem=said[:500], ended_at=timezone.now()
    )


def release(process: str) -> None:
    """Give the task up, so that another process need not wait for the end of the lease."""
    Lease.objects.filter(name=TASK, holder=process).update(until=None)
