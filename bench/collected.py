"""The visits of a run, and what is computed from them: medians, spreads, ratios per repetition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.measure import steady
from bench.workloads import CHUNKS

Visit = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)


@dataclass(slots=True)
class Collected:
    """`visits[workload][target]` = one visit per repetition, None where it was left out."""

    visits: dict[str, dict[str, list[Visit | None]]] = field(default_factory=dict)

    def add(self, workload: str, target: str, repetition: int, visit: Visit) -> None:
        row = self.visits.setdefault(workload, {}).setdefault(target, [])
        row += [None] * (repetition + 1 - len(row))
        row[repetition] = visit

    def repetitions(self, workload: str) -> int:
        return max((len(row) for row in self.visits.get(workload, {}).values()), default=0)

    def left_out(self, workload: str, *targets: str) -> list[int]:
        """The repetitions in which the core did not run at the same speed for these targets' visits."""
        rows = [self.visits.get(workload, {}).get(target, []) for target in targets]
        every = range(max((len(row) for row in rows), default=0))
        return [number for number in every if not steady(_speeds(rows, number))]

    def kept(self, workload: str, *targets: str) -> list[int]:
        """The other repetitions; all of them, when there are no others."""
        rows = [self.visits.get(workload, {}).get(target, []) for target in targets]
        every = list(range(max((len(row) for row in rows), default=0)))
        dropped = self.left_out(workload, *targets)
        return [number for number in every if number not in dropped] or every

    def one(self, workload: str, target: str, repetition: int, *path: str) -> float | None:
        """A measured value, e.g. one("paced", "ours", 0, "lag_ms", "p99").

        None when there is none, or when the visit had wrong answers, which cost something else.
        """
        row = self.visits.get(workload, {}).get(target, [])
        value: Any = row[repetition] if repetition < len(row) else None
        if value is None or value["wrong"]:
            return None
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            value = median(value) if value else None
        return None if value is None else float(value)

    def wrong(self, workload: str, target: str) -> int:
        return sum(visit["wrong"] for visit in self.visits.get(workload, {}).get(target, []) if visit)

    def problems(self, workload: str, target: str) -> Sequence[str]:
        return [text for visit in self.visits[workload][target] if visit for text in visit["problems"]]


def _speeds(rows: Sequence[list[Visit | None]], repetition: int) -> list[float]:
    found = [row[repetition] for row in rows if repetition < len(row)]
    return [speed for visit in found if visit for speed in visit["speeds"]] or [1.0]


# (target, repetition) -> value
Value = Callable[[Collected, str, int], float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One row: where its value comes from. `workload` decides which repetitions count."""

    name: str
    unit: str
    workload: str
    value: Value

    def spread(self, run: Collected, target: str) -> Spread | None:
        found = [self.value(run, target, number) for number in run.kept(self.workload, target)]
        values = tuple(value for value in found if value is not None)
        return Spread(values) if values else None

    def ratios(
        self, run: Collected, target: str, reference: str, base: Measure | None = None
    ) -> Spread | None:
        """This measure of `target` to `base` (or the same) of `reference`, repetition by repetition."""
        values = []
        for number in run.kept(self.workload, target, reference):
            ours, theirs = self.value(run, target, number), (base or self).value(run, reference, number)
            if ours is not None and theirs is not None and theirs > 0:
                values.append(ours / theirs)
        return Spread(tuple(values)) if values else None


def plain(workload: str, *path: str) -> Value:
    return lambda run, target, number: run.one(workload, target, number, *path)


def per_chunk(workload: str) -> Value:
    """Microseconds of CPU for one chunk: (a stream of 300 - a stream of 1) / 299."""

    def value(run: Collected, target: str, number: int) -> float | None:
        whole, single = (
            run.one(workload, target, number, "cpu_ms"),
            run.one("stream-1", target, number, "cpu_ms"),
        )
        return None if whole is None or single is None else (whole - single) / (CHUNKS - 1) * 1000

    return value


def added(workload: str) -> Value:
    """Milliseconds until the first text, beyond those of the bare upstream."""

    def value(run: Collected, target: str, number: int) -> float | None:
        through = run.one(workload, target, number, "first_text_ms", "p50")
        bare = run.one(workload, "upstream", number, "first_text_ms", "p50")
        return None if through is None or bare is None else through - bare

    return value
