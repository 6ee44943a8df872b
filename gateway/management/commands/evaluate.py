"""evaluate ID: runs an evaluation here, to its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.app.runtime import runtime
from gateway.evaluation.asking import GatewayAsker
from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.evaluation.worker import release
from gateway.management.numbers import whole
from gateway.models import Evaluation, EvaluationStep, Lease
from gateway.models.operation.evaluation import TO_BE_RUN, EvaluationState

LOOK: Final = timedelta(seconds=2)


class Command(BaseCommand):
    help = _(
        "Run an evaluation in this process. It may be killed at any time, and continues when it is run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id", type=whole(1, 2**63 - 1), help=_("The evaluation's number, as in the address of its page.")
        )

    def handle(self, *_args: Any, id: int, **__: Any) -> None:
        evaluation = Evaluation.objects.filter(pk=id).first()
        if evaluation is None:
            raise CommandError(_("There is no evaluation %(id)s.") % {"id": id})
        if evaluation.state not in TO_BE_RUN:
            raise CommandError(
                _("It is %(state)s; continue it on its page first.")
                % {"state": evaluation.get_state_display()}
            )
        asyncio.run(self._run(evaluation))

    async def _run(self, evaluation: Evaluation) -> None:
        loop = asyncio.get_running_loop()
        stopping = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stopping.set)
        gateway = await runtime.gateway(evaluating=False)
        try:
            state = await asyncio.to_thread(
                self._work, evaluation, GatewayAsker(gateway, loop), gateway.process[:80], stopping
            )
        finally:
            await gateway.client.close()
            await asyncio.to_thread(runtime.stop)
        self.stdout.write(str(EvaluationState(state).label))

    def _work(
        self, evaluation: Evaluation, asker: GatewayAsker, process: str, stopping: threading.Event
    ) -> str:
        try:
            if not self._turn(process, stopping):
                raise CommandError(_("Another process runs evaluations, and will run this one in its turn."))
            total, count = evaluation.steps.count(), 0

            def tell(step: EvaluationStep) -> None:
                nonlocal count
                count += 1
                self.stdout.write(f"{count}/{total}  {step.verdict or step.error}")

            state = EvaluationRun(evaluation, asker, process, stopping, tell=tell).run()
            release(process)
            return state
        finally:
            connections.close_all()

    def _turn(self, process: str, stopping: threading.Event) -> bool:
        """Whether this process may run evaluations; a process that was killed holds the task a little
        longer.
        """
        until = timezone.now() + LEASE + LOOK
        while not Lease.take(TASK, process, timezone.now(), LEASE):
            if timezone.now() > until or stopping.wait(LOOK.total_seconds()):
                return False
        return True
