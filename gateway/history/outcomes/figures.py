"""The figures of a model, from the numbers of the totals (pure).

docs/outcomes.md, "What is counted", defines each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from gateway.history.outcomes.intervals import NOTHING, Estimate, mean, median, rate, ratio, share
from gateway.models.history.hourly_total import BUCKETS, COST_UNIT

Numbers = Mapping[str, int]
Tools = Mapping[str, Numbers]
Unit = Literal["share", "number", "tokens", "dollars", "milliseconds", "per second"]

# squares of costs are in squares of this
COST_STEP: Final = 100_000
_DOLLARS: Final = float(COST_UNIT)


class FigureKind(NamedTuple):
    """`good`: -1 when less is better, 1 when more is, 0 when neither.

    `of` takes the numbers, and those by tool.
    """

    name: str
    unit: Unit
    good: int
    of: Callable[[Numbers, Tools], Estimate]


def errors(numbers: Numbers) -> Estimate:
    """The share of calls whose result was an error, of those that the person allowed."""
    return share(numbers["errors"], numbers["results"] - numbers["rejected"])


def _tool(name: str) -> Callable[[Numbers, Tools], Estimate]:
    return lambda _numbers, tools: errors(tools[name]) if name in tools else NOTHING


def _share(part: str, *whole: str) -> Callable[[Numbers, Tools], Estimate]:
    return lambda numbers, _tools: share(numbers[part], sum(numbers[name] for name in whole))


def _mean(number: str, name: str) -> Callable[[Numbers, Tools], Estimate]:
    return lambda numbers, _tools: mean(numbers[number], numbers[name], numbers[f"{name}_sq"])


def _cost(number: str, name: str) -> Callable[[Numbers, Tools], Estimate]:
    """In US dollars; the sum is kept finer than its squares."""

    def of(numbers: Numbers, _tools: Tools) -> Estimate:
        squares = numbers[f"{name}_sq"] * COST_STEP**2
        found = mean(numbers[number], numbers[name], squares)
        if found.value is None:
            return found
        return Estimate(found.value * _DOLLARS, found.low * _DOLLARS, found.high * _DOLLARS, found.number)

    return of


def _cache(numbers: Numbers, _tools: Tools) -> Estimate:
    found = ratio(
        numbers["cached_requests"], numbers["cached_tokens"], numbers["input_tokens"],
        numbers["cached_tokens_sq"], numbers["input_tokens_sq"], numbers["cached_by_input"],
    )  # fmt: skip
    return found._replace(high=min(1.0, found.high))


def _speed(numbers: Numbers, _tools: Tools) -> Estimate:
    found = ratio(
        numbers["timed_requests"], numbers["timed_tokens"], numbers["timed_ms"],
        numbers["timed_tokens_sq"], numbers["timed_ms_sq"], numbers["tokens_by_ms"],
    )  # fmt: skip
    if found.value is None:
        return found
    return Estimate(found.value * 1000, found.low * 1000, found.high * 1000, found.number)


def _first_byte(numbers: Numbers, _tools: Tools) -> Estimate:
    return median([numbers[name] for name in BUCKETS])


FIGURES: Final = (
    FigureKind("failures", "share", -1, _share("failed", "answered", "failed")),
    FigureKind("failed_attempts", "share", -1, _share("failed_attempts", "attempts")),
    FigureKind("refusals", "share", -1, _share("refused", "answered")),
    FigureKind("cut_answers", "share", -1, _share("cut", "answered")),
    FigureKind("calls_per_turn", "number", 0, _mean("answered", "calls")),
    FigureKind("tool_errors", "share", -1, lambda numbers, _tools: errors(numbers)),
    FigureKind("edit_errors", "share", -1, _tool("Edit")),
    FigureKind("write_errors", "share", -1, _tool("Write")),
    FigureKind("rejected_calls", "share", -1, _share("rejected", "results")),
    FigureKind("repaired_arguments", "share", -1, _share("repaired", "calls")),
    FigureKind("invalid_arguments", "share", -1, _share("invalid_arguments", "compared")),
    FigureKind("unknown_tools", "share", -1, _share("unknown_tools", "checked_calls")),
    FigureKind("loops", "share", -1, _share("loops", "compared")),
    FigureKind("interruptions", "share", -1, _share("interruptions", "followed")),
    FigureKind("turns_per_prompt", "number", 0, _mean("prompts", "prompt_turns")),
    FigureKind("tokens_per_prompt", "tokens", 0, _mean("prompts", "prompt_tokens")),
    FigureKind("cost_per_prompt", "dollars", -1, _cost("priced_prompts", "prompt_cost")),
    FigureKind("cost_per_session", "dollars", -1, _cost("priced_sessions", "session_cost")),
    FigureKind(
        "compactions", "number", 0, lambda numbers, _tools: rate(numbers["compactions"], numbers["sessions"])
    ),
    FigureKind("first_byte", "milliseconds", -1, _first_byte),
    FigureKind("tokens_per_second", "per second", 1, _speed),
    FigureKind("cache_hits", "share", 1, _cache),
)
BY_NAME: Final = {kind.name: kind for kind in FIGURES}


def figures(numbers: Numbers, tools: Tools) -> dict[str, Estimate]:
    """Every figure by its name.

    `numbers` has every name of OutcomeTotal.NUMBERS, each of `tools` of ToolTotal's.
    """
    return {kind.name: kind.of(numbers, tools) for kind in FIGURES}
