"""Ramps from beginning to end: each change of state once, in the log of changes, whoever asks for it.

Several processes, and people beside them, may decide about one ramp at a time. Each decision names the state
that it was made on; where another one came first, nothing is done. Decide inside `acting`, so that ramp and
targets are one entry of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from gateway.config.snapshot.shares import first_arm, weights_before, weights_beside
from gateway.models import MappingTarget, ModelMapping, Ramp
from gateway.models.configuration.ramp import ACTIVE, RampState
from gateway.routing.shares import shares_of, with_share

# a decision that comes later than this counts from when it is made
LATE: Final = timedelta(seconds=60)


def problem_of(ramp: Ramp) -> str:
    """Why a ramp that is about to be made would not do what it says; "" if nothing is wrong."""
    mapping, new = ramp.mapping, ramp.target
    if not new.enabled:
        return _("The new target is disabled.")
    if not weights_beside(mapping, new.arm):
        return _("The mapping has no other enabled target.")
    if first_arm(mapping) == new.arm and not any(one.weight for one in mapping.targets.all() if one.enabled):
        return _("This target gets all sessions already.")
    present = 100 * shares_of(weights_before(mapping, new.arm)).get(new.arm, 0.0)
    if ramp.steps and ramp.steps[0]["share"] < present:
        return _("The target has %(share)s %% of the sessions already; begin with more.") % {
            "share": f"{present:.3g}"
        }
    return ""


def begin(ramp: Ramp, now: datetime) -> bool:
    """Begin the first step of a waiting ramp, at the time that it names; whether this call did."""

    def change(locked: Ramp) -> None:
        locked.state, locked.step = RampState.RUNNING, 0
        locked.step_since = _moment(locked.starts_at, now)

    return _decided(ramp, change)


def begin_step(ramp: Ramp, now: datetime, due: datetime | None = None) -> bool:
    """Begin the next step, which was `due` then, or end the ramp after the last; whether this call did."""
    if ramp.step + 1 >= len(ramp.steps):
        return finish(ramp, now)

    def change(locked: Ramp) -> None:
        locked.step += 1
        locked.step_since = _moment(due, now)

    return _decided(ramp, change)


def finish(ramp: Ramp, now: datetime) -> bool:
    """End a ramp where it stands: the shares of its step become the weights of the targets."""

    def change(locked: Ramp) -> None:
        locked.state, locked.ended_at = RampState.DONE, now
        others = weights_beside(locked.mapping, locked.target.arm)
        _store_weights(locked.mapping, with_share(others, locked.target.arm, locked.share / 100))

    return _decided(ramp, change)


def roll_back(ramp: Ramp, now: datetime, figures: Mapping[str, Any] | None = None) -> bool:
    """Give all sessions back to the other targets; `figures`: what a guard saw. Whether this call did."""

    def change(locked: Ramp) -> None:
        if locked.state != RampState.WAITING:
            _store_weights(locked.mapping, weights_beside(locked.mapping, locked.target.arm))
        locked.state, locked.ended_at, locked.figures = RampState.ROLLED_BACK, now, dict(figures or {})

    return _decided(ramp, change)


def pause(ramp: Ramp) -> bool:
    """Stay at the step under way. Guards go on watching."""

    def change(locked: Ramp) -> None:
        locked.state = RampState.PAUSED

    return ramp.state == RampState.RUNNING and _decided(ramp, change)


def go_on(ramp: Ramp, now: datetime) -> bool:
    """Go on with a paused ramp; its step begins anew."""

    def change(locked: Ramp) -> None:
        locked.state, locked.step_since = RampState.RUNNING, now

    return ramp.state == RampState.PAUSED and _decided(ramp, change)


def _decided(ramp: Ramp, change: Callable[[Ramp], None]) -> bool:
    """Whether `change` was made: only if the stored ramp is in the state and step of `ramp`."""
    with transaction.atomic():
        stored = Ramp.objects.select_for_update().filter(pk=ramp.pk, state__in=ACTIVE)
        locked = stored.filter(state=ramp.state, step=ramp.step, step_since=ramp.step_since).first()
        if locked is None:
            return False
        change(locked)
        locked.save()
    for field in ("state", "step", "step_since", "ended_at", "figures"):
        setattr(ramp, field, getattr(locked, field))
    return True


def _moment(due: datetime | None, now: datetime) -> datetime:
    """When a change that was due began: then, as each process knew, unless nobody looked for a while."""
    return due if due is not None and now - due <= LATE else now


def _store_weights(mapping: ModelMapping, weights: Mapping[str, float]) -> None:
    """Weights by arm, in percent; a target without one only stands in."""
    targets = list(MappingTarget.objects.filter(mapping=mapping, enabled=True).select_related("provider"))
    shares, seen = shares_of(weights), set[str]()
    for target in targets:
        weight = (
            None if target.arm in seen or target.arm not in shares else round(100 * shares[target.arm], 4)
        )
        seen.add(target.arm)
        if target.weight != weight:
            target.weight = weight
            target.save()
