"""The forecast of the retention page, and when somebody is told."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.history.disk_need import DiskNeed, disk_need, oldest_contents
from gateway.models import LegalHold, RequestBody, RequestLog, Retention
from gateway.watch import attention

pytestmark = pytest.mark.django_db
GB = 1024**3


@pytest.mark.parametrize(
    ("age", "body_days", "gigabytes"),
    [
        (10, None, 40),
        # more is kept than there is yet
        (10, 90, 40),
        # what there is stays, as room that is used again
        (100, 30, 100),
        (100, 110, 110),
        (100, None, 130),
    ],
)
def test_the_forecast_follows_the_days_that_contents_are_kept(age, body_days, gigabytes):
    need = DiskNeed(age * GB, None, age, GB)
    assert need.in_a_month(body_days) == gigabytes * GB


def test_an_empty_history_has_a_size_and_no_forecast():
    need = disk_need(timezone.now())
    assert need.size > 0
    assert (need.oldest, need.age, need.per_day) == (None, 0.0, 0.0)


def row(request_id, days, *, body):
    began = timezone.now() - timedelta(days=days)
    one = RequestLog.objects.create(request_id=request_id, endpoint="messages", started_at=began)
    if body:
        RequestBody.objects.create(log=one, recipe=b"")
    return began


def test_the_age_is_that_of_the_first_request_and_the_oldest_is_one_with_contents():
    row("req_1", 50, body=False)
    began = row("req_2", 40, body=True)
    row("req_3", 3, body=True)
    need = disk_need(timezone.now())
    assert need.oldest == began
    assert 49.9 < need.age < 50.1
    assert need.per_day == pytest.approx(need.size / need.age)


def statements_of(work):
    with CaptureQueriesContext(connection) as queries:
        found = work()
    return found, [query["sql"] for query in queries]


def test_contents_are_not_looked_for_where_a_purge_has_removed_them():
    row("req_1", 50, body=False)
    began = row("req_2", 29, body=True)
    row("req_3", 3, body=True)
    found, statements = statements_of(lambda: oldest_contents(timezone.now(), 30))
    assert found == began
    assert [sql for sql in statements if "ORDER BY" in sql and ">=" not in sql] == []


def test_contents_under_a_legal_hold_may_be_older():
    began = row("req_1", 50, body=True)
    row("req_2", 3, body=True)
    LegalHold.objects.create(session_id="s", reason="asked for")
    assert oldest_contents(timezone.now(), 30) == began
    assert oldest_contents(timezone.now(), None) == began


def test_held_contents_may_be_the_only_ones():
    began = row("req_1", 50, body=True)
    assert oldest_contents(timezone.now(), 30) is None
    LegalHold.objects.create(session_id="s", reason="asked for")
    assert oldest_contents(timezone.now(), 30) == began


def test_a_decision_is_asked_for_once_contents_are_older_than_what_is_proposed():
    row("req_1", 100, body=False)
    row("req_2", 80, body=True)
    assert list(attention.retention_not_decided(timezone.now())) == []
    RequestLog.objects.update(started_at=timezone.now() - timedelta(days=100))
    assert [item.urgency for item in attention.retention_not_decided(timezone.now())] == ["hint"]
    Retention.objects.create(pk=Retention.ROW)
    assert list(attention.retention_not_decided(timezone.now())) == []


def test_a_large_sqlite_is_told_to_move(monkeypatch):
    monkeypatch.setattr(attention.connection, "vendor", "sqlite")
    monkeypatch.setattr(attention, "size_of_database", lambda: 19 * GB)
    assert list(attention.sqlite_outgrown(timezone.now())) == []
    monkeypatch.setattr(attention, "size_of_database", lambda: 21 * GB)
    (item,) = attention.sqlite_outgrown(timezone.now())
    assert "20 GB" in item.text
    assert "PostgreSQL" in item.text
