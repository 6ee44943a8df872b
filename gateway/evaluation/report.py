"""What an evaluation shows: how often the candidate agrees, by class and by tool, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final, NamedTuple

from gateway.evaluation.comparison.steps import AGREEING, DIVERGING, StepVerdict
from gateway.evaluation.shares import Share
from gateway.evaluation.spending import spent_on
from gateway.models import Evaluation
from gateway.models.operation.evaluation import StepState

_ZERO: Final = Decimal(0)
# verdicts of calls of the same tool, and of those with the same target
_SAME_TOOL: Final = frozenset({*AGREEING, StepVerdict.EFFECT, StepVerdict.TOOL})
_SAME_TARGET: Final = frozenset({*AGREEING, StepVerdict.EFFECT})


class ReportedStep(NamedTuple):
    """What a report reads of each step; names as in EvaluationStep and DatasetStep."""

    pk: int
    state: str
    verdict: str
    tool: str
    overlap: float | None
    cost: Decimal | None
    first_byte_ms: int | None
    judgement: str
    recorded_id: int
    position: int
    session: str
    agent_id: str
    request_class: str
    mapping_pk: int | None
    recorded_cost: Decimal | None
    recorded_first_byte_ms: int | None


_COLUMNS: Final = (
    "pk", "state", "verdict", "tool", "overlap", "cost", "first_byte_ms", "judgement", "recorded_id",
    "recorded__position", "recorded__session", "recorded__agent_id", "recorded__request_class",
    "recorded__mapping_pk", "recorded__cost", "recorded__first_byte_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepGroup:
    """Steps of one class, or all. `agrees`, `same_tool` and `same_target` are of those that called a tool.

    `texts`: steps where both answered in text; `overlap`: their median. Costs are of the steps whose cost is
    known for both, in US dollars; `first_byte`: medians in milliseconds, recorded and candidate.
    """

    name: str
    steps: int
    agrees: Share
    same_tool: Share
    same_target: Share
    failed: Share
    texts: int
    overlap: float | None
    cost: Decimal
    recorded_cost: Decimal
    priced: int
    first_byte: tuple[float | None, float | None]

    @property
    def saved(self) -> float | None:
        """The share of the recorded cost that the candidate saves; negative when it costs more."""
        return None if not self.recorded_cost else float(1 - self.cost / self.recorded_cost)


@dataclass(frozen=True, slots=True)
class ToolRow:
    """The steps that called one tool first, by verdict."""

    tool: str
    agrees: Share
    verdicts: dict[str, int]


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """One agent of one session. `first`: its first divergence and which of its compared steps that is."""

    session: str
    agent_id: str
    compared: int
    agreed: int
    first: ReportedStep | None
    first_at: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """`states`: how many steps are in each; `judged`: how many divergences the judge rated how."""

    states: dict[str, int]
    whole: StepGroup
    classes: list[StepGroup]
    tools: list[ToolRow]
    threads: list[ThreadRow]
    judged: dict[str, int]
    spent: Decimal

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def left(self) -> int:
        """Steps that nobody has asked for yet."""
        return self.states.get(StepState.WAITING, 0) + self.states.get(StepState.ASKING, 0)


def steps_of(evaluation: Evaluation) -> list[ReportedStep]:
    """All steps of an evaluation, in the order of its dataset."""
    rows = evaluation.steps.order_by("recorded__position").values_list(*_COLUMNS)
    return [ReportedStep._make(row) for row in rows]


def report(evaluation: Evaluation) -> EvaluationReport:
    """The report of what is stored by now."""
    steps = steps_of(evaluation)
    by_class: dict[str, list[ReportedStep]] = {}
    for step in steps:
        by_class.setdefault(step.request_class, []).append(step)
    classes = [group(name, some) for name, some in by_class.items()]
    return EvaluationReport(
        dict(Counter(step.state for step in steps)),
        group("", steps),
        sorted(classes, key=lambda one: -one.steps),
        _tools(steps),
        _threads(steps),
        dict(Counter(step.judgement for step in steps if step.judgement)),
        spent_on(evaluation),
    )


def group(name: str, steps: Sequence[ReportedStep]) -> StepGroup:
    """The numbers of some steps."""
    done = [step for step in steps if step.state == StepState.DONE]
    compared = [step for step in done if step.verdict != StepVerdict.TEXT]
    failed = sum(step.state == StepState.FAILED for step in steps)
    texts = [step.overlap for step in done if step.verdict == StepVerdict.TEXT and step.overlap is not None]
    priced = [
        (step.cost, step.recorded_cost)
        for step in done
        if step.cost is not None and step.recorded_cost is not None
    ]
    return StepGroup(
        name,
        len(steps),
        _share(compared, AGREEING),
        # a text against a call is about no tool
        _share([step for step in compared if step.tool], _SAME_TOOL),
        _share([step for step in compared if step.tool], _SAME_TARGET),
        Share(failed, failed + len(done)),
        len(texts),
        median(texts) if texts else None,
        sum((cost for cost, _recorded in priced), _ZERO),
        sum((recorded for _cost, recorded in priced), _ZERO),
        len(priced),
        (_median(step.recorded_first_byte_ms for step in done), _median(step.first_byte_ms for step in done)),
    )


def _share(steps: Sequence[ReportedStep], good: Iterable[StepVerdict]) -> Share:
    wanted = frozenset(good)
    return Share(sum(step.verdict in wanted for step in steps), len(steps))


def _median(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _tools(steps: Sequence[ReportedStep]) -> list[ToolRow]:
    found: dict[str, list[ReportedStep]] = {}
    for step in steps:
        if step.state == StepState.DONE and step.verdict != StepVerdict.TEXT:
            found.setdefault(step.tool, []).append(step)
    rows = [
        ToolRow(tool, _share(some, AGREEING), dict(Counter(step.verdict for step in some)))
        for tool, some in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.agrees.whole, row.tool))


def _threads(steps: Sequence[ReportedStep]) -> list[ThreadRow]:
    found: dict[tuple[str, str], list[ReportedStep]] = {}
    for step in steps:
        if step.state == StepState.DONE:
            found.setdefault((step.session, step.agent_id), []).append(step)
    rows = []
    for (session, agent_id), some in found.items():
        first = next((at for at, step in enumerate(some) if step.verdict in DIVERGING), None)
        agreed = sum(step.verdict in AGREEING for step in some)
        compared = sum(step.verdict != StepVerdict.TEXT for step in some)
        diverging = None if first is None else some[first]
        rows.append(
            ThreadRow(session, agent_id, compared, agreed, diverging, 0 if first is None else first + 1)
        )
    return rows


class ComparedRow(NamedTuple):
    """One recorded step and what two candidates did."""

    one: ReportedStep
    other: ReportedStep

    @property
    def standing(self) -> str:
        """both, one, other or neither: who agrees with what was done; text; none: not both were compared."""
        if not (self.one.state == self.other.state == StepState.DONE):
            return "none"
        if (
            StepVerdict.TEXT in (self.one.verdict, self.other.verdict)
            and self.one.verdict == self.other.verdict
        ):
            return "text"
        agree = (self.one.verdict in AGREEING, self.other.verdict in AGREEING)
        return {(True, True): "both", (True, False): "one", (False, True): "other"}.get(agree, "neither")


def compared(one: Evaluation, other: Evaluation) -> list[ComparedRow]:
    """Two evaluations of one dataset, row by row."""
    theirs = {step.recorded_id: step for step in steps_of(other)}
    return [
        ComparedRow(step, theirs[step.recorded_id]) for step in steps_of(one) if step.recorded_id in theirs
    ]
