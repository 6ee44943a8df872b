"""The box of a provider's page that tells how often its answers had to be repaired."""

import pytest
from django.utils import timezone

from gateway.admin.providers.provider_repairs import KINDS
from gateway.conversion.repairs import REPAIR_KINDS
from gateway.history.totals.contributions import hour_of
from gateway.models import HourlyLedger
from tests.admin.pages import url
from tests.records import make_provider

pytestmark = pytest.mark.django_db


def test_every_kind_of_repair_has_words():
    assert KINDS.keys() == REPAIR_KINDS


def test_the_page_of_a_provider_counts_the_repairs_of_its_answers_by_kind(admin_client):
    provider = make_provider()
    now = hour_of(timezone.now())
    for hour, slug, kind, entries in (
        (now, provider.slug, "call", 7),
        (now - 30, provider.slug, "call", 4),
        (now, provider.slug, "dropped", 5),
        (now, "another", "usage", 9),
        (now - 31 * 24, provider.slug, "usage", 3),
    ):
        HourlyLedger.objects.create(hour=hour, provider=slug, code=kind, entries=entries)
    page = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    assert "<b>calls put together or left out</b> <span>11</span>" in page
    assert "token counts not believed" not in page
    HourlyLedger.objects.all().delete()
    page = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    assert "Repairs of its answers" not in page
