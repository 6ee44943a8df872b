"""Captured answers -> verified counts and times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.answers import answer_for
from bench.captured import Captured, WrongAnswer, decoded
from bench.verify import Form, verified

SHOWN_PROBLEMS: Final = 5


def result_of(
    answers: Sequence[Captured], form: Form, *, stream: bool, expected: int, settled: int = 0
) -> dict[str, Any]:
    """Verify every answer; times in ms as {"p50", "p99", "max"}, of right answers only.

    `lag`: from the upstream's clock in the text to its arrival here, for text
    written at `settled` (monotonic nanoseconds) or later. `wrong` counts also the
    answers which never came.
    """
    first_byte, first_text, total, lags, problems = [], [], [], [], []
    wrong = max(0, expected - len(answers))
    size = 0
    for captured in answers:
        try:
            answer = decoded(captured)
            found = verified(answer, answer_for(captured.model), form, stream=stream)
        except WrongAnswer as problem:
            wrong += 1
            if len(problems) < SHOWN_PROBLEMS:
                problems.append(str(problem))
            continue
        size += len(answer.body)
        first_byte.append(captured.reads[0][0] - captured.started)
        first_text.append(answer.arrived(found.first_content or 0) - captured.started)
        total.append(captured.reads[-1][0] - captured.started)
        lags += [answer.arrived(end) - clock for clock, end in found.clocks if clock >= settled]
    return {
        "right": expected - wrong,
        "wrong": wrong,
        "problems": problems,
        "body_bytes": size,
        "first_byte_ms": _spread(first_byte),
        "first_text_ms": _spread(first_text),
        "total_ms": _spread(total),
        "lag_ms": _spread(lags),
    }


def _spread(nanoseconds: list[int]) -> dict[str, float] | None:
    if not nanoseconds:
        return None
    ordered = sorted(nanoseconds)
    last = len(ordered) - 1
    at = {"p50": last // 2, "p99": round(last * 0.99), "max": last}
    return {name: ordered[index] / 1e6 for name, index in at.items()}
