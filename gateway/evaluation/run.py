"""EvaluationRun: asks a candidate for the steps of an evaluation until none is left, or something ends it.

It runs in one thread, which does all that concerns the database; requests run on the gateway's event loop.
The steps of a session are asked in order, sessions beside each other. A step is written twice: before its
request goes out, with the request's id and what it may cost, and when its answer was compared. So a run
that is killed and started again asks nothing whose answer was stored, and takes from the history what was
answered meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.conversion.openai_responses.request import LEAST_OUTPUT
from gateway.conversion.requests.plan import profile_cap
from gateway.evaluation import judging
from gateway.evaluation.asked_step import AskedStep
from gateway.evaluation.asking import AskedRequest, CandidateAsker, route_of
from gateway.evaluation.comparison.steps import DIVERGING, compare_steps
from gateway.evaluation.recorded_steps import (
    RecordedStep,
    TextsForbidden,
    TextsNotKept,
    ended_exchange,
    recorded_step,
)
from gateway.evaluation.selection import kept_since
from gateway.evaluation.spending import Spending, largest_cost
from gateway.history.access import note_read
from gateway.history.outcome import OK
from gateway.history.totals.costs import Charged, cost_of
from gateway.models import Evaluation, EvaluationStep, Lease
from gateway.models.operation.evaluation import TO_BE_RUN, EvaluationState, Judgement, StepState
from gateway.relay.exchange.ids import new_id
from gateway.relay.request_replay import ReplayedAnswer, ReplayTarget
from gateway.wire.message_reader import read_answer

TASK: Final = "evaluation"
LEASE: Final = timedelta(seconds=20)
# seconds between two looks at what people decided, which also keep the lease
TICK: Final = 1.0
# a candidate that fails this often in a row is not asked on
MOST_FAILURES: Final = 20
# of a request that does not say how long its answer may be
USUAL_MAX_TOKENS: Final = 4_096
PART: Final = "evaluation"
_ZERO: Final = Decimal(0)
PERMISSION: Final = "gateway.add_evaluation"


class EvaluationRun:
    """Run one evaluation whose lease `holder` has; `run` once."""

    def __init__(
        self,
        evaluation: Evaluation,
        asker: CandidateAsker,
        holder: str,
        stopping: threading.Event,
        *,
        now: Callable[[], datetime] = timezone.now,
        tell: Callable[[EvaluationStep], None] = lambda _step: None,
    ) -> None:
        self._evaluation, self._asker, self._holder = evaluation, asker, holder
        self._stopping, self._now, self._tell = stopping, now, tell
        self._candidate = ReplayTarget(evaluation.provider, evaluation.upstream_model, evaluation.rule_pk)
        self._judge = ReplayTarget(
            evaluation.judge_provider, evaluation.judge_model, evaluation.judge_rule_pk
        )
        self._sessions: deque[deque[EvaluationStep]] = deque()
        self._divergences: deque[EvaluationStep] = deque()
        self._under_way: dict[Future[ReplayedAnswer], AskedStep] = {}
        # of futures for steps: the rest of their sessions
        self._rest: dict[Future[ReplayedAnswer], deque[EvaluationStep]] = {}
        self._ending: tuple[EvaluationState, str] | None = None
        self._failures = 0
        self._user: Any = None
        self._since: datetime | None = None
        self._spending = Spending(None)
        # nothing more is written of its end: somebody else goes on with it
        self._left = False

    def run(self) -> str:
        """Ask until the end; returns the state that it is in then. Raises what the database does."""
        if not self._begin():
            return self._state()
        try:
            while self._looked():
                self._start()
                if not self._under_way:
                    break
                done, _not_yet = wait(self._under_way, TICK, FIRST_COMPLETED)
                if self._stopping.is_set():
                    break  # what failed now may have failed because the process ends; the next run looks
                for future in done:
                    self._finish(future)
        finally:
            for future in self._under_way:
                future.cancel()
        self._left = self._left or self._stopping.is_set()
        return self._end()

    # -- beginning and end

    def _begin(self) -> bool:
        evaluation = self._evaluation
        runnable = Evaluation.objects.filter(pk=evaluation.pk, state__in=TO_BE_RUN)
        if not runnable.update(state=EvaluationState.RUNNING, problem="", ended_at=None):
            return False
        Evaluation.objects.filter(pk=evaluation.pk, started_at=None).update(started_at=self._now())
        self._user = evaluation.started_by
        if self._user is None or not self._user.is_active or not self._user.has_perm(PERMISSION):
            self._close(EvaluationState.PAUSED, _("Whoever started it may not start evaluations any more."))
        self._since = kept_since(self._now())
        self._take_up()
        evaluation.refresh_from_db()
        self._spending = Spending.of(evaluation)
        waiting: dict[str, deque[EvaluationStep]] = {}
        steps = evaluation.steps.filter(state=StepState.WAITING).select_related("recorded")
        for step in steps.order_by("recorded__position").defer("recorded__content"):
            waiting.setdefault(step.recorded.session, deque()).append(step)
        self._sessions.extend(waiting.values())
        if evaluation.judge_provider:
            unjudged = evaluation.steps.filter(state=StepState.DONE, verdict__in=DIVERGING, judgement="")
            # with those of the answers that were just taken from the history
            self._divergences = deque(unjudged.select_related("recorded").defer("recorded__content"))
        return True

    def _take_up(self) -> None:
        """What was under way when an earlier run ended: its answers from the history, or asked again."""
        steps = self._evaluation.steps.select_related("recorded")
        for step in steps.filter(state=StepState.ASKING):
            row, body = ended_exchange(step.answer_id)
            answered = row is not None and row.state == OK and body is not None
            texts = self._texts(step) if answered else None
            if row is not None and body is not None and texts is not None:
                self._store(AskedStep(step, step.answer_id, step.reserved, texts), row, body)
                continue
            self._lose(step.reserved if row is None or row.cost is None else row.cost)
            steps.filter(pk=step.pk, state=StepState.ASKING).update(
                state=StepState.WAITING, answer_id="", reserved=_ZERO
            )
        for step in steps.filter(judgement="").exclude(judge_id=""):
            self._lose(step.judge_reserved)
            steps.filter(pk=step.pk, judgement="").update(judge_id="", judge_reserved=_ZERO)

    def _end(self) -> str:
        if not self._left:
            state, problem = self._ending or (EvaluationState.DONE, "")
            mine = Evaluation.objects.filter(pk=self._evaluation.pk, state=EvaluationState.RUNNING)
            mine.update(state=state, problem=problem[:500], ended_at=self._now())
        return self._state()

    def _close(self, state: EvaluationState, problem: str = "") -> None:
        """Start nothing more; what is under way comes to its end."""
        self._ending = self._ending or (state, problem)

    def _state(self) -> str:
        rows = Evaluation.objects.filter(pk=self._evaluation.pk).values_list("state", flat=True)
        # somebody may delete one that runs
        return rows.first() or EvaluationState.CANCELLED

    def _looked(self) -> bool:
        """Look what was decided meanwhile; False: stop at once."""
        if self._stopping.is_set() or not Lease.take(TASK, self._holder, self._now(), LEASE):
            self._left = True
            return False
        state = self._state()
        caps = Evaluation.objects.filter(pk=self._evaluation.pk).values_list("spend_cap", flat=True)
        self._spending.cap = caps.first()
        if state == EvaluationState.CANCELLED:
            self._left = True
            for asked in self._under_way.values():
                self._give_back(asked)
            return False
        if state != EvaluationState.RUNNING:
            self._close(EvaluationState.PAUSED)
        return True

    # -- asking

    def _start(self) -> None:
        """Ask as many as may be asked at once: about divergences first, then for the next steps."""
        while self._ending is None and len(self._under_way) < self._evaluation.concurrency:
            if self._divergences:
                if not self._ask_judge(self._divergences[0]):
                    return
            elif self._sessions:
                if not self._ask_candidate(self._sessions[0]):
                    return
            else:
                return

    def _ask_candidate(self, session: deque[EvaluationStep]) -> bool:
        """Ask for the first step of the session; False: there is no money for it now."""
        step = session[0]
        texts = self._texts(step)
        if texts is not None:
            asked_model = texts.asked_model or step.recorded.asked_model
            asked = self._reserved(step, texts, self._candidate, asked_model, step.recorded.input_tokens)
            if asked is None:
                return False
            note_read(self._user, step.recorded.request_id, PART)
            self._steps(step).update(
                state=StepState.ASKING, answer_id=asked.request_id, reserved=asked.reserved
            )
            conversation = f"evaluation {self._evaluation.pk}: {step.recorded.session}"
            request = AskedRequest(
                asked.request_id, self._candidate, step.recorded.request_id, texts.headers, texts.body,
                asked_model, texts.key_id, conversation,
            )  # fmt: skip
            future = self._asker.ask(request)
            self._under_way[future], self._rest[future] = asked, session
            self._sessions.popleft()
        session.popleft()
        if texts is None and not session:
            self._sessions.popleft()
        return True

    def _ask_judge(self, step: EvaluationStep) -> bool:
        texts = self._texts(step)
        _row, body = ended_exchange(step.answer_id)
        proposed = read_answer(body or b"").message
        if texts is None or proposed is None:
            # there is nothing to show to it
            self._steps(step).update(judgement=Judgement.UNCLEAR)
            self._divergences.popleft()
            return True
        first = judging.taken_comes_first(self._evaluation.pk, step.recorded_id)
        question, tokens = judging.question(texts.body, texts.taken, proposed, taken_first=first)
        asked = self._reserved(step, texts, self._judge, judging.MODEL, tokens, judging.ANSWER)
        if asked is None:
            return False
        asked.proposed = proposed
        self._steps(step).update(judge_id=asked.request_id, judge_reserved=asked.reserved)
        conversation = f"evaluation {self._evaluation.pk}: judge"
        request = AskedRequest(
            asked.request_id, self._judge, step.answer_id, {}, question, judging.MODEL, None, conversation
        )
        self._under_way[self._asker.ask(request)] = asked
        self._divergences.popleft()
        return True

    def _reserved(
        self, step: EvaluationStep, texts: RecordedStep, choice: ReplayTarget, asked_model: str,
        input_tokens: int, max_tokens: int = 0,
    ) -> AskedStep | None:  # fmt: skip
        """A request for which the money is reserved; None: there is none now, or no way to ask."""
        route = route_of(self._asker.snapshot, choice, asked_model)
        if route is None:
            self._close(
                EvaluationState.PAUSED,
                _("The provider %(name)s takes no requests.") % {"name": choice.provider},
            )
            return None
        longest = max(max_tokens or texts.max_tokens or USUAL_MAX_TOKENS, LEAST_OUTPUT)
        most = largest_cost(
            self._asker.snapshot.prices, route.provider.slug, route.upstream_model, self._now(),
            input_tokens=input_tokens, max_tokens=profile_cap(longest, route.profile),
        )  # fmt: skip
        if most is None and self._spending.cap is not None:
            self._close(
                EvaluationState.PAUSED,
                _("Nobody knows what %(model)s costs, so no cap holds: set its price, or run without a cap.")
                % {"model": route.upstream_model},
            )
            return None
        name = new_id("req_")
        if not self._spending.reserve(name, most or _ZERO):
            if not self._under_way:
                self._close(EvaluationState.CAPPED)
            return None
        return AskedStep(step, name, most or _ZERO, texts)

    def _texts(self, step: EvaluationStep) -> RecordedStep | None:
        """The recorded texts; None when there are none, which a step that still waits then says."""
        try:
            return recorded_step(step.recorded, self._user, self._since)
        except TextsNotKept:
            state = StepState.GONE
        except TextsForbidden:
            state = StepState.FORBIDDEN
        self._steps(step).filter(state=StepState.WAITING).update(state=state)
        return None

    # -- answers

    def _finish(self, future: Future[ReplayedAnswer]) -> None:
        asked = self._under_way.pop(future)
        session = self._rest.pop(future, None)
        try:
            answer: ReplayedAnswer | None = future.result()
        except Exception as problem:
            answer = None
            self._failed(asked, f"{type(problem).__name__}: {problem}")
        if answer is not None and answer.outcome is None:
            self._failed(asked, "no outcome")
        elif answer is not None and answer.outcome is not None:
            if asked.proposed is None:
                self._store(asked, answer.outcome, answer.body)
            else:
                self._store_judgement(asked, answer.outcome, answer.body)
        if session:
            # those that were begun go on before others begin
            self._sessions.appendleft(session)

    def _give_back(self, asked: AskedStep) -> None:
        """A request that is cancelled: what it cost until now is not known."""
        if asked.proposed is None:
            is_ours = asked.awaited().update(state=StepState.WAITING, answer_id="", reserved=_ZERO)
        else:
            is_ours = asked.awaited().update(judge_id="", judge_reserved=_ZERO)
        if is_ours:
            # whoever took it over has counted that already
            self._lose(asked.reserved)

    def _failed(self, asked: AskedStep, error: str) -> None:
        """A request that came to no end that the history knows; what it cost is not known either."""
        if asked.proposed is None:
            is_ours = asked.awaited().update(state=StepState.FAILED, error=error[:300])
        else:
            is_ours = asked.awaited().update(judgement=Judgement.UNCLEAR)
        if is_ours:
            self._lose(asked.reserved)
        self._spending.settle(asked.request_id, asked.reserved)

    def _store(self, asked: AskedStep, facts: Any, body: bytes) -> None:
        """Compare an answer and write the result, once."""
        cost, known = self._settled(asked, facts)
        values: dict[str, Any] = {
            "cost": cost if known else None,
            "first_byte_ms": facts.first_byte_ms,
            "duration_ms": facts.duration_ms,
            "input_tokens": facts.input_tokens,
            "output_tokens": facts.output_tokens,
            "cache_read_tokens": facts.cache_read_tokens,
        }
        proposed = read_answer(body).message if facts.state == "ok" else None
        if proposed is None:
            error = f"{facts.error_type}: {facts.error_message}" if facts.error_type else str(facts.state)
            values |= {"state": StepState.FAILED, "error": error[:300]}
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._close(
                    EvaluationState.PAUSED,
                    _("The candidate failed %(n)s times in a row: %(error)s")
                    % {"n": MOST_FAILURES, "error": error},
                )
        else:
            self._failures = 0
            values |= {"state": StepState.DONE, **compare_steps(asked.texts.taken, proposed)._asdict()}
        if asked.awaited().update(**values):
            for name, value in values.items():
                setattr(asked.step, name, value)
            asked.step.answer_id = asked.request_id
            if self._evaluation.judge_provider and values.get("verdict") in DIVERGING:
                self._divergences.append(asked.step)
            self._tell(asked.step)

    def _store_judgement(self, asked: AskedStep, facts: Any, body: bytes) -> None:
        cost, known = self._settled(asked, facts)
        first = judging.taken_comes_first(self._evaluation.pk, asked.step.recorded_id)
        message = read_answer(body).message if facts.state == "ok" else None
        said = judging.judgement(message, taken_first=first)
        asked.awaited().update(judgement=said, judge_cost=cost if known else None)

    def _settled(self, asked: AskedStep, facts: Charged) -> tuple[Decimal, bool]:
        """(what a request cost, whether that is known); what is unknown counts as all that was reserved."""
        cost, _source = cost_of(facts, self._asker.snapshot.prices)
        known = cost is not None
        if cost is None:
            cost = asked.reserved
            self._lose(cost)
        self._spending.settle(asked.request_id, cost)
        return cost, known

    def _lose(self, cost: Decimal) -> None:
        Evaluation.objects.filter(pk=self._evaluation.pk).update(lost_cost=F("lost_cost") + cost)

    def _steps(self, step: EvaluationStep) -> Any:
        return EvaluationStep.objects.filter(pk=step.pk)
