"""Which guard of a ramp trips: the new arm's figures beside those of the other arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.history.arms import ArmFigures, figures, rows_of_arm
from gateway.models import Ramp

# how far back the other arms are looked for when they have no sessions any more
OTHERS_BACK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Sides:
    """Figures of the new arm and of the others, over the same time, from `since` on."""

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


def sides(ramp: Ramp, now: datetime) -> tuple[Sides, ...]:
    """The sides over the time that the guards look back, and over the whole step. Raises as the database."""
    step = ramp.step_since or now
    new, others = ramp.target.arm, _other_arms(ramp)
    new_rows = rows_of_arm(ramp.mapping_id, new, step)
    other_rows = [row for arm in others for row in rows_of_arm(ramp.mapping_id, arm, step)]
    found = []
    for since in (now - timedelta(minutes=ramp.guard_minutes), step):
        if since >= step:
            found.append(Sides(since, figures(new_rows, since), figures(other_rows, since)))
    if any(not one.others.requests for one in found):
        # the step left them nothing: what they did before stands for them
        earlier = figures(
            row for arm in others for row in rows_of_arm(ramp.mapping_id, arm, now - OTHERS_BACK)
        )
        found = [one if one.others.requests else Sides(one.since, one.new, earlier) for one in found]
    return tuple(found)


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
    return texts[guard] % {**values, **counts} if guard in texts else ""


def _trips(ramp: Ramp, side: Sides) -> Iterator[Trip]:
    new, others = side.new, side.others
    for guard, most, seen, other in (
        ("errors", ramp.guard_errors, new.failed_share, others.failed_share or 0.0),
        ("tools", ramp.guard_tools, new.failed_calls_share, others.failed_calls_share or 0.0),
    ):
        if most is not None and seen is not None and seen > other + most:
            yield Trip(guard, seen, other, other + most, side)
    for guard, percent, measured, compared in (
        ("first_byte", ramp.guard_first_byte, new.first_byte_ms, others.first_byte_ms),
        ("cost", ramp.guard_cost, new.session_cost, others.session_cost),
    ):
        if percent is None or measured is None or compared is None:
            continue
        allowed = compared * (1 + percent / 100)
        if measured > allowed:
            yield Trip(guard, measured, compared, allowed, side)


def _other_arms(ramp: Ramp) -> list[str]:
    targets = ramp.mapping.targets.filter(enabled=True).select_related("provider")
    return sorted({one.arm for one in targets} - {ramp.target.arm})
