"""The database knows how many rows its indexes lead to."""

import threading

import pytest
from django.db import connection

from gateway.history import retention
from gateway.history.search import analyze
from gateway.models import RequestLog
from tests.admin.history import make_rows

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL looks by itself")
def test_sqlite_takes_the_index_for_few_rows_once_it_was_told():
    make_rows(3000, client_key_id=1)
    RequestLog.objects.filter(request_id="req_00007").update(has_images=True)
    rows = RequestLog.objects.filter(client_key_id__in=[1, 2, 3], has_images=True)
    assert "log_images_time" not in plan(rows)
    analyze.inform()
    assert "log_images_time" in plan(rows)


def plan(rows):
    return rows.order_by("-started_at", "-pk")[:50].explain()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL looks by itself")
def test_the_hourly_worker_tells_it(monkeypatch):
    told = threading.Event()
    monkeypatch.setattr(retention, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(retention, "purge_when_due", lambda _now, _stopping: None)
    monkeypatch.setattr(retention.analyze, "inform", told.set)
    worker = retention.RetentionWorker()
    worker.start()
    try:
        assert told.wait(10)
    finally:
        worker.stop()
