"""seedhistory makes a history that looks real, and keeps off one that is."""

import pytest
from django.core.management import CommandError, call_command

from gateway.history.content.bodies import rebuilt
from gateway.history.record.rows import write
from gateway.models import RequestLog, SessionTotal
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
