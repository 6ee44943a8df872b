"""The page of one request."""

import html
import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.admin.ui import sanitize
from gateway.models import Attempt, ContentBlob, ContentRead, ModelMapping, Provider, RequestBody, RequestLog
from gateway.wire import jsontext, messages, sse
from tests import hostile
from tests.admin.history import HOSTILE, START, change, keep, make_rows, one_row
from tests.admin.pages import url

ASKED = {
    "model": "claude-opus-5-5",
    "max_tokens": 4096,
    "top_k": 5,
    "messages": [
        {"role": "user", "content": "first words"},
        {"role": "assistant", "content": [{"type": "text", "text": "second words"}]},
        {"role": "user", "content": [{"type": "text", "text": "**third** words"}]},
    ],
}
SENT = {"model": "gpt-4o", "max_tokens": 4096, "messages": [{"role": "user", "content": "first words"}]}
ANSWER = sse.encode_all(
    [
        messages.message_start({"content": []}),
        messages.block_start(0, {"type": "text", "text": ""}),
        messages.text_delta(0, "the answer"),
        messages.MESSAGE_STOP,
    ]
)
TABS = ["conversation", "compare", "received", "sent", "answered", "returned", "timeline", "ledger", "curl"]
CONTENT_TABS = [tab for tab in TABS if tab not in ("timeline", "ledger")]


def strip_tags(page):
    return re.sub("</?(details|summary)[^>]*>", "", page)


@pytest.fixture
def row(db):
    row = one_row(error_type="api_error", error_message="went wrong", attempts=2)
    keep(
        row,
        {"authorization": "[masked]"},
        jsontext.dumps(ASKED),
        jsontext.dumps(SENT),
        b"data: {}\n\n",
        ANSWER,
    )
    return row


def text(client, row, tab=""):
    response = change(client, row, **({"tab": tab} if tab else {}))
    assert response.status_code == 200
    return response.content.decode()


def test_the_first_screen_says_what_was_asked_where_it_went_and_how_it_ended(admin_client, row):
    page = text(admin_client, row)
    for part in (
        "claude-opus-5-5",
        "session-1",
        "gpt-4o",
        "main",
        "went wrong",
        "450",
        "2.50",
        "1,234",
        "Bash",
    ):
        assert part in page


def test_the_conversation_is_what_was_said_and_the_answer(admin_client, row):
    page = text(admin_client, row)
    for part in (
        "first words",
        "second words",
        "<strong>third</strong> words",
        "the answer",
        "2 earlier messages",
    ):
        assert part in page


@pytest.mark.parametrize(
    ("tab", "part"),
    [
        ("compare", "<mark>  &quot;top_k&quot;: 5,</mark>"),
        ("received", "&quot;top_k&quot;: 5"),
        ("received", "[masked]"),
        ("sent", "&quot;model&quot;: &quot;gpt-4o&quot;"),
        ("answered", "data: {}"),
        ("returned", "event: message_start"),
        ("ledger", "not known upstream"),
        ("timeline", "the first byte went to the client"),
        ("curl", "$CCPROXY_KEY"),
        ("nonsense", "first words"),
    ],
)
def test_each_tab_shows_its_part(admin_client, row, tab, part):
    assert part in text(admin_client, row, tab)


def test_the_answer_stands_before_what_was_asked_and_the_rest_is_folded(admin_client, row):
    page = text(admin_client, row)
    assert page.index("the answer") < page.index("third") < page.index("first words")
    before = page[: page.index("first words")]
    assert before.rfind("<details") > before.rfind("</details>")


@pytest.mark.parametrize(
    "body",
    [
        jsontext.dumps({"a": [{"b": {"c": [1, 2]}}], "tools": [{"x": "<script>"}], "d": []}),
        b'{"a": [',
        b"<script>alert(1)</script>\n}",
        b"[]",
        b'"{"',
        b"",
        b"  {\n  {\n    [\n  }\n ]\n",
        jsontext.dumps({"a": [[[[[[1]]]]] for _ in range(30)]}),
    ],
)
def test_json_folds_and_is_copied_as_it_is(body, monkeypatch):
    for most in (0, 3, 2_000):
        monkeypatch.setattr(sanitize, "_MOST_FOLDS", most)
        page = sanitize.folded(body)
        assert page.count("<details") == page.count("</details>") <= most
        assert html.unescape(strip_tags(page)) == sanitize.readable(body)
        assert "<script" not in page


@pytest.mark.parametrize("tab", CONTENT_TABS)
def test_content_needs_a_right_of_its_own(clerk, row, tab):
    page = text(clerk("view_requestlog"), row, tab)
    assert "words" not in page
    assert "You may not read the content" in page
    assert not ContentRead.objects.exists()


def test_without_the_right_to_read_the_timeline_comes_first(clerk, row):
    assert "the request came in" in text(clerk("view_requestlog"), row)


def test_links_lead_where_the_reader_may_go(clerk, row):
    provider = Provider.objects.create(name="Acme", slug=row.provider, base_url="https://acme.test/v1")
    mapping = ModelMapping.objects.create(pattern="*")
    RequestLog.objects.filter(pk=row.pk).update(mapping_pk=mapping.pk, mapping="*")
    addresses = [
        url("provider", "change", provider.pk), url("modelmapping", "change", mapping.pk),
        url("modelmapping", "where"),
    ]  # fmt: skip
    page = text(clerk("view_requestlog"), row)
    assert "Acme" in page and not any(one in page for one in addresses)
    page = text(clerk("view_requestlog", "view_provider", "view_modelmapping"), row)
    assert all(one in page for one in addresses)


def test_each_read_is_noted(admin_client, row):
    for tab in TABS:
        text(admin_client, row, tab)
    noted = ContentRead.objects.values_list("request_id", "part")
    assert sorted(noted) == sorted((row.request_id, tab) for tab in CONTENT_TABS)


def test_without_stored_bodies_the_page_says_why(admin_client, db):
    assert "The content of this request is not kept" in text(admin_client, one_row())


def test_damaged_bodies_do_not_break_the_page(admin_client, row):
    RequestBody.objects.update(returned=b"not zstd")
    assert "is damaged" in text(admin_client, row, "returned")
    assert "is damaged" not in text(admin_client, row, "received")
    ContentBlob.objects.all().delete()
    assert "is damaged" in text(admin_client, row, "received")
    RequestBody.objects.update(recipe=b"not zstd")
    assert "is damaged" in text(admin_client, row, "sent")


def test_the_attempts_are_shown_with_what_followed_each(admin_client, row):
    facts = {"log": row, "started_at": START, "upstream_model": "gpt-4o"}
    Attempt.objects.create(
        number=1, provider="main", credential="first", state="error", status=503, next_step="target",
        error_type="overloaded_error", error_message=HOSTILE, pause_ms=250, duration_ms=80, **facts,
    )  # fmt: skip
    Attempt.objects.create(number=2, provider="other", state="ok", next_step="answered", **facts)
    RequestLog.objects.update(timeline=[["gap", 100, 1500], ["ping", 900, 0], ["more", 3, 0], "nonsense"])
    page = text(admin_client, row, "timeline")
    for part in (
        "attempt 1 at main, gpt-4o", "attempt 2 at other", "HTTP 503", "tried at the next target", "250",
        "the provider was silent", "a sign of life", "first", "<svg",
    ):  # fmt: skip
        assert part in page
    assert HOSTILE not in page


@pytest.mark.parametrize("tab", TABS)
def test_a_hostile_conversation_is_inert_on_every_tab(admin_client, db, tab):
    [row] = make_rows(
        1, asked_model=HOSTILE, error_message=HOSTILE, error_type=HOSTILE[:60], key_name=HOSTILE,
        client=HOSTILE, session_id=HOSTILE, agent_id=HOSTILE, tools_called=[HOSTILE], mapping=HOSTILE,
        upstream_request_id=HOSTILE,
        ledger=[{"code": HOSTILE, "path": HOSTILE, "note": HOSTILE}, "nonsense"],
    )  # fmt: skip
    body = json.dumps(hostile.REQUEST).encode()
    keep(row, {HOSTILE: HOSTILE}, body, body, hostile.SCRIPT.encode(), json.dumps(hostile.ANSWER).encode())
    response = change(admin_client, row, tab=tab)
    page = response.content.decode()
    for tripwire in (*hostile.TRIPWIRES, HOSTILE):
        assert tripwire not in page
    assert not set(page) & set("\x00\x07\x1b\x9b\u202e\u200b")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"].split("style-src")[0]


def test_a_page_asks_the_same_few_things_however_long_the_conversation(admin_client, db):
    counts = []
    for length in (1, 300):
        row = one_row(request_id=f"req_{length}")
        asked = {"messages": [{"role": "user", "content": f"message {number}"} for number in range(length)]}
        keep(row, {}, jsontext.dumps(asked))
        with CaptureQueriesContext(connection) as captured:
            text(admin_client, row)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_part_is_saved_as_a_file_that_no_browser_shows(admin_client, row):
    response = admin_client.get(url("requestlog", "part", row.pk, "received"))
    assert jsontext.loads(response.content) == ASKED
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ContentRead.objects.get().part == "received (file)"


def test_an_exchange_is_saved_as_a_case(admin_client, row):
    case = admin_client.get(url("requestlog", "fixture", row.pk)).json()
    assert case["request"] == ASKED
    assert case["kind"] == "stream"


@pytest.mark.parametrize(("page", "more"), [("part", ["received"]), ("part", ["nonsense"]), ("fixture", [])])
def test_files_need_the_right_to_read(clerk, row, page, more):
    client = clerk("view_requestlog")
    assert client.get(url("requestlog", page, row.pk, *more)).status_code == 404


def test_files_of_what_is_not_there_are_not_found(admin_client, db):
    row = one_row()
    assert admin_client.get(url("requestlog", "part", row.pk, "received")).status_code == 404
    assert admin_client.get(url("requestlog", "fixture", row.pk)).status_code == 404
    assert admin_client.get(url("requestlog", "part", 999, "received")).status_code == 404


def test_the_facts_that_rules_can_ask_about_are_shown(admin_client):
    facts = {
        "input_tokens": 71234,
        "tools": 24,
        "thinking": True,
        "effort": "high",
        "header": {"x-team": "<b>"},
    }
    row = one_row(facts=facts, asked_model="claude-x")
    page = text(admin_client, row)
    assert "input tokens (estimated) = 71,234; thinking; effort = high; tools offered = 24" in page
    assert "header x-team = &lt;b" in page
    assert f"where/?request={row.request_id}" in page
    RequestLog.objects.filter(pk=row.pk).update(facts=[])
    assert text(admin_client, row)
