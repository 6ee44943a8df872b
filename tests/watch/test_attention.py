"""What is said to need attention, and where it leads."""

from datetime import timedelta

import pytest
from django.urls import resolve, reverse
from django.utils import timezone

from gateway.history.record.rows import write
from gateway.models import ClientKey, ModelMapping, Problem, RefusedKey, RequestLog, SetAsideTarget
from gateway.watch import attention
from gateway.watch.problems import count_new, decide
from tests.records import make_mapping, make_provider
from tests.watch.test_problems import failed

pytestmark = pytest.mark.django_db


def texts(source):
    return [item.text for item in source(timezone.now())]


def test_a_target_that_is_set_aside_is_said_once_with_why_and_since_when():
    make_provider("Acme", "acme")
    now = timezone.now()
    for process in ("a", "b"):
        SetAsideTarget.objects.create(
            process=process, provider="acme", upstream_model="m", reason="connection refused", failures=16,
            since=now, until=now + timedelta(minutes=1),
        )  # fmt: skip
    [item] = attention.targets_set_aside(now)
    assert "m of acme is set aside since" in item.text and "connection refused" in item.text
    assert item.urgency == "problem"


def test_mappings_that_lead_to_disabled_providers_or_nowhere_are_said():
    provider = make_provider("Acme", "acme")
    mapping = make_mapping("*opus*", provider)
    # two models of one provider: it is named once
    mapping.lead_to(provider, "other")
    ModelMapping.objects.create(pattern="*none*")
    provider.enabled = False
    provider.save()
    assert texts(attention.mappings_that_lead_nowhere) == [
        "The mapping *opus* leads to acme, which is disabled.",
        "The mapping *none* has no enabled target: what it takes is refused.",
    ]


def test_masked_secrets_are_said_by_key_and_lead_to_their_requests():
    RequestLog.objects.create(request_id="req_1", state="ok", masked_count=2, key_name="Emil")
    [item] = attention.secrets_masked(timezone.now())
    assert "1 request of Emil" in item.text and "with=masked" in item.url


def test_a_problem_that_hits_often_is_said_until_it_is_resolved():
    write([failed(number) for number in range(6)])
    count_new()
    [item] = attention.problems_lately(timezone.now())
    assert "acme failed 6 times" in item.text and item.urgency == "warning"
    decide(Problem.objects.get(), "resolved")
    assert texts(attention.problems_lately) == []


@pytest.mark.parametrize(
    "name", ["requestlog", "provider", "clientkey", "modelmapping", "problem", "modelprice"]
)
def test_addresses_are_those_of_the_console(name, admin_client):
    assert attention._page(name) == reverse(f"admin:gateway_{name}_changelist")
    assert attention._page(name, 7, "change") == reverse(f"admin:gateway_{name}_change", args=[7])
    assert resolve(attention._page(name)).url_name == f"gateway_{name}_changelist"


def test_each_item_has_a_key_of_its_own(admin_client):
    provider = make_provider("Acme", "acme", enabled=False)
    for number in range(3):
        make_mapping(f"*{number}*", provider)
    keys = [item.key for item in attention.items(timezone.now())]
    assert len(keys) == len(set(keys)) >= 3


def test_a_key_refused_on_both_sides_of_midnight_is_one_item():
    key, _ = ClientKey.issue("laptop")
    now = timezone.now().replace(hour=0, minute=30)
    for at in (now - timedelta(hours=1), now):
        RefusedKey.objects.create(
            day=at.date(), client_key_pk=key.pk, prefix="abc", reason="expired", times=3,
            first_at=at, last_at=at,
        )  # fmt: skip
    [item] = attention.keys_refused(now)
    assert "6 times" in item.text


def test_a_key_that_was_renamed_is_one_item_of_masked_secrets():
    now = timezone.now()
    for number, name in enumerate(("old", "new")):
        RequestLog.objects.create(
            request_id=f"req_{number}", started_at=now - timedelta(hours=1), client_key_id=7,
            key_name=name, state="ok", masked_count=1,
        )  # fmt: skip
    [item] = attention.secrets_masked(now)
    assert "2 requests" in item.text
