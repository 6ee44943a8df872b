"""The sections of the file, in the order in which they are written and taken in.

A later section may name records of an earlier one: a mapping names its provider by the slug.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.file import keys, mappings, people, prices, providers, secret_patterns
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.models import (
    ClientKey,
    ConfigRecord,
    ManagedPolicy,
    ModelMapping,
    ModelPrice,
    PersonBudget,
    Provider,
    SafeguardRule,
    SecretPattern,
)
from gateway.wire.messages import JSONObject


@dataclass(frozen=True, slots=True)
class Section:
    """A section: how its entries are written and taken in, and how a record that the file does not have goes.

    `take` gives the record that it made or changed, or None; it raises Unusable or ValidationError.
    """

    name: str
    model: type[ConfigRecord]
    entries: Callable[[VariableNames], list[JSONObject]]
    take: Callable[[JSONObject, Intake], ConfigRecord | None]
    drop: Callable[[Any], object] = lambda record: record.delete()


SECTIONS: Final = (
    Section("providers", Provider, providers.entries, providers.take),
    Section("mappings", ModelMapping, mappings.entries, mappings.take),
    # the history points at keys, so they are revoked
    Section("keys", ClientKey, keys.entries, keys.take, drop=ClientKey.revoke),
    Section("prices", ModelPrice, prices.entries, prices.take),
    Section("secret_patterns", SecretPattern, secret_patterns.entries, secret_patterns.take),
    Section("policies", ManagedPolicy, people.policy_entries, people.take_policy),
    Section("person_budgets", PersonBudget, people.budget_entries, people.take_budget),
    Section("safeguard_rules", SafeguardRule, people.rule_entries, people.take_rule),
)
