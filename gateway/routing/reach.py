"""Which rules can never win, because one in front of them takes every name that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.routing import names
from gateway.routing.snapshot import MappingRule

# stands for "any text" in a pattern that is matched against another one; no name has it
_ANY = "\x00"


def covers(pattern: str, other: str) -> bool:
    """Whether `pattern` means each name that `other` means. Both may have `*`; case is ignored."""
    return names.matches(pattern, other.replace("*", _ANY))


def never_reached(rules: Iterable[MappingRule]) -> dict[int, MappingRule]:
    """The rule that wins instead, by the id of each enabled rule that no name leads to.

    `rules` in their order. Exact names beat patterns, so only rules of one kind stand in each other's way;
    a rule with public names is reached by those.
    """
    found: dict[int, MappingRule] = {}
    before: list[MappingRule] = []
    for rule in rules:
        if not rule.enabled:
            continue
        first = next((one for one in before if _takes_all(one, rule)), None)
        if first is not None:
            found[rule.id] = first
        before.append(rule)
    return found


def position_for(rules: Sequence[MappingRule], pattern: str) -> int | None:
    """In front of the first enabled rule that would take every name of a new `pattern`; None: none would."""
    if not names.is_wildcard(pattern):
        return None
    taking = (
        one
        for one in rules
        if one.enabled and not one.exact and not one.classes and covers(one.pattern, pattern)
    )
    first = next(taking, None)
    return None if first is None else first.position - 1


def _takes_all(first: MappingRule, rule: MappingRule) -> bool:
    # one that takes requests for some purposes alone leaves the others
    if rule.public_names or (first.classes and not (rule.classes and rule.classes <= first.classes)):
        return False
    if rule.exact:
        names_of_first = {*([first.pattern] if first.exact else []), *first.public_names}
        return rule.pattern.casefold() in {name.casefold() for name in names_of_first}
    return not first.exact and covers(first.pattern, rule.pattern)
