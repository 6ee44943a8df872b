"""The benchmark's load generator, checking each answer as it ends and keeping only the verdict."""

from __future__ import annotations

from bench.answers import answer_for
from bench.captured import Captured, WrongAnswer, decoded
from bench.load import Client, Job, Load
from bench.verify import verified


class Asking(Load):
    """Asks until `finish`. `complete`: request ids of the complete answers, each checked.

    `cut`: how many ended early; `wrong`: what is wrong with complete ones.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.complete: list[str] = []
        self.cut = 0
        self.wrong: list[str] = []
        self._expected = answer_for(job.model)

    def finish(self) -> None:
        """Send no more requests; running ones continue."""
        self._left = 0

    def done(self, captured: Captured) -> None:
        try:
            answer = decoded(captured)
        except WrongAnswer:
            self.cut += 1
            return
        self.complete.append(answer.headers.get("request-id", ""))
        try:
            verified(answer, self._expected, self.job.form, stream=self.job.stream)
        except WrongAnswer as problem:
            self.wrong.append(str(problem))

    def lost(self, client: Client) -> None:
        if self._left <= 0 and self._open <= 1:
            self._open = 0
            self._finished.set()
            return
        super().lost(client)


def missing(asking: Asking, states: dict[str, list[str]]) -> list[str]:
    """What is wrong with the history, in sentences: complete answers that are not in it once, as ended."""
    problems = []
    for request_id in asking.complete:
        rows = states.get(request_id, [])
        if len(rows) != 1:
            problems.append(f"{request_id or 'an answer without an id'} is in the history {len(rows)} times")
        elif rows[0] in ("open", "interrupted"):
            problems.append(f"{request_id} was answered and is {rows[0]} in the history")
    return problems
