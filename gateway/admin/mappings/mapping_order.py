"""Where a new mapping stands, and which mappings no name leads to."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest
from django.utils.translation import gettext as _

from gateway.config.snapshot.loader import mapping_rules
from gateway.models import ModelMapping, Origin
from gateway.routing.reach import never_reached, position_for

_STEP: Final = 10
_MOST_WARNINGS: Final = 3


def new_position(pattern: str) -> int:
    """Where a new mapping of an admin stands: last, or in front of what would take all its names."""
    own = ModelMapping.objects.filter(origin=Origin.ADMIN, environment_key="")
    last = own.aggregate(last=Max("position"))["last"] or 0
    before = position_for(mapping_rules(), pattern)
    return last + _STEP if before is None else min(before, last + _STEP)


def out_of_force() -> dict[int, str]:
    """Why a mapping that is enabled is not in force, by its primary key."""
    rules = mapping_rules()
    never = _("never reached: %(pattern)s wins")
    found = {pk: never % {"pattern": first.pattern} for pk, first in never_reached(rules).items()}
    # an enabled record whose rule is not: the demo, as long as something real serves
    stepped_back = {rule.id: _("stepped back: a real provider serves") for rule in rules if not rule.enabled}
    return {**stepped_back, **found}


def warn_of_unreached(request: HttpRequest) -> None:
    """Say which mappings no name leads to, after mappings were written."""
    rules = mapping_rules()
    patterns = {rule.id: rule.pattern for rule in rules}
    for pk, first in list(never_reached(rules).items())[:_MOST_WARNINGS]:
        text = _("%(pattern)s is never reached: %(first)s stands before it and takes all its names.")
        messages.warning(request, text % {"pattern": patterns[pk], "first": first.pattern})
