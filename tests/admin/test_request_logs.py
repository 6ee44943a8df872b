import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.audit.bodies import packed, store
from gateway.audit.outcome import CapturedBodies
from gateway.models import Attempt, ClientKey, ContentBlob, RequestBody, RequestLog
from tests.admin.pages import url

HOSTILE = "<script>alert('x')</script>"
START = datetime(2026, 11, 1, tzinfo=UTC)
LIST = "/admin/gateway/requestlog/"


def make_rows(count, **values):
    rows = [
        RequestLog(
            **{
                "request_id": f"req_{number:05}", "started_at": START + timedelta(seconds=number),
                "asked_model": "claude-opus-5-5", "provider": "main", "state": "ok", **values,
            }
        )
        for number in range(count)
    ]  # fmt: skip
    return RequestLog.objects.bulk_create(rows)


def keep(row, headers, *texts, **others):
    store([(row.request_id, packed(CapturedBodies(headers, *texts, **others)))])


@pytest.fixture
def row(db):
    [row] = make_rows(
        1, session_id="session-1", upstream_model="gpt-4o", input_tokens=1234, output_tokens=56,
        cache_read_tokens=1000, first_byte_ms=450, duration_ms=2500, tools_called=["Bash"],
        status=200, stop_reason="end_turn",
        ledger=[{"code": "dropped", "path": "top_k", "note": "not known upstream"}], ledger_count=1,
    )  # fmt: skip
    return row


def shown(response):
    return [row.request_id for row in response.context["cl"].result_list]


def change(client, row):
    return client.get(url("requestlog", "change", row.pk))


def test_the_list_shows_what_matters(admin_client, row):
    text = admin_client.get(LIST).content.decode()
    for part in ("claude-opus-5-5", "gpt-4o", "0.45 s", "2.50 s", "1,234 + 56 (1,000)", "Bash", "end_turn"):
        assert part in text


def test_unknown_numbers_are_shown_as_unknown_and_not_as_zero(admin_client, db):
    make_rows(1)
    text = admin_client.get(LIST).content.decode()
    assert "0.00 s" not in text
    assert "0 + 0" not in text


@pytest.mark.parametrize("count", [1, 60, 600])
def test_the_list_counts_nothing_and_reads_no_body_and_its_queries_stay_the_same(admin_client, count):
    make_rows(count)
    ClientKey.issue("Ann")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        admin_client.get(LIST)
    statements = [query["sql"] for query in captured]
    assert not [sql for sql in statements if "COUNT(" in sql.upper()]
    assert not [sql for sql in statements if "requestbody" in sql]
    history = [sql for sql in statements if 'FROM "gateway_requestlog"' in sql]
    assert not [sql for sql in history if '"ledger"' in sql or '"error_message"' in sql]
    assert not [sql for sql in history if "DISTINCT" in sql]
    assert all("LIMIT" in sql for sql in history) or count <= 50
    assert len(statements) == 6


def test_pages_can_be_turned_without_knowing_how_many_there_are(admin_client, db):
    make_rows(600)
    first = admin_client.get(LIST)
    assert shown(first)[0] == "req_00599"
    assert b"251 or more request logs" in first.content
    later = admin_client.get(LIST, {"p": "12"})
    assert shown(later)[-1] == "req_00000"
    assert b"600 request logs" in later.content


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999", "500"])
def test_a_page_that_does_not_exist_is_no_error(admin_client, page):
    make_rows(3)
    assert admin_client.get(LIST, {"p": page}, follow=True).status_code == 200


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("req_00000", True),
        ("req_0000", True),
        ("req_9", False),
        ("session-1", True),
        (" session-1 ", True),
        ("session", False),
        ("claude-opus-5-5", True),
        ("claude", False),
        ("%", False),
    ],
)
def test_search_finds_ids_and_models(admin_client, row, term, found):
    assert bool(shown(admin_client.get(LIST, {"q": term}))) is found


@pytest.mark.parametrize(
    "filters",
    [
        {"state__exact": "ok"},
        {"provider": "main"},
        {"streamed__exact": "0"},
        {"stop_reason": "end_turn"},
        {"endpoint__exact": "messages"},
        {"started_at__gte": "2026-11-01 00:00:00+00:00"},
        {"client_key__isnull": "True"},
    ],
)
def test_filters_find_the_row(admin_client, row, filters):
    response = admin_client.get(LIST, filters)
    assert response.status_code == 200
    assert shown(response) == ["req_00000"]


@pytest.mark.parametrize(
    "filters",
    [{"state__exact": "error"}, {"provider": "other"}, {"stop_reason": "tool_use"}, {"streamed__exact": "1"}],
)
def test_filters_leave_out_the_others(admin_client, row, filters):
    assert shown(admin_client.get(LIST, filters)) == []


def test_rows_can_be_filtered_by_key(admin_client, db):
    record, _ = ClientKey.issue("Ann")
    make_rows(1, client_key=record, key_name="Ann")
    assert shown(admin_client.get(LIST, {"client_key__id__exact": record.pk})) == ["req_00000"]


def test_nobody_edits_the_history(admin_client, row):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(url("requestlog", "change", row.pk), {"provider": "x"}).status_code == 403
    assert admin_client.post(url("requestlog", "delete", row.pk), {"post": "yes"}).status_code == 403


def test_the_detail_shows_the_row_and_its_bodies(admin_client, row):
    keep(row, {"authorization": "[masked]"}, b'{"model":"claude","n":1}', answered=b"data: {}\n\n")
    text = change(admin_client, row).content.decode()
    assert "dropped top_k: not known upstream" in text
    assert "{\n  &quot;model&quot;: &quot;claude&quot;,\n  &quot;n&quot;: 1\n}" in text
    assert "data: {}" in text
    assert "[masked]" in text
    assert "As sent to the provider" not in text


def test_without_stored_bodies_the_page_says_why(admin_client, row):
    assert b"No bodies are kept of this request" in change(admin_client, row).content


def test_bodies_need_a_permission_of_their_own(clerk, row):
    keep(row, {}, b'"private words"')
    response = change(clerk("view_requestlog"), row)
    assert response.status_code == 200
    assert b"private words" not in response.content
    assert b"You may not read the contents" in response.content


def test_those_with_the_permission_read_bodies(clerk, row):
    keep(row, {}, b'"private words"')
    assert b"private words" in change(clerk("view_requestlog", "view_requestbody"), row).content


def test_damaged_bodies_do_not_break_the_page(admin_client, row):
    keep(row, {}, b'"words"', b'"words"', b"words", b"words")
    RequestBody.objects.update(answered=b"not zstd")
    assert change(admin_client, row).content.count(b"is damaged") == 1
    ContentBlob.objects.all().delete()
    assert change(admin_client, row).content.count(b"is damaged") == 3
    RequestBody.objects.update(recipe=b"not zstd")
    assert change(admin_client, row).content.count(b"is damaged") == 1


def test_hostile_text_is_inert_everywhere(admin_client, db):
    [row] = make_rows(
        1, asked_model=HOSTILE, error_message=HOSTILE, key_name=HOSTILE, client=HOSTILE, session_id=HOSTILE,
        tools_called=[HOSTILE], ledger=[{"code": HOSTILE, "path": HOSTILE, "note": HOSTILE}, "nonsense"],
    )  # fmt: skip
    keep(row, {HOSTILE: HOSTILE}, HOSTILE.encode(), json.dumps([HOSTILE]).encode())
    for response in (
        admin_client.get(LIST),
        change(admin_client, row),
        admin_client.get(LIST, {"q": HOSTILE}),
    ):
        assert HOSTILE not in response.content.decode()


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999"])
def test_an_unknown_row_is_no_error(admin_client, db, pk):
    assert admin_client.get(f"{LIST}{pk}/change/").status_code == 302


def test_the_attempts_are_shown_with_what_followed_each(admin_client, row):
    facts = {"log": row, "started_at": START, "upstream_model": "gpt-4o"}
    Attempt.objects.create(
        number=1, provider="main", credential="first", state="error", status=503, next_step="target",
        error_type="overloaded_error", error_message=HOSTILE, pause_ms=250, duration_ms=80, **facts,
    )  # fmt: skip
    Attempt.objects.create(number=2, provider="other", state="ok", next_step="answered", **facts)
    text = change(admin_client, row).content.decode()
    for part in ("gpt-4o @ main", "gpt-4o @ other", "503", "tried at the next target", "after 250 ms"):
        assert part in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
