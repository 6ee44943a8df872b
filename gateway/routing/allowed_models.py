"""Which models a client key may ask for, and which it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import CredentialUnreadable, NoUsableProvider, UnknownModel
from gateway.routing import names
from gateway.routing.facts import NO_FACTS, Facts
from gateway.routing.matching import Match, matches, upstream_model, winner_of
from gateway.routing.resolve import LONGEST_NAME, Route, resolve, taking
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of GET /v1/models: its public id and where it would go."""

    id: str
    route: Route


def model_lists(key: KeyEntry | None) -> tuple[tuple[str, ...], ...]:
    """The lists of models that bound a key, its own and its owner's; what it asks for must be on each."""
    if key is None:
        return ()
    theirs = () if key.person is None else key.person.allowed_models
    return tuple(allowed for allowed in (key.allowed_models, theirs) if allowed)


def model_allowed(
    key: KeyEntry | None, asked_model: str, snapshot: ConfigSnapshot, facts: Facts = NO_FACTS
) -> bool:
    """Whether a key may ask for a model; None (anonymous) and a key without a list may ask for all.

    What counts is the name that is routed. A name on a list says nothing when the part before its slash was
    what matched the list and the part after it chooses the rule (`claude-haiku-/gpt-4o`); a prefix changes
    nothing where the name without it is on the list and leads to the same place.
    """
    lists = model_lists(key)
    if not lists:
        return True
    snapshot = taking(snapshot, facts.purpose)
    asked = asked_model[:LONGEST_NAME]
    plain = names.plain_spellings(asked)
    winner = winner_of(matches(snapshot, asked), facts) if "/" in asked else None
    if winner is None:
        return all(_listed(allowed, plain) for allowed in lists)
    # a name without the prefix that leads to the same place
    bare = [
        name
        for name in names.spellings(asked)[len(plain) :]
        if _same_place(winner, winner_of(matches(snapshot, name), facts))
    ]
    return all(
        (winner.spelling in plain and _listed(allowed, plain)) or _listed(allowed, bare) for allowed in lists
    )


def _listed(allowed: tuple[str, ...], spellings: Iterable[str]) -> bool:
    return any(names.matches(pattern, name) for name in spellings for pattern in allowed)


def _same_place(one: Match, other: Match | None) -> bool:
    return (
        other is not None
        and other.rule is one.rule
        and all(upstream_model(one, target) == upstream_model(other, target) for target in one.rule.targets)
    )


def visible_models(snapshot: ConfigSnapshot, key: KeyEntry | None) -> list[ModelEntry]:
    """The models of GET /v1/models: exact and public names that the key may use and that resolve."""
    entries: dict[str, ModelEntry] = {}
    for rule in snapshot.rules:
        own = (rule.pattern,) if rule.exact else ()
        for name in (*own, *rule.public_names):
            if rule.enabled and name not in entries and model_allowed(key, name, snapshot):
                try:
                    entries[name] = ModelEntry(name, resolve(snapshot, name).route)
                except (UnknownModel, NoUsableProvider, CredentialUnreadable):
                    continue
    return list(entries.values())
