"""Refused keys are counted, by few rows whatever is tried."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from gateway.history import refused_keys
from gateway.history.refused_keys import MOST_UNKNOWN, RefusedKeys
from gateway.history.retention import purge
from gateway.models import RefusedKey, Retention

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def counted(monkeypatch):
    """RefusedKeys at noon, whose thread writes nothing before it is told to."""
    monkeypatch.setattr(refused_keys, "PAUSE", 1000.0)
    keys = RefusedKeys(lambda: NOON)
    yield keys
    keys.stop()


def test_refusals_of_a_key_are_one_row_a_day_and_reason(counted):
    for address in ("192.0.2.1", "192.0.2.2"):
        counted.note(7, "ccp_abcd", "expired", address)
    counted.note(7, "ccp_abcd", "revoked", "192.0.2.1")
    counted.flush()
    counted.note(7, "ccp_abcd", "expired", "192.0.2.3")
    counted.flush()
    expired = RefusedKey.objects.get(reason="expired")
    assert (expired.times, expired.last_address, expired.prefix) == (3, "192.0.2.3", "ccp_abcd")
    assert expired.last_at.timestamp() == NOON
    assert RefusedKey.objects.count() == 2


def test_a_flood_of_guesses_makes_few_rows_and_loses_none(counted):
    for number in range(3 * MOST_UNKNOWN):
        counted.note(0, f"ccp_{number:04}", "unknown", "192.0.2.1")
    counted.flush()
    assert RefusedKey.objects.count() == MOST_UNKNOWN + 1
    assert RefusedKey.objects.get(prefix="").times == 2 * MOST_UNKNOWN


def test_what_could_not_be_written_is_written_later(counted, monkeypatch):
    counted.note(7, "ccp_abcd", "expired", "a")
    with monkeypatch.context() as patched:
        patched.setattr(refused_keys, "write", _fails)
        with pytest.raises(DatabaseError):
            counted.flush()
    counted.note(7, "ccp_abcd", "expired", "b")
    counted.flush()
    assert RefusedKey.objects.get().times == 2


def test_stopping_writes_what_is_left():
    keys = RefusedKeys(lambda: NOON)
    keys.note(7, "ccp_abcd", "expired", "a")
    keys.stop(timeout=30)
    assert RefusedKey.objects.get().times == 1


def test_refusals_go_when_requests_of_their_day_go(counted):
    counted.note(7, "ccp_abcd", "expired", "a")
    counted.flush()
    Retention.objects.update_or_create(pk=Retention.ROW, defaults={"row_days": 30})
    purge(timezone.now() + timedelta(days=100), breath=0)
    assert not RefusedKey.objects.exists()


def _fails(_refused):
    raise DatabaseError("away")
