"""How a mapping divides its sessions: by the weights of its targets, or by the ramp that is under way."""

from __future__ import annotations

import logging
from datetime import timedelta

from gateway.models import ModelMapping, Ramp
from gateway.models.configuration.ramp import RampState, steps_problem
from gateway.routing.shares import Shares, Weighting, weights_of, with_share

logger = logging.getLogger(__name__)


def shares_of_mapping(mapping: ModelMapping) -> Shares | None:
    """The shares of a mapping; None if no enabled target has a weight and no ramp is under way.

    Read `targets` with their providers and `ramps` beforehand. A step that ends at a known time, with no
    guard to ask, has the next one behind it: each process begins it at its time by itself.
    """
    weights = weights_of((one.arm, one.weight) for one in mapping.targets.all() if one.enabled)
    ramp = next((one for one in mapping.ramps.all() if one.is_active), None)
    new = None if ramp is None else _arm(mapping, ramp)
    if ramp is None or new is None:
        return Shares(mapping.salt, (Weighting(0.0, weights),)) if weights else None
    others = weights_beside(mapping, new)
    steps = [with_share(others, new, step["share"] / 100) for step in ramp.steps]
    if ramp.state == RampState.WAITING:
        standing = Weighting(0.0, weights or {first_arm(mapping): 1.0})
        if ramp.starts_at is None:
            return Shares(mapping.salt, (standing,))
        first = Weighting(
            ramp.starts_at.timestamp(), steps[0], standing.weights, ramp.steps[0]["share"] / 100
        )
        return Shares(mapping.salt, (standing, first))
    before = steps[ramp.step - 1] if ramp.step else weights_before(mapping, new)
    since = ramp.step_since.timestamp() if ramp.step_since else 0.0
    under_way = Weighting(since, steps[ramp.step], before, ramp.share / 100)
    return Shares(mapping.salt, (under_way, *_following(ramp, steps)))


def weights_beside(mapping: ModelMapping, new: str) -> dict[str, float]:
    """How the other arms stand to each other: by weight, or else the first of them alone; {} without any."""
    others = [one for one in mapping.targets.all() if one.enabled and one.arm != new]
    weights = weights_of((one.arm, one.weight) for one in others)
    return weights or {one.arm: 1.0 for one in others[:1]}


def weights_before(mapping: ModelMapping, new: str) -> dict[str, float]:
    """The weights that would be in force without a ramp."""
    weights = weights_of((one.arm, one.weight) for one in mapping.targets.all() if one.enabled)
    return weights or weights_beside(mapping, new)


def first_arm(mapping: ModelMapping) -> str:
    """The arm that gets everything in a mapping without weights."""
    return next((one.arm for one in mapping.targets.all() if one.enabled), "")


def _arm(mapping: ModelMapping, ramp: Ramp) -> str | None:
    """The new arm; None if its target is switched off, or the ramp has no such step or none at all."""
    if steps_problem(ramp.steps):
        logger.error("mapping %s: its ramp cannot be read and is left out; end it", mapping.pattern)
        return None
    if ramp.step >= len(ramp.steps):
        return None
    return next((one.arm for one in mapping.targets.all() if one.pk == ramp.target_id and one.enabled), None)


def _following(ramp: Ramp, steps: list[dict[str, float]]) -> list[Weighting]:
    seconds = ramp.steps[ramp.step].get("seconds")
    last = ramp.step + 1 >= len(steps)
    if ramp.state != RampState.RUNNING or ramp.is_guarded or last or not seconds or ramp.step_since is None:
        return []
    at = ramp.step_since + timedelta(seconds=seconds)
    share = ramp.steps[ramp.step + 1]["share"] / 100
    return [Weighting(at.timestamp(), steps[ramp.step + 1], steps[ramp.step], share)]
