"""seedhistory makes a history that looks real, and keeps off one that is."""

import pytest
from django.core.management import CommandError, call_command

from gateway.history.content.bodies import rebuilt
from gateway.history.record.rows import write
from gateway.management import seeding
from gateway.models import Attempt, RequestLog, SessionTotal
from tests.history.record.test_recorder import outcome
from tests.history.totals.test_hourly import kept, recounted

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_totals_sessions_and_contents_agree():
    call_command("seedhistory", rows=300, days=2, bodies=5, verbosity=0)
    assert RequestLog.objects.count() == 300
    assert kept() == recounted()
    assert SessionTotal.objects.exists()
    newest = RequestLog.objects.filter(endpoint="messages").first()
    assert b"messages" in rebuilt(newest.request_id, "received")


def test_of_many_rows_most_are_copies_and_all_agree(monkeypatch):
    monkeypatch.setattr(seeding, "MADE_UP", 100)
    call_command("seedhistory", rows=350, days=2, bodies=5, verbosity=0)
    assert RequestLog.objects.count() == 351
    assert kept() == recounted()
    assert RequestLog.objects.values("session_id").distinct().count() == SessionTotal.objects.count() >= 3
    retried = Attempt.objects.values_list("log_id", flat=True)
    assert set(retried) == set(RequestLog.objects.filter(attempts=2).values_list("request_id", flat=True))
    assert len(set(RequestLog.objects.values_list("started_at", flat=True))) > 300


def test_doing_it_twice_makes_nothing_twice():
    call_command("seedhistory", rows=50, days=1, bodies=0, verbosity=0)
    with pytest.raises(CommandError, match="already"):
        call_command("seedhistory", rows=50, days=1, bodies=0, verbosity=0)


def test_requests_of_clients_are_not_mixed_with_made_up_ones():
    write([outcome()])
    with pytest.raises(CommandError, match="has requests of clients"):
        call_command("seedhistory", rows=10)
    call_command("seedhistory", rows=10, bodies=0, force=True)
    assert RequestLog.objects.count() == 11
