"""The sections of what holds for people: policies of clients, budgets, and safeguard rules.

People are named by their user name and groups by theirs; neither is made by a file.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils.translation import gettext as _

from gateway.config.file.fields import Unusable, a_text, as_json, assign, save, values
from gateway.config.file.intake import Intake
from gateway.config.file.variables import VariableNames
from gateway.models import ManagedPolicy, PersonBudget, SafeguardRule
from gateway.wire.messages import JSONObject


def policy_entries(_names: VariableNames) -> list[JSONObject]:
    """Each policy, by name."""
    found = ManagedPolicy.objects.select_related("user", "group")
    return [{**as_json(one), **_whose(one)} for one in sorted(found, key=lambda one: one.name)]


def take_policy(item: JSONObject, intake: Intake) -> ManagedPolicy:
    """Make the policy of this name what the entry says. Raises Unusable, ValidationError."""
    name = a_text(item, "name")
    intake.once("policy", name)
    record = ManagedPolicy.objects.filter(name=name).first() or ManagedPolicy()
    _take(record, item)
    return record


def budget_entries(_names: VariableNames) -> list[JSONObject]:
    """Each budget, by the name of its person; what was booked by hand is no part of it."""
    found = PersonBudget.objects.select_related("user")
    return [{**_whose(one), **as_json(one)} for one in sorted(found, key=str)]


def take_budget(item: JSONObject, intake: Intake) -> PersonBudget:
    """Make the budget of this person what the entry says. Raises Unusable, ValidationError."""
    name = a_text(item, "user")
    intake.once("budget", name)
    record = PersonBudget.objects.filter(user__username=name).first() or PersonBudget()
    _take(record, item)
    return record


def rule_entries(_names: VariableNames) -> list[JSONObject]:
    """Each safeguard rule, in the order in which they are tried."""
    found = SafeguardRule.objects.select_related("user", "group").order_by("position", "pk")
    return [{**as_json(one), **_whose(one)} for one in found]


def take_rule(item: JSONObject, intake: Intake) -> SafeguardRule:
    """Make the rule with these patterns for this person or group what the entry says.

    Raises Unusable, ValidationError.
    """
    draft = SafeguardRule()
    _assign(draft, dict(item))
    same = SafeguardRule.objects.filter(
        tool=draft.tool, command=draft.command, path=draft.path, user=draft.user_id, group=draft.group_id
    )
    record = intake.next_of("rule", same.order_by("position", "pk")) or draft
    _take(record, item)
    intake.taken("rule", record)
    return record


def _take(record: Any, item: JSONObject) -> None:
    before = {**values(record), **_owners(record)} if record.pk else {}
    _assign(record, item)
    save(record, before, **_owners(record))


def _assign(record: Any, item: JSONObject) -> None:
    """The fields of an entry, and whom it is for. Raises Unusable."""
    user, group = item.pop("user", None), item.pop("group", None)
    assign(record, item)
    record.user = None if user is None else get_user_model().objects.filter(username=str(user)).first()
    if user is not None and record.user is None:
        raise Unusable(_("there is no user %(name)r here") % {"name": user})
    if hasattr(record, "group_id"):
        record.group = None if group is None else Group.objects.filter(name=str(group)).first()
        if group is not None and record.group is None:
            raise Unusable(_("there is no group %(name)r here") % {"name": group})
    elif group is not None:
        raise Unusable(_("a budget is of a person, not of a group"))


def _owners(record: Any) -> JSONObject:
    return {"user": record.user_id, "group": getattr(record, "group_id", None)}


def _whose(record: Any) -> JSONObject:
    """The names of the person and the group, where there are any."""
    group = getattr(record, "group", None)
    return {
        **({} if record.user_id is None else {"user": record.user.get_username()}),
        **({} if group is None else {"group": group.name}),
    }
