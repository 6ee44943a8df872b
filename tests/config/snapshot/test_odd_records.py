"""Whatever JSON a record holds, the rest of the configuration counts: forms are not the only writers."""

import logging

import pytest
from django.db.models import JSONField, Value
from django.utils import timezone

from gateway.config.snapshot.loader import load
from gateway.models import (
    ClientKey,
    ManagedPolicy,
    ModelMapping,
    ModelPrice,
    PersonBudget,
    Provider,
    Ramp,
    SafeguardRule,
)
from gateway.models.configuration.ramp import RampState
from gateway.routing.allowed_models import model_allowed
from gateway.routing.facts import Facts
from gateway.routing.resolve import resolve
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db

ODD = (
    *(None, 5, -1.5, True, "x", "", [], {}, [1], [None], [[]], {"a": 1}, {"a": [{}]}, [{}], [{"a": {}}]),
    *(
        [{"share": "x"}],
        [{"seconds": 5}],
        [{"share": 1, "seconds": "x"}],
        [{"share": None}],
        [{"share": [1]}],
    ),
    *({"permissions": 5}, {"env": []}, {"class": 5}, {"time": {"zone": []}}, {"header": {"": ["a"]}}),
)
FIELDS = [
    (model, field.name)
    for model in (
        *(Provider, ModelMapping, Ramp, ClientKey, ModelPrice, ManagedPolicy),
        *(PersonBudget, SafeguardRule),
    )
    for field in model._meta.get_fields()
    if isinstance(field, JSONField)
]


@pytest.fixture
def records():
    """One record of each kind, and a mapping of a good name that none of them concerns."""
    make_mapping("good", make_provider("Good", "good"), "upstream")
    odd = make_provider("Odd", "odd")
    mapping = make_mapping("odd-*", odd, "old")
    mapping.lead_to(odd, "new")
    now = timezone.now()
    Ramp.objects.create(
        mapping=mapping,
        target=mapping.targets.last(),
        steps=[{"share": 10, "seconds": 60}, {"share": 100}],
        state=RampState.RUNNING,
        step_since=now,
    )
    ClientKey.issue("k")
    ModelPrice.objects.create(provider=odd, model="new", input=1, output=2, valid_from=now)
    ManagedPolicy.objects.create(settings={})


def test_every_field_that_holds_json_is_tried():
    assert len(FIELDS) >= 9


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_an_odd_value_concerns_its_record_alone(records, caplog, model, name):
    for value in ODD:
        good = model.objects.exclude(**{"slug": "good"} if model is Provider else {})
        if model is ModelMapping:
            good = model.objects.exclude(pattern="good")
        good.update(**{name: Value(value, JSONField())})
        with caplog.at_level(logging.CRITICAL):
            snapshot = load()
        assert resolve(snapshot, "good").route.upstream_model == "upstream", value
        for rule in snapshot.rules:
            if rule.shares is not None:
                rule.shares.arm(b"session", 0.0, {"odd/old", "odd/new"})
        assert resolve(snapshot, "good", Facts(moment=timezone.now()))


@pytest.mark.parametrize("value", [None, 5, True, "x", "", {"a": 1}])
def test_a_list_of_models_that_is_none_does_not_allow_every_model(records, value):
    ClientKey.objects.update(allowed_models=Value(value, JSONField()))
    snapshot = load()
    (key,) = snapshot.keys.values()
    assert not model_allowed(key, "good", snapshot)
