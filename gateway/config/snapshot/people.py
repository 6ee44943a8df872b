"""What holds for people: limits, policies of clients, and the groups that decide about these."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from django.contrib.auth import get_user_model

from gateway.conf import gateway_conf
from gateway.config.snapshot.rules import texts_of
from gateway.models import ManagedPolicy, PersonBudget, SafeguardRule
from gateway.models.configuration.client_key import LimitFields
from gateway.routing.snapshot import KeyLimits, MappingRule, PersonLimits, PolicyEntry
from gateway.safeguards import rules

logger = logging.getLogger(__name__)

# budgets are counted in billionths of a dollar
_BILLION: Final = 1_000_000_000


def _billionths(dollars: Decimal | None) -> int | None:
    return None if dollars is None else int(dollars * _BILLION)


def people_limits() -> dict[int, PersonLimits]:
    """What people may use, by the primary key of the user."""
    found: dict[int, PersonLimits] = {}
    for record in PersonBudget.objects.all():
        limits, models = limits_of(record), texts_of(record.allowed_models)
        if limits is not None or models:
            account = f":{record.revision}" if record.revision else ""
            found[record.user_id] = PersonLimits(limits, account, models)
    return found


def limits_of(record: LimitFields) -> KeyLimits | None:
    """The limits of a key or a person; None: there are none."""
    limits = KeyLimits(
        requests_per_minute=record.requests_per_minute,
        input_tokens_per_minute=record.input_tokens_per_minute,
        output_tokens_per_minute=record.output_tokens_per_minute,
        concurrent_requests=record.concurrent_requests,
        budget_period=record.budget_period,
        spend_budget=_billionths(record.spend_budget),
        token_budget=record.token_budget,
    )
    return None if limits == KeyLimits(budget_period=record.budget_period) else limits


def policies() -> tuple[PolicyEntry, ...]:
    """The enabled policies in the order in which they are laid over each other."""
    found = ManagedPolicy.objects.filter(enabled=True).order_by("position", "pk")
    entries = [
        PolicyEntry(
            MappingProxyType(_settings(one)),
            one.group_id,
            None if one.user_id is None else frozenset({one.user_id}),
            one.lists_models,
        )
        for one in found
    ]
    # everyone, then groups, then the person
    return tuple(sorted(entries, key=lambda one: (one.people is not None, one.group is not None)))


def _settings(policy: ManagedPolicy) -> dict[str, Any]:
    if isinstance(policy.settings, dict):
        return policy.settings
    logger.error("client policy %s: its settings are no object and are left out", policy.pk)
    return {}


def safeguard_rules() -> tuple[rules.ActionRule, ...]:
    """The enabled rules of auto mode's safety check, in their order."""
    enabled = SafeguardRule.objects.filter(enabled=True).order_by("position", "pk")
    return tuple(rules.ActionRule(**one.matching()) for one in enabled)


def groups_of_people() -> dict[int, frozenset[int]]:
    """Members of the groups that have a policy or a rule, by the primary key of the user."""
    groups = {
        group
        for model in (ManagedPolicy, SafeguardRule)
        for group in model.objects.filter(enabled=True).exclude(group=None).values_list("group_id", flat=True)
    }
    if not groups:
        return {}
    members: dict[int, set[int]] = defaultdict(set)
    through = get_user_model().groups.through
    for person, group in through.objects.filter(group__in=groups).values_list("user_id", "group_id"):
        members[person].add(group)
    return {person: frozenset(found) for person, found in members.items()}


def counted_groups() -> dict[int, tuple[str, ...]]:
    """The groups that metrics count for each person, by the primary key of the user."""
    if not gateway_conf().metrics_by_group:
        return {}
    members: dict[int, list[str]] = defaultdict(list)
    through = get_user_model().groups.through
    for person, name in through.objects.order_by("group__name").values_list("user_id", "group__name"):
        members[person].append(name)
    return {person: tuple(found) for person, found in members.items()}


def named_groups(rules: Iterable[MappingRule]) -> dict[int, frozenset[str]]:
    """The groups of each person that some rule's condition means, by the primary key of the user."""
    asked = [test for rule in rules if rule.enabled for _, test in rule.condition.tests_of("group")]
    if not asked:
        return {}
    members: dict[int, set[str]] = defaultdict(set)
    through = get_user_model().groups.through
    for person, name in through.objects.values_list("user_id", "group__name"):
        if any(test.meets(name) for test in asked):
            members[person].add(name)
    return {person: frozenset(found) for person, found in members.items()}
