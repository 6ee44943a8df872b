"""Targets of mappings whose model ends soon, or has ended."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from django.utils.translation import gettext as _

from gateway.config.model_lifecycle.lifecycle import NOTICE, ModelLife, life_of
from gateway.models import MappingTarget


class Ending(NamedTuple):
    """A target that is in use, and what is announced for its model."""

    target: MappingTarget
    life: ModelLife


def ending_targets(today: date) -> list[Ending]:
    """Targets in use whose model ends within 90 days or has ended; the next end first."""
    targets = MappingTarget.objects.filter(enabled=True, mapping__enabled=True, provider__enabled=True)
    found = []
    for target in targets.select_related("mapping", "provider").order_by(
        "mapping__position", "position", "pk"
    ):
        life = life_of(target.provider.base_url, target.upstream_model)
        if life is not None and life.days(today) <= max(NOTICE):
            found.append(Ending(target, life))
    return sorted(found, key=lambda ending: ending.life.ends)


def ending_text(life: ModelLife, today: date) -> str:
    """One sentence, in the reader's language."""
    facts = {"model": life.model, "day": life.ends.isoformat(), "successor": life.successor}
    if life.stage(today) == "retired":
        return _("%(model)s ended on %(day)s: requests for it fail. Its successor is %(successor)s.") % facts
    return _("%(model)s ends on %(day)s. Its successor is %(successor)s.") % facts
