"""Which guard of a ramp trips: the new arm's figures beside those of the other arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.history.arms import (
    MOST_ROWS,
    ArmFigures,
    costs_of_arms,
    figures,
    reach,
    rows_of_arm,
    sessions_seen,
)
from gateway.models import Ramp

# how far back the other arms are looked for when they have too few sessions in a step
OTHERS_BACK: Final = timedelta(days=7)

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Sides:
    """Figures of the new arm from `since` on and of the others, as `Arms.compared` chooses them."""

    since: datetime
    new: ArmFigures
    others: ArmFigures


@dataclass(frozen=True, slots=True)
class Trip:
    """A guard that trips (a field without `guard_`), what it saw and the most that it allows, in its unit."""

    guard: str
    seen: float
    other: float
    most: float
    sides: Sides

    def as_json(self) -> dict[str, Any]:
        """For Ramp.figures."""
        return {
            "guard": self.guard,
            "seen": round(self.seen, 4),
            "other": round(self.other, 4),
            "most": round(self.most, 4),
            "since": self.sides.since.isoformat(),
            "new": self.sides.new.as_json(),
            "others": self.sides.others.as_json(),
        }


def sides(ramp: Ramp, now: datetime, *, with_costs: bool = False) -> tuple[Sides, ...]:
    """The sides over the time that the guards look back, and over the whole step. Raises as the database.

    `with_costs`: read the costs of sessions even if no guard compares them.
    """
    step = ramp.step_since or now
    arms = Arms(ramp, now, with_costs=with_costs or ramp.guard_cost is not None)
    new_rows = rows_of_arm(ramp.mapping_id, arms.new, step)
    other_rows = [rows_of_arm(ramp.mapping_id, arm, step) for arm in arms.others]
    windows = [since for since in (now - timedelta(minutes=ramp.guard_minutes), step) if since >= step]
    return tuple(arms.compared(since, new_rows, other_rows) for since in windows)


class Arms:
    """The arms of a ramp at a time: the new one and the others, and what is compared of them."""

    def __init__(self, ramp: Ramp, now: datetime, *, with_costs: bool) -> None:
        targets = ramp.mapping.targets.filter(enabled=True).select_related("provider")
        self.new = ramp.target.arm
        self.others = sorted({one.arm for one in targets} - {self.new})
        self._ramp, self._now, self._with_costs = ramp, now, with_costs
        self._before: ArmFigures | None = None

    def compared(self, since: datetime, new_rows: Rows, other_rows: Sequence[Rows]) -> Sides:
        """Both sides from `since` on, over the same time.

        Where either side has too few sessions then, all of the new arm is compared with the newest requests
        of the others, from the step or before it.
        """
        least = self._ramp.guard_sessions
        same = max([since, *(reach(rows, since) for rows in (new_rows, *other_rows))])
        new, others = figures(new_rows, same), figures(chain.from_iterable(other_rows), same)
        if new.sessions < least or others.sessions < least:
            new, others = figures(new_rows, since), self._newest_of_others()
        if new.sessions < least and len(new_rows) == MOST_ROWS:
            # few long sessions fill the rows that were read
            new = replace(new, sessions=sessions_seen(self._ramp.mapping_id, self.new, since))
        return self._priced(Sides(since, new, others))

    def _newest_of_others(self) -> ArmFigures:
        """Figures of the newest requests of the others, however few sessions they are of."""
        if self._before is None:
            pk, since, least = self._ramp.mapping_id, self._now - OTHERS_BACK, self._ramp.guard_sessions
            rows = [rows_of_arm(pk, arm, since) for arm in self.others]
            found = figures(chain.from_iterable(rows))
            if found.sessions < least and any(len(one) == MOST_ROWS for one in rows):
                seen = sum(sessions_seen(pk, arm, since) for arm in self.others)
                found = replace(found, sessions=seen)
            self._before = found
        return self._before

    def _priced(self, side: Sides) -> Sides:
        """With the costs of sessions that began in this time, up to one age on both sides."""
        if not self._with_costs:
            return side
        pk, least = self._ramp.mapping_id, self._ramp.guard_sessions
        new = costs_of_arms(pk, [self.new], side.since, self._now)
        for since in (side.since, self._now - OTHERS_BACK):
            others = costs_of_arms(pk, self.others, since, self._now)
            # half of the time, so that those of its first half have reached the age
            age = min(new.span, others.span) / 2
            cost, number = others.young_cost(age)
            if number >= least:
                seen, new_number = new.young_cost(age)
                return replace(
                    side,
                    new=replace(side.new, session_cost=seen, priced_sessions=new_number),
                    others=replace(side.others, session_cost=cost, priced_sessions=number),
                )
        return side


def trip(ramp: Ramp, found: Sequence[Sides]) -> Trip | None:
    """The first guard that trips; None if none does, or the new arm had too few sessions."""
    judged = [one for one in found if one.new.sessions >= ramp.guard_sessions]
    return next((one for side in judged for one in _trips(ramp, side)), None)


def may_go_on(ramp: Ramp, found: Sequence[Sides]) -> bool:
    """Whether the guards have seen enough of the step to let it end."""
    return not ramp.is_guarded or any(one.new.sessions >= ramp.guard_sessions for one in found)


def tripped_text(figures: Any) -> str:
    """A sentence about the figures that a trip left in its ramp; "" if they are none."""
    try:
        return _tripped_text(figures)
    except (AttributeError, TypeError, ValueError):
        return ""


def _tripped_text(figures: Mapping[str, Any]) -> str:
    new = figures.get("new", {})
    texts = {
        "errors": _("Failures: %(seen)s of %(requests)d requests; others: %(other)s, at most %(most)s."),
        "tools": _("Failed tool calls: %(seen)s of %(calls)d; others: %(other)s, at most %(most)s."),
        "first_byte": _(
            "First byte of 95 of 100 requests: %(seen)s of %(requests)d; others: %(other)s, at most %(most)s."
        ),
        "cost": _("Cost of a session: %(seen)s in %(sessions)d; others: %(other)s, at most %(most)s."),
    }
    guard = str(figures.get("guard", ""))
    units = {"first_byte": "%.0f ms", "cost": "$%.4f"}
    values = {
        name: units.get(guard, "%.1f %%") % figures.get(name, 0.0) for name in ("seen", "other", "most")
    }
    counts = {name: new.get(name, 0) for name in ("requests", "calls", "sessions")}
    if guard == "cost":
        counts["sessions"] = new.get("priced_sessions") or counts["sessions"]
    return texts[guard] % {**values, **counts} if guard in texts else ""


def _trips(ramp: Ramp, side: Sides) -> Iterator[Trip]:
    new, others = side.new, side.others
    # sessions that the others lack count as without failures: few of them prove neither trouble nor health
    weight = min(1.0, others.sessions / ramp.guard_sessions)
    for guard, most, seen, other in (
        ("errors", ramp.guard_errors, new.failed_share, weight * (others.failed_share or 0.0)),
        ("tools", ramp.guard_tools, new.failed_calls_share, weight * (others.failed_calls_share or 0.0)),
    ):
        if most is not None and seen is not None and seen > other + most:
            yield Trip(guard, seen, other, other + most, side)
    # the slowest of a few say nothing
    first_byte = others.first_byte_ms if others.sessions >= ramp.guard_sessions else None
    for guard, percent, measured, compared in (
        ("first_byte", ramp.guard_first_byte, new.first_byte_ms, first_byte),
        ("cost", ramp.guard_cost, _judged_cost(ramp, new), _judged_cost(ramp, others)),
    ):
        if percent is None or measured is None or compared is None:
            continue
        allowed = compared * (1 + percent / 100)
        if measured > allowed:
            yield Trip(guard, measured, compared, allowed, side)


def _judged_cost(ramp: Ramp, figures: ArmFigures) -> float | None:
    return figures.session_cost if figures.priced_sessions >= ramp.guard_sessions else None
