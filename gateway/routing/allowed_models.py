"""Which models a client key may ask for, and which it is shown."""

from __future__ import annotations

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


def model_allowed(
    key: KeyEntry | None, asked_model: str, snapshot: ConfigSnapshot, facts: Facts = NO_FACTS
) -> bool:
    """Whether a key may ask for a model; None (anonymous) and a key without a list may ask for all.

    What counts is the name that is routed. A name on the key's list says nothing when the part before its
    slash was what matched the list and the part after it chooses the rule (`claude-haiku-/gpt-4o`); a prefix
    changes nothing where the name without it is on the list and leads to the same place.
    """
    if key is None or not key.allowed_models:
        return True
    snapshot = taking(snapshot, facts.purpose)
    asked = asked_model[:LONGEST_NAME]
    plain = names.plain_spellings(asked)
    winner = winner_of(matches(snapshot, asked), facts) if "/" in asked else None
    if winner is None:
        return _listed(key, plain)
    if winner.spelling in plain and _listed(key, plain):
        return True
    bare = names.spellings(asked)[len(plain) :]
    return any(
        _listed(key, (name,)) and _same_place(winner, winner_of(matches(snapshot, name), facts))
        for name in bare
    )


def _listed(key: KeyEntry, spellings: tuple[str, ...]) -> bool:
    return any(names.matches(pattern, name) for name in spellings for pattern in key.allowed_models)


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
