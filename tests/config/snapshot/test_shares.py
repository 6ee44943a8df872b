"""How the stored mappings divide their sessions."""

import importlib

import pytest
from django.apps import apps

from gateway.config.snapshot.rules import mapping_rules
from gateway.models import ModelMapping
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def only_rule():
    [rule] = mapping_rules()
    return rule


def test_a_mapping_whose_targets_have_no_weight_divides_nothing():
    make_mapping("a", make_provider(), "u")
    assert only_rule().shares is None


def test_the_weights_of_enabled_targets_divide_the_sessions():
    provider = make_provider()
    mapping = make_mapping("a", provider, "old")
    mapping.targets.update(weight=90)
    mapping.lead_to(provider, "new", weight=10)
    mapping.lead_to(provider, "off", weight=10, enabled=False)
    mapping.lead_to(provider, "standing in")
    rule = only_rule()
    assert rule.shares.salt == mapping.salt
    assert rule.shares.at(0.0).weights == {"p/old": 90, "p/new": 10}
    assert [target.arm for target in rule.targets if target.weight] == ["p/old", "p/new", "p/off"]


def test_each_new_mapping_has_a_salt_of_its_own():
    first, second = (ModelMapping.objects.create(pattern=name) for name in "ab")
    assert len(first.salt) == 16 and first.salt != second.salt


def test_mappings_from_before_get_a_salt_each():
    for name in "ab":
        ModelMapping.objects.create(pattern=name, salt="")
    importlib.import_module("gateway.migrations.0037_shares").give_salts(apps, None)
    salts = set(ModelMapping.objects.values_list("salt", flat=True))
    assert len(salts) == 2 and "" not in salts
