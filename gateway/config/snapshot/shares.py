"""How a mapping divides its sessions: from the weights of its targets."""

from __future__ import annotations

from gateway.models import ModelMapping
from gateway.routing.shares import Shares, Weighting, weights_of


def shares_of_mapping(mapping: ModelMapping) -> Shares | None:
    """The shares of a mapping whose targets are loaded; None if no enabled target has a weight."""
    weights = weights_of((one.arm, one.weight) for one in mapping.targets.all() if one.enabled)
    return Shares(mapping.salt, (Weighting(0.0, weights),)) if weights else None
