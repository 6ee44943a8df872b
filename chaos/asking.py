"""The benchmark's load generator, which here checks each answer as it ends and keeps only what it was."""

from __future__ import annotations

from bench.answers import answer_for
from bench.captured import Captured, WrongAnswer, decoded
from bench.load import Client, Job, Load
from bench.verify import verified


class Asking(Load):
    """Asks until `finish`. `complete`: request ids of the answers that came whole, each checked.

    `cut`: how many ended before their end; `wrong`: what is wrong with whole ones.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.complete: list[str] = []
        self.cut = 0
        self.wrong: list[str] = []
        self._expected = answer_for(job.model)

    def finish(self) -> None:
        """Ask no more; those under way go on."""
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
    """What is wrong with the history, in sentences: answers that came whole and are not there once, ended."""
    problems = []
    for request_id in asking.complete:
        rows = states.get(request_id, [])
        if len(rows) != 1:
            problems.append(f"{request_id or 'an answer without an id'} is in the history {len(rows)} times")
        elif rows[0] in ("open", "interrupted"):
            problems.append(f"{request_id} was answered and is {rows[0]} in the history")
    return problems
