"""Statements that go to the driver behave as Django's."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from django.test.utils import CaptureQueriesContext

from gateway.history.outcome import ExchangeOutcome
from gateway.history.record.rows import LOG, log_row
from gateway.history.statements import Statement, among
from gateway.models import FollowUp, RequestLog

pytestmark = pytest.mark.django_db(transaction=True)
PUT = Statement("INSERT INTO gateway_followup (request_id) VALUES (%s)")
AMONG = "SELECT request_id FROM gateway_followup WHERE request_id IN ({places}) ORDER BY request_id"


def test_rows_go_in_and_come_out():
    PUT.many([])
    PUT.many([("a",), ("b",), ("c",)])
    assert among(AMONG, 2).rows(["c", "a"]) == [("a",), ("c",)]
    assert among(AMONG, 2) is among(AMONG, 2)


def test_errors_are_djangos():
    PUT.many([("a",)])
    with pytest.raises(IntegrityError):
        PUT.many([("a",)])
    with pytest.raises((OperationalError, ProgrammingError)):
        Statement("SELECT nothing FROM nowhere WHERE id = %s").rows([1])


def test_who_watches_the_queries_sees_them():
    with CaptureQueriesContext(connection) as queries:
        PUT.many([("a",)])
        among(AMONG, 1).rows(["a"])
    assert len(queries) == 2


def outcome(**fields):
    return ExchangeOutcome(
        **{
            "request_id": "req_1",
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "endpoint": "messages",
            **fields,
        }
    )


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_a_row_is_read_as_it_was_written(moment):
    told = outcome(
        started_at=moment, state="ok", ledger=[{"code": "é\x00🙂", "note": "n"}],
        tools_called=["Bash"], error_message="a\x00b" + "x" * 2000, timeline=[["t", 1.5]],
    )  # fmt: skip
    row = log_row(told, Decimal("0.0000012345"), "book")
    LOG.statement.many(LOG.values([row]))
    stored = RequestLog.objects.get()
    assert {name: getattr(stored, name) for name in row} == row
    assert (stored.started_at, stored.error_message[:3], len(stored.error_message)) == (
        moment,
        "a\ufffdb",
        1000,
    )
    assert stored.ledger[0]["note"] == "n"
    assert not FollowUp.objects.exists()
    # Django's own writing of the same gives the same row
    RequestLog.objects.all().delete()
    RequestLog.objects.create(**row)
    assert RequestLog.objects.filter(started_at=moment).values(*row).get() == row
