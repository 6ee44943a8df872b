"""The tables of a run, as Markdown: every measure of every target, then the goals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.collected import Collected, Spread
from bench.goals import GOALS, MEASURES


def tables(run: Collected, targets: Sequence[str]) -> str:
    parts = [measures_table(run, targets), goals_table(run), *notes(run)]
    return "\n\n".join(part for part in parts if part)


def measures_table(run: Collected, targets: Sequence[str]) -> str:
    """Medians, and in brackets the least and the most."""
    rows = []
    for measure in MEASURES:
        spreads = [measure.spread(run, target) for target in targets]
        if any(spreads):
            rows.append([f"{measure.name}, {measure.unit}", *(_with_range(spread) for spread in spreads)])
    return markdown(["measure", *targets], rows)


def goals_table(run: Collected) -> str:
    """`reached` is `goal`, `yes` (at least) or `NO`; rows without figures are left out.

    `pairs`: the number of repetitions behind the ratio, and of how many; in the others the core changed
    speed.
    """
    rows = []
    for goal in GOALS:
        found = goal.result(run)
        if found is not None:
            unit = "x" if goal.reference else f" {goal.measure.unit}"
            limits = [f"{limit:g}{unit}" for limit in (goal.at_least, goal.goal)]
            pairs = f"{len(found.values)}/{run.repetitions(goal.measure.workload)}"
            rows.append([goal.title, _with_range(found) + unit, pairs, *limits, goal.mark(found.median)])
    return markdown(["ours : reference", "median (least-most)", "pairs", "at least", "goal", "reached"], rows)


def notes(run: Collected) -> Iterable[str]:
    """Wrong answers; visits with any are not in the tables."""
    for workload, by_target in run.visits.items():
        for target in by_target:
            wrong = run.wrong(workload, target)
            if wrong:
                first = next(iter(run.problems(workload, target)), "")
                yield f"{workload}, {target}: {wrong} WRONG ANSWERS, e.g. {first}"


def _with_range(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if len(spread.values) == 1:
        return _short(spread.median)
    return f"{_short(spread.median)} ({_short(spread.least)}-{_short(spread.most)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
