"""The position of a new mapping, and which mappings no request can reach."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest
from django.utils.translation import gettext as _

from gateway.config.snapshot.rules import mapping_rules
from gateway.models import ModelMapping, Origin
from gateway.models.configuration.condition_words import sentence_of
from gateway.routing.reach import Unreached, never_reached, position_for
from gateway.routing.snapshot import MappingRule

_STEP: Final = 10
_MOST_WARNINGS: Final = 3


def new_position(pattern: str) -> int:
    """The position of an admin's new mapping: last, or before the first one that would take all its names."""
    own = ModelMapping.objects.filter(origin=Origin.ADMIN, environment_key="")
    last = own.aggregate(last=Max("position"))["last"] or 0
    before = position_for(mapping_rules(), pattern)
    return last + _STEP if before is None else min(before, last + _STEP)


def out_of_force() -> dict[int, str]:
    """Why an enabled mapping is not in force, by primary key."""
    rules = mapping_rules()
    patterns = {rule.id: rule.pattern for rule in rules}
    found = {pk: _badge(why, patterns[pk]) for pk, why in never_reached(rules).items()}
    # the record is enabled and its rule is not: the demo, while a real provider serves
    stepped_back = {rule.id: _("stepped back: a real provider serves") for rule in rules if not rule.enabled}
    return {**stepped_back, **found}


def why_never(pk: int) -> str:
    """Why no request can reach a stored mapping, in a sentence; "" if some may."""
    rules = mapping_rules()
    why = never_reached(rules).get(pk)
    return "" if why is None else _sentence(why, next(rule.pattern for rule in rules if rule.id == pk))


def warn_of_unreached(request: HttpRequest) -> None:
    """Warn of mappings that no request can reach, after mappings were saved."""
    rules = mapping_rules()
    patterns = {rule.id: rule.pattern for rule in rules}
    for pk, why in list(never_reached(rules).items())[:_MOST_WARNINGS]:
        messages.warning(request, f"{patterns[pk]}: {_sentence(why, patterns[pk])}")


def _badge(why: Unreached, pattern: str) -> str:
    if why.winner is not None:
        return _("never reached: %(pattern)s wins") % {"pattern": _named(why.winner, pattern)}
    return _("never reached: its condition takes nothing")


def _sentence(why: Unreached, pattern: str) -> str:
    if why.winner is None:
        return _("This rule can never match: %(why)s") % {"why": sentence_of(why.flaw) if why.flaw else ""}
    text = (
        _("This rule can never match: %(first)s stands before it and takes all its names.")
        if why.winner.condition.always
        else _("This rule can never match: %(first)s stands before it and takes all its requests.")
    )
    return text % {"first": _named(why.winner, pattern)}


def _named(winner: MappingRule, pattern: str) -> str:
    """The winner by its pattern, and by its position if both have the same pattern."""
    if winner.pattern.casefold() != pattern.casefold():
        return winner.pattern
    return f"{winner.pattern} ({_('position')} {winner.position})"
