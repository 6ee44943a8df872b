"""Which rules can never win: one in front takes all that they mean, or their condition takes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.routing import names
from gateway.routing.conditions import BadCondition
from gateway.routing.names import covers
from gateway.routing.snapshot import MappingRule

__all__ = ["Unreached", "covers", "never_reached", "position_for", "taker_of"]


@dataclass(frozen=True, slots=True)
class Unreached:
    """Why no request gets to a rule: `winner` takes them all, or its own condition has a `flaw`."""

    winner: MappingRule | None = None
    flaw: BadCondition | None = None


def never_reached(rules: Iterable[MappingRule]) -> dict[int, Unreached]:
    """Why, by the id of each enabled rule that no request leads to. Not every such rule is found.

    `rules` in their order. Exact names beat patterns, so only rules of one kind stand in each other's way;
    a rule with public names is reached by those.
    """
    found: dict[int, Unreached] = {}
    before: list[MappingRule] = []
    for rule in rules:
        if not rule.enabled:
            continue
        if rule.condition.flaw is not None:
            found[rule.id] = Unreached(flaw=rule.condition.flaw)
            continue
        first = taker_of(rule, before)
        if first is not None:
            found[rule.id] = Unreached(first)
        before.append(rule)
    return found


def taker_of(rule: MappingRule, before: Iterable[MappingRule]) -> MappingRule | None:
    """The first of the enabled rules `before` it that takes all its requests."""
    return next((one for one in before if _takes_all(one, rule)), None)


def position_for(rules: Sequence[MappingRule], pattern: str) -> int | None:
    """In front of the first enabled rule that would take every name of a new `pattern`; None: none would."""
    if not names.is_wildcard(pattern):
        return None
    taking = (
        one
        for one in rules
        if one.enabled and not one.exact and one.condition.always and covers(one.pattern, pattern)
    )
    first = next(taking, None)
    return None if first is None else first.position - 1


def _takes_all(first: MappingRule, rule: MappingRule) -> bool:
    # one that takes some requests alone leaves the others
    if rule.public_names or not first.condition.covers(rule.condition):
        return False
    if rule.exact:
        names_of_first = {*([first.pattern] if first.exact else []), *first.public_names}
        return rule.pattern.casefold() in {name.casefold() for name in names_of_first}
    return not first.exact and covers(first.pattern, rule.pattern)
