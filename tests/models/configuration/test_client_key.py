from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.models import ClientKey, RequestLog
from gateway.security import client_keys

pytestmark = pytest.mark.django_db


def test_issue_returns_the_key_and_stores_only_its_digest():
    record, key = ClientKey.issue("Ann", owner="ann@example.com")
    stored = ClientKey.objects.values().get(pk=record.pk)
    assert stored["digest"] == client_keys.digest(key)
    assert key not in str(stored)
    assert stored["owner"] == "ann@example.com"


def test_text_of_a_key_shows_its_ends_alone():
    record, key = ClientKey.issue("Ann")
    assert str(record) == f"Ann ({key[:8]}…{key[-4:]})"


def test_a_revoked_key_stays_revoked_since_the_first_time():
    record, _ = ClientKey.issue("Ann")
    record.revoke()
    first = record.revoked_at
    record.revoke()
    assert record.state() == "revoked"
    assert ClientKey.objects.get().revoked_at == first


def test_a_key_expires_at_its_time():
    now = timezone.now()
    record, _ = ClientKey.issue("Ann", expires_at=now)
    assert record.state(now) == "expired"
    assert record.state(now - timedelta(seconds=1)) == "active"


def test_history_survives_the_deletion_of_a_key():
    record, _ = ClientKey.issue("Ann")
    RequestLog.objects.create(request_id="req_1", client_key=record, key_name="Ann")
    record.delete()
    row = RequestLog.objects.get()
    assert (row.client_key_id, row.key_name) == (None, "Ann")
