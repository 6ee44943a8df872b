"""Which rules mean a model's name: a match for each, in order of precedence.

Exact rules (their pattern and their public names) come before wildcard rules. Among exact rules the spelling
as asked comes before the shortened ones; among wildcard rules their order decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway import patterns
from gateway.routing import names
from gateway.routing.facts import Facts
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, Target


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matches the asked model: the spelling that matched, and the text of the first `*`."""

    rule: MappingRule
    spelling: str
    star: str = ""


def matches(snapshot: ConfigSnapshot, asked_model: str) -> Iterator[Match]:
    """Every rule that matches the name, in order of precedence; each rule once."""
    spelled = names.spellings(asked_model)
    seen: set[int] = set()
    for spelling in spelled:
        folded = spelling.casefold()
        for rule in snapshot.rules:
            if rule.id not in seen and folded in exact_names(rule):
                seen.add(rule.id)
                yield Match(rule, spelling, star_of(rule, spelling))
    for rule in snapshot.rules:
        if rule.exact or rule.id in seen:
            continue
        for spelling in spelled:
            found = _expression(rule).fullmatch(spelling)
            if found:
                yield Match(rule, spelling, found.group(1))
                break


def star_of(rule: MappingRule, public_name: str) -> str:
    """What an exact name of a rule has in the place of its first `*`; without one, the name."""
    # a public name of a wildcard rule need not look like its pattern
    found = None if rule.exact else _expression(rule).fullmatch(public_name)
    return found.group(1) if found else public_name


def exact_names(rule: MappingRule) -> set[str]:
    """The names that the rule takes as they are, case-folded."""
    own = {rule.pattern.casefold()} if rule.exact else set()
    return own | {name.casefold() for name in rule.public_names}


def _expression(rule: MappingRule) -> patterns.Pattern[str]:
    return rule.regex or patterns.wildcard(rule.pattern)


def winner_of(found: Iterable[Match], facts: Facts) -> Match | None:
    """The first whose rule is enabled and whose condition the request meets."""
    return next((one for one in found if one.rule.enabled and one.rule.condition.meets(facts)), None)


def upstream_model(match: Match, target: Target) -> str:
    """What the provider is asked for."""
    if not target.upstream_model:
        return names.without_window(match.spelling)
    return target.upstream_model.replace("*", names.without_window(match.star), 1)
