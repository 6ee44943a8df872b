"""The list of the history: what it shows, what it asks of the database, filters and search."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.admin.requests import request_search
from gateway.admin.ui import list_filters
from gateway.history.search import index as search
from gateway.models import ClientKey, ContentRead, RequestLog
from tests.admin.history import HOSTILE, LIST, change, keep, make_rows, one_row, shown
from tests.admin.pages import url
from tests.history.index import empty_index

# session, user, rows, look-ahead, saved views, small tables of six filters, and what the sidebar needs
QUERIES = 12


@pytest.fixture
def row(db):
    return one_row()


def test_the_list_shows_what_matters(admin_client, row):
    text = admin_client.get(LIST).content.decode()
    for part in (
        "claude-opus-5-5",
        "gpt-4o",
        "450",
        "2.50",
        '1,234 + 56 <span class="gw-cached">(1,000)',
        "Bash",
        "end_turn",
        "session-",
    ):
        assert part in text


def test_unknown_numbers_are_shown_as_unknown_and_not_as_zero(admin_client, db):
    make_rows(1)
    text = admin_client.get(LIST).content.decode()
    assert "0.00" not in text
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
    assert not [sql for sql in history if '"ledger"' in sql]
    assert not [sql for sql in history if "DISTINCT" in sql]
    assert all("LIMIT" in sql or '"id" IN (' in sql for sql in history)
    assert len(statements) == QUERIES


def test_pages_can_be_turned_without_knowing_how_many_there_are(admin_client, db):
    make_rows(600)
    first = admin_client.get(LIST)
    assert shown(first)[0] == "req_00599"
    assert b"251 or more requests" in first.content
    later = admin_client.get(LIST, {"p": "12"})
    assert shown(later)[-1] == "req_00000"
    assert b"600 requests" in later.content


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999", "500"])
def test_a_page_that_does_not_exist_is_the_first_one(admin_client, page):
    make_rows(53)
    response = admin_client.get(LIST, {"p": page}, follow=True)
    assert (response.status_code, len(shown(response)), shown(response)[0]) == (200, 50, "req_00052")


def test_the_rows_of_a_page_are_looked_for_once(admin_client, db):
    make_rows(120)
    with CaptureQueriesContext(connection) as captured:
        response = admin_client.get(LIST, {"p": "2", "state": "ok"})
    assert (shown(response)[0], shown(response)[-1]) == ("req_00069", "req_00020")
    assert len([query for query in captured if "OFFSET" in query["sql"]]) == 1


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("req_00000", True),
        ("req_0000", True),
        ("req_9", False),
        ("session-1", True),
        (" session-1 ", True),
        ("session", True),
        ("claude-opus-5-5", True),
        ("up-1", True),
        ("claude", False),
        ("%", False),
        ("parser", True),
        ('"broken parser"', True),
        ("pars*", True),
        ("printer", False),
    ],
)
def test_search_finds_ids_models_and_words(admin_client, db, term, found):
    one_row(upstream_request_id="up-1")
    empty_index()
    search.put([search.NewText("req_00000", b"x" * 32, "mend the broken parser")])
    assert bool(shown(admin_client.get(LIST, {"q": term}))) is found


def counts(client, of, **asked):
    return client.get(f"{LIST}counts/", {"of": of, **asked}).json()


def test_a_menu_says_how_many_requests_each_of_its_values_would_leave(admin_client, db, monkeypatch):
    make_rows(4, state="error", status=502, error_type="api_error")
    RequestLog.objects.filter(request_id="req_00000").update(state="ok", status=200, error_type="")
    key, _text = ClientKey.issue("Ann")
    RequestLog.objects.filter(request_id="req_00001").update(client_key=key, provider="other")
    assert counts(admin_client, "state") == {"counts": {"ok": 1, "error": 3, "failed": 3}, "whole": True}
    assert counts(admin_client, "status")["counts"] == {"2xx": 1, "5xx": 3}
    assert counts(admin_client, "key")["counts"] == {"none": 3, str(key.pk): 1}
    # what the menu itself chooses is left out, what others choose is not
    assert counts(admin_client, "provider", provider="other", state="error")["counts"] == {
        "main": 2,
        "other": 1,
    }
    assert counts(admin_client, "error", q="status:5xx", p="3", e="1")["counts"] == {"api_error": 3}
    monkeypatch.setattr(list_filters, "MOST_COUNTED", 2)
    assert counts(admin_client, "provider") == {"counts": {"main": 2}, "whole": False}


def test_numbers_beside_the_values_are_of_the_own_requests_alone(clerk, row):
    assert clerk("view_provider").get(f"{LIST}counts/", {"of": "state"}).status_code == 404
    client = clerk("view_requestlog")
    assert counts(client, "state")["counts"]["ok"] == 1
    for of in ("", "nothing", "q", "\x00"):
        assert client.get(f"{LIST}counts/", {"of": of}).status_code == 404
    assert counts(client, "state", session="a\x00b", nonsense="1")["whole"] is True


def excerpts(client, row, words):
    return client.get(f"{LIST}excerpts/", {"q": words, "pk": str(row.pk)}).json()


def said(row, *texts, answer="fine"):
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts]
    body = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": answer}]}
    received = json.dumps({"model": "m", "system": "Be brief about parsers.", "messages": messages})
    keep(row, {}, received.encode(), returned=json.dumps(body).encode())


def test_a_hit_is_shown_with_the_words_around_it(admin_client, row):
    said(row, "an older word about PARSERS", "first line\nplease mend the broken Parser, it <b>fails</b>")
    assert excerpts(admin_client, row, "parser broken") == {
        str(row.pk): ["first line please mend the ", "broken", " Parser, it <b>fails</b>"]
    }
    # all words count for more than the newest message; names of fields are no words
    assert excerpts(admin_client, row, "parsers older")[str(row.pk)][1] == "older"
    assert excerpts(admin_client, row, "brief")[str(row.pk)][0] == "Be "
    assert excerpts(admin_client, row, "fine")[str(row.pk)] == ["", "fine", ""]
    for nothing in ("text", "assistant", "zzz", "", "key:laptop", "\x00"):
        assert excerpts(admin_client, row, nothing) == {}
    assert (
        'data-excerpts="/admin/gateway/requestlog/excerpts/"'
        in admin_client.get(LIST, {"q": "parser"}).content.decode()
    )
    assert "data-excerpts" not in admin_client.get(LIST).content.decode()


def test_words_around_a_hit_are_for_those_who_may_read_and_noted_as_read(clerk, row):
    said(row, "private words")
    blind = clerk("view_requestlog")
    assert excerpts(blind, row, "private") == {} and not ContentRead.objects.exists()
    assert excerpts(clerk("view_requestlog", "read_content"), row, "private") != {}
    assert [(read.request_id, read.part) for read in ContentRead.objects.all()] == [("req_00000", "excerpt")]
    assert clerk("view_provider").get(f"{LIST}excerpts/", {"q": "private", "pk": "1"}).status_code == 404


@pytest.mark.parametrize("numbers", ["", "x", "1,,2", "9" * 30, "-1", "²", ",".join(["7"] * 2000)])
def test_numbers_of_nonsense_have_no_words(admin_client, row, numbers):
    assert admin_client.get(f"{LIST}excerpts/", {"q": "private", "pk": numbers}).json() == {}


def test_words_are_searched_by_those_who_may_read_alone(clerk, row):
    empty_index()
    search.put([search.NewText("req_00000", b"x" * 32, "private words")])
    client = clerk("view_requestlog")
    assert shown(client.get(LIST, {"q": "private"})) == []
    assert shown(client.get(LIST, {"q": "session-1"})) == ["req_00000"]


MATCHING = {
    "time": ("1h", {"started_at": timezone.now() - timedelta(minutes=20)}),
    "state": ("cancelled", {"state": "cancelled"}),
    "status": ("4xx", {"status": 429}),
    "error": ("rate_limit_error", {"error_type": "rate_limit_error"}),
    "key": ("none", {}),
    "provider": ("main", {"provider": "main"}),
    "model": ("m-1", {"asked_model": "m-1"}),
    "upstream_model": ("u-1", {"upstream_model": "u-1"}),
    "stop_reason": ("refusal", {"stop_reason": "refusal"}),
    "slow": ("30", {"duration_ms": 31_000}),
    "with": ("images", {"has_images": True}),
    "endpoint": ("replay", {"endpoint": "replay", "replay_of": "req_1"}),
    "started_at__gte": ("2026-11-01 00:00:00+00:00", {}),
}


@pytest.mark.parametrize("name", MATCHING)
def test_a_filter_finds_the_row(admin_client, db, name):
    value, facts = MATCHING[name]
    make_rows(1, **facts)
    assert shown(admin_client.get(LIST, {name: value})) == ["req_00000"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name, (value, _facts) in MATCHING.items()
            if name not in ("key", "provider", "started_at__gte")
        ),
        ("key", "17"),
        ("provider", "other"),
        ("owner", "nobody"),
        ("status", "5xx"),
        ("status", "404"),
        ("stop_reason", "end_turn"),
        *(("with", value) for value in ("tools", "ledger", "retries", "replays")),
        ("started_at__gte", "2027-01-01 00:00:00+00:00"),
    ],
)
def test_a_filter_leaves_out_the_others(admin_client, db, name, value):
    make_rows(1, started_at=timezone.now() - timedelta(days=2)) if name == "time" else make_rows(1)
    assert shown(admin_client.get(LIST, {name: value})) == []


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("tools", {"tool_count": 1}),
        ("ledger", {"ledger_count": 2}),
        ("retries", {"attempts": 2}),
        ("replays", {"replay_of": "req_1"}),
    ],
)
def test_requests_with_something_are_found(admin_client, db, value, facts):
    make_rows(1, **facts)
    assert shown(admin_client.get(LIST, {"with": value})) == ["req_00000"]


def test_several_things_are_asked_for_together_and_each_choice_adds_or_takes_away(admin_client, db):
    make_rows(1, tool_count=1, has_images=True)
    RequestLog.objects.create(request_id="req_other", tool_count=1)
    page = admin_client.get(LIST, {"with": "tools"})
    links = {str(choice["display"]): choice["query_string"] for choice in choices(page, "with")}
    assert shown(page) == ["req_other", "req_00000"]
    assert links["images"] == "?with=tools%2Cimages"
    assert links["tools called"] == "?"
    page = admin_client.get(LIST + links["images"])
    assert shown(page) == ["req_00000"]
    assert [str(one["display"]) for one in choices(page, "with") if one["selected"]] == [
        "tools called",
        "images",
    ]


def choices(page, parameter):
    [spec] = [one for one in page.context["cl"].filter_specs if one.parameter_name == parameter]
    return spec.choices(page.context["cl"])


@pytest.mark.parametrize(
    ("value", "facts"),
    [("tools", {"tool_count": 1}), ("images", {"has_images": True}), ("ledger", {"ledger_count": 1})],
)
def test_requests_without_something_are_found(admin_client, db, value, facts):
    make_rows(1, **facts)
    RequestLog.objects.create(request_id="req_plain")
    assert shown(admin_client.get(LIST, {"without": value})) == ["req_plain"]


def test_a_filtered_list_leads_back_to_all_and_an_unfiltered_one_does_not(admin_client, row):
    assert "Show all" in admin_client.get(LIST, {"state": "ok"}).content.decode()
    assert "Show all" in admin_client.get(LIST, {"q": "req_"}).content.decode()
    assert "Show all" not in admin_client.get(LIST).content.decode()


@pytest.mark.parametrize("name", ["time", "status", "key", "slow", "with", "stop_reason", "owner"])
def test_nonsense_in_a_filter_is_no_error(admin_client, row, name):
    assert admin_client.get(LIST, {name: "nonsense\x00;--"}).status_code in (200, 302)


def test_rows_can_be_filtered_by_key_and_by_owner(admin_client, db):
    record, _ = ClientKey.issue("Ann's laptop", owner="Ann")
    ClientKey.issue("Ann's desk", owner="Ann")
    make_rows(1, client_key=record, key_name="Ann")
    assert shown(admin_client.get(LIST, {"key": record.pk})) == ["req_00000"]
    assert shown(admin_client.get(LIST, {"owner": "Ann"})) == ["req_00000"]


def used_indexes(rows):
    with connection.cursor() as cursor:
        sql, parameters = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        return " ".join(str(line[-1]) for line in cursor.fetchall())


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
@pytest.mark.parametrize(
    ("name", "value", "index"),
    [
        ("state", "cancelled", "log_state_time"),
        ("status", "4xx", "log_refused_time"),
        ("status", "503", "log_failed_time"),
        ("error", "rate_limit_error", "log_error_time"),
        ("provider", "main", "log_provider_time"),
        ("model", "m", "log_model_time"),
        ("upstream_model", "m", "log_upstream_time"),
        ("stop_reason", "refusal", "log_stop_time"),
        ("slow", "30", "log_slow_time"),
        ("slow", "300", "log_minute_time"),
        ("with", "tools", "log_tools_time"),
        ("with", "images", "log_images_time"),
        ("with", "ledger", "log_ledger_time"),
        ("with", "retries", "log_retried_time"),
        ("with", "replays", "log_replay_time"),
        ("endpoint", "replay", "log_replay_time"),
        ("endpoint", "count_tokens", "log_counting_time"),
    ],
)
def test_a_filter_has_its_index(admin_client, db, name, value, index):
    rows = admin_client.get(LIST, {name: value}).context["cl"].queryset[:50]
    assert index in used_indexes(rows)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
def test_few_request_ids_are_found_with_their_index_and_many_on_the_way_back(admin_client, db, monkeypatch):
    make_rows(30)
    with CaptureQueriesContext(connection) as captured:
        response = admin_client.get(LIST, {"q": "req_0001"})
    assert shown(response) == [f"req_{number:05}" for number in range(19, 9, -1)]
    [looked] = [query["sql"] for query in captured if "\U0010ffff" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {looked}")
        assert all("request_id>" in line[-1] for line in cursor.fetchall())
    monkeypatch.setattr(request_search, "_FEW", 5)
    many = admin_client.get(LIST, {"q": "req_0001"})
    assert shown(many) == shown(response)
    assert "started_at" in str(many.context["cl"].queryset[:50].explain())


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plan")
def test_a_search_walks_through_no_table(admin_client, db):
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(LIST, {"q": "no-such-id"})
    asked = [
        query["sql"] for query in captured if "SELECT 1" in query["sql"] and "requestlog" in query["sql"]
    ]
    assert len(asked) == 4
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert all("SEARCH" in line[-1] for line in cursor.fetchall())


def test_nobody_edits_the_history(admin_client, row):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(url("requestlog", "change", row.pk), {"provider": "x"}).status_code == 403
    assert admin_client.post(url("requestlog", "delete", row.pk), {"post": "yes"}).status_code == 403


def test_hostile_facts_are_inert_in_the_list(admin_client, db):
    make_rows(
        1, asked_model=HOSTILE, upstream_model=HOSTILE, key_name=HOSTILE, session_id=HOSTILE,
        agent_id=HOSTILE, tools_called=[HOSTILE], tools_failed=[HOSTILE],
        stop_reason=HOSTILE[:40], provider=HOSTILE,
    )  # fmt: skip
    for parameters in ({}, {"q": HOSTILE}, {"provider": HOSTILE}, {"model": HOSTILE}):
        assert HOSTILE not in admin_client.get(LIST, parameters).content.decode()


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999"])
def test_an_unknown_row_is_no_error(admin_client, db, pk):
    assert admin_client.get(f"{LIST}{pk}/change/").status_code == 302


def test_an_empty_history_says_what_to_do(admin_client, db):
    assert b"ANTHROPIC_BASE_URL" in admin_client.get(LIST).content
    assert not RequestLog.objects.exists()


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"class": "main"}, ["req_00000"]),
        ({"class": "auxiliary"}, ["req_00003", "req_00002", "req_00001"]),
        ({"class": "classifier"}, ["req_00002"]),
        ({"class": "safeguards"}, ["req_00003"]),
        ({"prompt": "p-1"}, ["req_00000"]),
        ({"class": "nonsense"}, []),
    ],
)
def test_requests_are_found_by_what_they_are_for(admin_client, parameters, found):
    make_rows(4)
    rows = RequestLog.objects.all()
    rows.filter(request_id="req_00003").update(request_class="auxiliary", task="safeguards")
    rows.filter(request_id="req_00000").update(request_class="main", prompt_id="p-1")
    rows.filter(request_id="req_00001").update(request_class="auxiliary", task="title")
    rows.filter(request_id="req_00002").update(request_class="auxiliary", task="classifier")
    assert shown(admin_client.get(LIST, parameters)) == found


def test_the_page_of_a_request_says_what_it_was_for(admin_client):
    row = one_row(
        request_class="subagent", class_inferred=True, agent_type="Explore", prompt_id="p-<1>",
        tool_durations=[["Bash", 608], ["<b>", 3], "odd"], compaction="manual", caller_request_id="proxy-7",
    )  # fmt: skip
    text = change(admin_client, row).content.decode()
    for part in ("subagent", "inferred", "Explore", "Bash 608 ms", "&lt;b&gt; 3 ms", "manual", "proxy-7"):
        assert part in text
    assert "prompt=p-%3C1%3E" in text
