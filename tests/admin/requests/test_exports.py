"""The filtered list as CSV and JSONL."""

import csv
import io
import json
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.admin.requests import exports
from gateway.models import RequestLog
from tests.admin.history import HOSTILE, make_rows
from tests.admin.pages import url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def auditor(async_client, clerk_user):
    async_client.force_login(clerk_user)
    return async_client


@pytest.fixture
def clerk_user(admin_user):
    return admin_user


async def exported(client, form, **parameters):
    response = await client.get(url("requestlog", "export", form), parameters)
    assert response.status_code == 200
    return b"".join([piece async for piece in response.streaming_content])


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text.decode())))


async def test_all_rows_are_exported_in_order_over_any_number_of_pages(auditor, monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 7)
    await RequestLog.objects.abulk_create(
        # the same moment for many: the place in the order is not the time alone
        [RequestLog(request_id=f"req_{number:03}", started_at="2026-11-01T00:00:00Z") for number in range(30)]
    )
    found = [row["request_id"] for row in rows_of(await exported(auditor, "csv"))]
    assert found == [f"req_{number:03}" for number in reversed(range(30))]
    lines = (await exported(auditor, "jsonl")).splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == found


def seed(**facts):
    return make_rows(1, **facts)


async def test_the_filters_of_the_list_hold(auditor):
    await RequestLog.objects.acreate(request_id="req_1", state="error", status=500)
    await RequestLog.objects.acreate(request_id="req_2", state="ok")
    assert [row["request_id"] for row in rows_of(await exported(auditor, "csv", state="error"))] == ["req_1"]
    assert [row["request_id"] for row in rows_of(await exported(auditor, "csv", q="req_2"))] == ["req_2"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
async def test_a_text_that_a_spreadsheet_would_run_is_quoted(auditor, start):
    formula = f'{start}HYPERLINK("http://x","y")'
    await RequestLog.objects.acreate(request_id="req_1", asked_model=formula, tools_called=[formula])
    [row] = rows_of(await exported(auditor, "csv"))
    assert row["asked_model"] == "'" + formula
    assert row["tools_called"].startswith("'")
    [line] = (await exported(auditor, "jsonl")).splitlines()
    assert json.loads(line)["asked_model"] == formula


async def test_values_are_what_they_are(auditor):
    await RequestLog.objects.acreate(
        request_id="req_1",
        asked_model=HOSTILE,
        cost=Decimal("0.25"),
        tools_called=["Bash", "Read"],
        streamed=True,
    )
    [row] = rows_of(await exported(auditor, "csv"))
    assert (row["cost"], row["tools_called"], row["input_tokens"]) == ("0.25", "Bash Read", "")
    [line] = (await exported(auditor, "jsonl")).splitlines()
    value = json.loads(line)
    assert (value["tools_called"], value["input_tokens"], value["streamed"]) == (["Bash", "Read"], None, True)


def test_no_content_is_in_an_export():
    assert not set(exports.COLUMNS) & {"body", "ledger", "client_address"}


@pytest.mark.parametrize(("form", "codenames"), [("xml", ["view_requestlog"]), ("csv", ["view_provider"])])
def test_unknown_forms_and_people_without_the_right_get_nothing(clerk, form, codenames):
    with CaptureQueriesContext(connection) as captured:
        assert clerk(*codenames).get(url("requestlog", "export", form)).status_code == 404
    # whether they ever owned a request is asked; none is read
    assert not [query for query in captured if 'SELECT "gateway_requestlog".' in query["sql"]]


@pytest.mark.parametrize(
    "parameters",
    [{"session_id": "a\x00b"}, {"q": "a\x00b"}, {"nonsense": "1"}, {"started_at__gte": "yesterday"},
     {"client_key__isnull": "maybe"}, {"a\x00": "1"}, {"p": "\x00"}, {"status": "\x00"}],
)  # fmt: skip
@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_filter_that_means_nothing_is_left_out(auditor, form, parameters):
    response = await auditor.get(url("requestlog", "export", form), parameters)
    if response.status_code != 400:
        assert response.status_code == 200
        assert b"".join([piece async for piece in response.streaming_content]) is not None
    else:
        assert "client_key__isnull" in parameters


async def test_costs_are_decimals_that_spreadsheets_read(auditor):
    for number, cost in enumerate((Decimal("0E-10"), Decimal("0.0012300000"), Decimal("12"))):
        await RequestLog.objects.acreate(request_id=f"req_c{number}", cost=cost)
    found = sorted(row["cost"] for row in rows_of(await exported(auditor, "csv")))
    assert found == ["0", "0.00123", "12"]
