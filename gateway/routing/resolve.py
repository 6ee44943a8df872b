"""Where a request goes: from the asked model to a route, with the reasons.

Of the rules that mean the name (matching.py) the first enabled one whose condition the request meets wins,
even when its provider cannot be used: a request never slips to a provider that the admin did not choose for
it.

What a name means is worked out once per snapshot: its rules, an index of their conditions, and the routes
of each. The conditions alone are asked anew for each request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote

from gateway import patterns
from gateway.client_protocol.purpose import NOTHING_KNOWN, Purpose, Task
from gateway.conversion.profile import Profile
from gateway.errors import CredentialUnreadable, NoUsableProvider, UnknownModel
from gateway.routing.condition_index import NOTHING_ASKED, IndexParts, met
from gateway.routing.facts import NO_FACTS, NO_NEEDS, Facts, Needs
from gateway.routing.layers import profile_layers
from gateway.routing.matching import Match, exact_names, matches, upstream_model, winner_of
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target

# bounds the time and memory that a name made up by a client can cost
LONGEST_NAME: Final = 256
_STEPS: Final = frozenset({".", ".."})
_SLASH: Final = patterns.compiled(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Route:
    """The decision for one request; `profile` is merged from all its layers. `arm`: see Target.arm."""

    rule: MappingRule
    provider: ProviderConfig
    upstream_model: str
    profile: Profile
    arm: str = ""


class Cause(StrEnum):
    """Why a rule wins or loses, or a target gives no route (sentences: config/explain/route_messages.py)."""

    DISABLED = "disabled"
    FIRST = "first"
    BEHIND_ANOTHER = "behind another"
    BEHIND_EXACT = "behind an exact name"
    UNMET = "unmet"
    NEVER_MET = "never met"
    TARGET_DISABLED = "target disabled"
    CANNOT_SEE = "cannot see"
    PROVIDER_DISABLED = "provider disabled"
    CREDENTIAL_UNREADABLE = "credential unreadable"
    MODEL_CHANGES_PATH = "model changes path"


class Manner(StrEnum):
    """The part of a rule that matches the asked model."""

    EXACT_NAME = "exact name"
    PUBLIC_NAME = "public name"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that matches the asked model, whether it won, and why; `spelling` is what matched.

    `unmet`: the facts that are not as its condition asks.
    """

    rule: MappingRule
    won: bool
    cause: Cause
    manner: Manner
    spelling: str
    unmet: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Considered:
    """A target of the winning rule: the route it gives, or why it gives none."""

    target: Target
    route: Route | None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """`routes` are the usable targets of the winning rule, best first, never empty.

    The same rule gives the same value for the same name, whatever the other facts are.
    """

    asked_model: str
    routes: tuple[Route, ...]

    @property
    def route(self) -> Route:
        return self.routes[0]


# a key of the memo that is the name of no model: those are plain texts there, and Task.SAFEGUARDS equals one
_OF_SAFEGUARDS: Final = ("rules", Task.SAFEGUARDS)


@dataclass(frozen=True, slots=True)
class _Name:
    """What a name means. `takers`: the enabled rules that match it, up to the first that takes every
    request, by their places in the snapshot. `ranks`: sets of places (routing/condition_index.py); a rule of
    an earlier set wins, and within a set the first. `asked`: the facts that decide which of them do.
    """

    takers: Mapping[int, Match]
    ranks: tuple[int, ...]
    asked: IndexParts
    needs: Needs


def resolve(snapshot: ConfigSnapshot, asked_model: str, facts: Facts = NO_FACTS) -> Resolution:
    """Find the routes for an asked model and the facts of its request, at least those of `needed`.

    Raises UnknownModel when no enabled rule matches or the name cannot stand in the path of its
    provider's base URL, NoUsableProvider when the winning rule's providers are missing or disabled,
    and CredentialUnreadable when the only problem is a stored credential that cannot be decrypted.
    """
    if facts.purpose.task is Task.SAFEGUARDS:
        snapshot = taking(snapshot, facts.purpose)
    name: _Name = snapshot.memo.get(asked_model) or _name(snapshot, asked_model)
    left = met(facts, name.asked)
    for rank in name.ranks:
        found = left & rank
        if found:
            place = (found & -found).bit_length() - 1
            taker = name.takers[place]
            sighted = taker.rule.skips_blind and facts.images is True
            known: Resolution | None = snapshot.memo.get((asked_model, place, sighted))
            if known is None:
                known = _resolution(snapshot, asked_model, taker, sighted=sighted)
                snapshot.memo.put((asked_model, place, sighted), known)
            return known
    raise UnknownModel(asked_model if len(asked_model) <= LONGEST_NAME else asked_model[:LONGEST_NAME] + "…")


def needed(snapshot: ConfigSnapshot, asked_model: str, purpose: Purpose = NOTHING_KNOWN) -> Needs:
    """The facts that the rules for a name ask for, without which `resolve` cannot choose among them."""
    return _name(taking(snapshot, purpose), asked_model).needs


def taking(snapshot: ConfigSnapshot, purpose: Purpose) -> ConfigSnapshot:
    """The snapshot with the rules that may take a request for this purpose.

    The gateway's own safety checks go where a rule names them, and nowhere else; all others may go anywhere.
    """
    if purpose.task is not Task.SAFEGUARDS:
        return snapshot
    known: ConfigSnapshot | None = snapshot.memo.get(_OF_SAFEGUARDS)
    if known is None:
        named = tuple(rule for rule in snapshot.rules if Task.SAFEGUARDS in rule.condition.classes)
        known = dataclasses.replace(snapshot, rules=named)
        snapshot.memo.put(_OF_SAFEGUARDS, known)
    return known


def candidates(snapshot: ConfigSnapshot, asked_model: str, facts: Facts = NO_FACTS) -> tuple[Candidate, ...]:
    """All rules that mean the name: the winner first, if there is one, then as they were looked at."""
    found = list(matches(taking(snapshot, facts.purpose), asked_model[:LONGEST_NAME]))
    winner = winner_of(found, facts)
    return tuple(
        Candidate(
            match.rule,
            match is winner,
            _cause(match, winner, facts),
            _manner(match),
            match.spelling,
            match.rule.condition.unmet(facts),
        )
        for match in found
    )


def considered(snapshot: ConfigSnapshot, asked_model: str, facts: Facts = NO_FACTS) -> tuple[Considered, ...]:
    """All targets of the winning rule, in order, with the result for each; empty without a winner."""
    winner = winner_of(matches(taking(snapshot, facts.purpose), asked_model[:LONGEST_NAME]), facts)
    if winner is None:
        return ()
    return _all_considered(winner, snapshot, sighted=winner.rule.skips_blind and facts.images is True)


def _name(snapshot: ConfigSnapshot, asked_model: str) -> _Name:
    known: _Name | None = snapshot.memo.get(asked_model)
    if known is None:
        if len(asked_model) > LONGEST_NAME:
            return _NOBODY
        known = _name_of(matches(snapshot, asked_model), snapshot)
        if known.takers:
            snapshot.memo.put(asked_model, known)
    return known


def _name_of(matches: Iterable[Match], snapshot: ConfigSnapshot) -> _Name:
    places = {rule.id: place for place, rule in enumerate(snapshot.rules)}
    takers: dict[int, Match] = {}
    ranks: list[int] = []
    last = -1
    for match in matches:
        condition, place = match.rule.condition, places[match.rule.id]
        if not match.rule.enabled or condition.flaw is not None:
            continue
        if place < last or not ranks:
            ranks.append(0)
        ranks[-1] |= 1 << place
        takers[place] = match
        last = place
        if condition.always:
            break
    needs = [match.rule.condition.needs for match in takers.values()]
    asked = dict.fromkeys(fact for one in needs for fact in sorted(one.facts))
    seeing = {"images"} if any(match.rule.skips_blind for match in takers.values()) else set()
    tools = tuple(dict.fromkeys(tool for one in needs for tool in one.tools))
    facts = frozenset(asked) | seeing
    parts = snapshot.conditions.of(asked)
    return _Name(takers, tuple(ranks), parts, Needs(facts, tools) if facts else NO_NEEDS)


_NOBODY: Final = _Name({}, (), NOTHING_ASKED, NO_NEEDS)


def _resolution(snapshot: ConfigSnapshot, asked_model: str, winner: Match, *, sighted: bool) -> Resolution:
    targets = _all_considered(winner, snapshot, sighted=sighted)
    routes = tuple(considered.route for considered in targets if considered.route is not None)
    if routes:
        return Resolution(asked_model, routes)
    for considered in targets:
        provider = snapshot.providers.get(considered.target.provider)
        if considered.cause is Cause.CREDENTIAL_UNREADABLE and provider is not None:
            raise CredentialUnreadable(provider.name)
    if any(considered.cause is Cause.MODEL_CHANGES_PATH for considered in targets):
        raise UnknownModel(asked_model)
    raise NoUsableProvider(asked_model)


def _all_considered(winner: Match, snapshot: ConfigSnapshot, *, sighted: bool) -> tuple[Considered, ...]:
    """`sighted`: only targets that see images, if there is one that can be used."""
    found = tuple(_considered(winner, target, snapshot) for target in winner.rule.targets)
    if not sighted or not any(one.route is not None and sees_images(one.route) for one in found):
        return found
    return tuple(
        one if one.route is None or sees_images(one.route) else Considered(one.target, None, Cause.CANNOT_SEE)
        for one in found
    )


def sees_images(route: Route) -> bool:
    """Whether images reach the model; otherwise a marker does."""
    return route.profile.images != "text"


def _considered(winner: Match, target: Target, snapshot: ConfigSnapshot) -> Considered:
    if not target.enabled:
        return Considered(target, None, Cause.TARGET_DISABLED)
    provider = snapshot.providers.get(target.provider)
    if provider is None or not provider.enabled:
        return Considered(target, None, Cause.PROVIDER_DISABLED)
    if provider.credential_unreadable:
        return Considered(target, None, Cause.CREDENTIAL_UNREADABLE)
    route = _route(winner, target, provider, snapshot)
    if _changes_path(provider.base_url, route.provider.base_url):
        return Considered(target, None, Cause.MODEL_CHANGES_PATH)
    return Considered(target, route)


def _cause(match: Match, winner: Match | None, facts: Facts) -> Cause:
    if not match.rule.enabled:
        return Cause.DISABLED
    if match.rule.condition.flaw is not None:
        return Cause.NEVER_MET
    if not match.rule.condition.meets(facts):
        return Cause.UNMET
    if winner is None or match is winner:
        return Cause.FIRST
    return Cause.BEHIND_ANOTHER if match.rule.exact == winner.rule.exact else Cause.BEHIND_EXACT


def _manner(match: Match) -> Manner:
    rule = match.rule
    if not rule.exact and match.spelling.casefold() not in exact_names(rule):
        return Manner.PATTERN
    if rule.exact and match.spelling.casefold() == rule.pattern.casefold():
        return Manner.EXACT_NAME
    return Manner.PUBLIC_NAME


def _route(match: Match, target: Target, provider: ProviderConfig, snapshot: ConfigSnapshot) -> Route:
    model = upstream_model(match, target)
    layers = profile_layers(match.rule, target, provider, model, snapshot)
    if "{model}" in provider.base_url:
        base_url = provider.base_url.replace("{model}", quote(model, safe=""))
        provider = dataclasses.replace(provider, base_url=base_url)
    profile = Profile.merged(*(options for _, options in layers))
    return Route(match.rule, provider, model, profile, target.arm)


def _changes_path(base_url: str, filled: str) -> bool:
    """Whether the model's name would put a `.` or `..` into the path, even if a server decodes it twice."""
    return base_url != filled and not _STEPS.isdisjoint(_SLASH.split(unquote(unquote(filled))))
