"""Why a key does not work, where an admin looks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import ClientKey, RefusedKey
from gateway.watch import attention
from tests.admin.pages import url

pytestmark = pytest.mark.django_db
HOSTILE = "<b>x</b>"


@pytest.fixture
def refused():
    key, _ = ClientKey.issue("Emil")
    now = timezone.now()
    facts = {"day": now.date(), "times": 14, "first_at": now, "last_at": now, "last_address": HOSTILE}
    RefusedKey.objects.create(client_key_pk=key.pk, prefix=key.prefix, reason="expired", **facts)
    RefusedKey.objects.create(prefix="ccp_gues", reason="unknown", **facts)
    return key


def test_the_page_of_a_key_says_how_often_it_was_refused_and_why(admin_client, refused):
    text = admin_client.get(url("clientkey", "change", refused.pk)).content.decode()
    assert "Refused in the last 30 days" in text
    assert "times, last" in text and ": expired</li>" in text


def test_refused_keys_are_listed_with_their_names_and_found_by_their_beginning(admin_client, refused):
    text = admin_client.get(url("refusedkey", "changelist")).content.decode()
    assert "Emil" in text and "ccp_gues…" in text and "not known here" in text and HOSTILE not in text
    found = admin_client.get(url("refusedkey", "changelist"), {"q": "ccp_gues"}).context["cl"].result_list
    assert [row.reason for row in found] == ["unknown"]


def test_a_refused_key_of_ours_needs_attention_for_a_day(refused):
    now = timezone.now()
    (item,) = attention.keys_refused(now)
    assert "The client key Emil was refused 14 times, last at" in item.text and "expired" in item.text
    assert item.url == url("clientkey", "change", refused.pk)
    assert list(attention.keys_refused(now + timedelta(days=2))) == []


def test_the_list_asks_the_same_number_of_queries_for_many_rows(
    admin_client, refused, django_assert_max_num_queries
):
    now = timezone.now()
    for number in range(40):
        RefusedKey.objects.create(
            day=now.date(), prefix=f"ccp_{number:04}", reason="unknown", times=1, first_at=now, last_at=now
        )
    with django_assert_max_num_queries(8):
        admin_client.get(url("refusedkey", "changelist"))
