import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.models import RequestBody, RequestLog

pytestmark = pytest.mark.django_db


def test_a_row_can_be_opened_with_nothing_but_its_id():
    row = RequestLog.objects.create(request_id="req_1")
    assert row.state == "open"
    assert row.status is None
    assert row.input_tokens is None


def test_rows_written_twice_in_batches_end_as_one_row():
    opened = RequestLog(request_id="req_1")
    RequestLog.objects.bulk_create([opened])
    closed = RequestLog(request_id="req_1", state="ok", status=200, started_at=opened.started_at)
    RequestLog.objects.bulk_create(
        [closed], update_conflicts=True, unique_fields=["request_id"], update_fields=["state", "status"]
    )
    assert list(RequestLog.objects.values_list("state", "status")) == [("ok", 200)]


def test_a_row_whose_key_was_deleted_meanwhile_can_still_be_written():
    RequestLog.objects.create(request_id="req_1", client_key_id=4711)
    assert RequestLog.objects.count() == 1
    RequestLog.objects.all().delete()


def test_a_body_belongs_to_its_row_by_request_id_and_goes_with_it():
    row = RequestLog.objects.create(request_id="req_1")
    RequestBody.objects.create(log=row, recipe=b"x")
    assert row.body.pk == "req_1"
    row.delete()
    assert not RequestBody.objects.exists()


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ({"client_key_id": 1}, "log_key_time"),
        ({"session_id": "s"}, "log_session_time"),
        ({"state": "ok"}, "log_state_time"),
        ({"provider": "p"}, "log_provider_time"),
        ({"asked_model": "m"}, "log_model_time"),
    ],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan's wording is SQLite's")
def test_a_filtered_list_in_order_of_time_reads_an_index(where, index):
    plan = RequestLog.objects.filter(**where).order_by("-started_at")[:50].explain()
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_a_list_of_rows_does_not_read_the_bodies():
    RequestLog.objects.create(request_id="req_1")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        list(RequestLog.objects.all()[:10])
    assert all("requestbody" not in query["sql"] for query in captured)
