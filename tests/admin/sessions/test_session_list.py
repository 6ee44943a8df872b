"""The pages of sessions."""

from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.admin.sessions.session_page import LISTED
from gateway.history.totals.sessions import work_out
from gateway.models import ClientKey, RequestLog, SessionTotal
from tests.admin.history import HOSTILE, START, make_rows
from tests.admin.pages import url

LIST = "/admin/gateway/sessiontotal/"


@pytest.fixture
def session(db):
    make_rows(
        3, session_id="s-1", key_name="Ann", input_tokens=1000, output_tokens=50, cache_read_tokens=3000,
        cost="0.25", tools_called=["Bash"], tool_count=1, tools_failed=["Bash"], attempts=2, duration_ms=4000,
        first_byte_ms=1000, status=200,
    )  # fmt: skip
    work_out("s-1")
    return "s-1"


def test_the_list_shows_the_totals_of_each_session(admin_client, session):
    text = admin_client.get(LIST).content.decode()
    for part in ("s-1", "Ann", "3,000 + 150", "75 ", "0.7500"):
        assert part in text


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, 1),
        ({"q": "s-"}, 1),
        ({"q": "x"}, 0),
        ({"range": "1h"}, 0),
        ({"key": "none"}, 1),
        ({"key": "7"}, 0),
    ],
)
def test_sessions_are_searched_and_filtered(admin_client, session, parameters, found):
    assert len(admin_client.get(LIST, parameters).context["cl"].result_list) == found


def test_the_list_asks_the_same_however_many_there_are(admin_client, db):
    counts = []
    for number in (1, 100):
        for one in range(number):
            SessionTotal.objects.get_or_create(
                session_id=f"s-{one}", defaults={"first_at": timezone.now(), "last_at": timezone.now()}
            )
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        counts.append(len(captured))
        assert not [query for query in captured if "COUNT(" in query["sql"]]
        # the one that looks for what each session is about
        assert len([query for query in captured if "requestlog" in query["sql"]]) == 1
    assert counts[0] == counts[1]


def test_the_page_shows_turns_tools_and_where_the_time_went(admin_client, session):
    text = admin_client.get(url("sessiontotal", "change", session)).content.decode()
    for part in (
        "main agent",
        "Where the time went",
        "cache hit rate",
        "75.0",
        "Bash",
        "2 attempts",
        "<svg",
        "0.75",
    ):
        assert part in text


def test_a_long_session_is_listed_in_pages_the_newest_first_and_all_of_it_counts(admin_client, db):
    make_rows(LISTED + 30, session_id="long", input_tokens=10)
    work_out("long")
    address = url("sessiontotal", "change", "long")
    counts = []
    for page, first, last in (("", 31, LISTED + 30), ("?p=2", 1, 30), ("?p=nonsense", 31, LISTED + 30)):
        with CaptureQueriesContext(connection) as captured:
            response = admin_client.get(address + page)
        counts.append(len([query for query in captured if "requestlog" in query["sql"]]))
        text = response.content.decode()
        assert f"Requests {first} to {last} of {LISTED + 30}" in text
        assert ("Older requests" in text, "Newer requests" in text) == (page != "?p=2", page == "?p=2")
        [main] = response.context["agents"]
        assert [place for place, _row in main.listed] == list(range(first, last + 1))
        numbers = response.context["numbers"]
        assert (numbers.requests, numbers.input_tokens) == (LISTED + 30, 10 * (LISTED + 30))
        # another page begins where the list does, not above the numbers again
        assert (text.count('id="turns"'), text.count('#turns"')) == (1, 2)
    assert counts == [8, 8, 8]


def test_a_short_session_has_no_pages(admin_client, session):
    assert "gw-turns" not in admin_client.get(url("sessiontotal", "change", session)).content.decode()


def test_hostile_facts_are_inert(admin_client, db):
    make_rows(
        1, session_id=HOSTILE, agent_id=HOSTILE, tools_called=[HOSTILE], asked_model=HOSTILE, key_name=HOSTILE
    )
    work_out(HOSTILE)
    list_page = admin_client.get(LIST)
    assert HOSTILE not in list_page.content.decode()
    link = list_page.content.decode().split('class="gw-id" href="')[1].split('"')[0]
    page = admin_client.get(unescape(link))
    assert page.status_code == 200
    assert b"main agent" in page.content or b"subagent" in page.content
    assert HOSTILE not in page.content.decode()


def test_pages_need_the_right_to_see_them(clerk, session):
    client = clerk("view_provider")
    assert client.get(LIST).status_code == 403
    assert client.get(url("sessiontotal", "change", session)).status_code in (302, 403)


def test_the_owner_of_a_key_sees_its_sessions_and_in_them_its_requests_alone(clerk):
    client = clerk()
    record, _ = ClientKey.issue("mine", user=get_user_model().objects.get(username="clerk"))
    make_rows(2, session_id="mine", client_key=record, owner_id=record.user_id, asked_model="my-model")
    RequestLog.objects.create(request_id="req_x", session_id="mine", asked_model="their-model")
    RequestLog.objects.create(request_id="req_y", session_id="theirs", asked_model="their-model")
    RequestLog.objects.filter(session_id="mine").exclude(client_key=record).update(started_at=START)
    for session_id in ("mine", "theirs"):
        work_out(session_id)
    assert [(total.session_id, total.requests) for total in client.get(LIST).context["cl"].result_list] == [
        ("mine", 2)
    ]
    text = client.get(url("sessiontotal", "change", "mine")).content.decode()
    assert "my-model" in text
    assert "their-model" not in text
    assert client.get(url("sessiontotal", "change", "theirs")).status_code == 302


def test_a_session_that_is_not_there_is_no_error(admin_client, db):
    assert admin_client.get(url("sessiontotal", "change", "nothing")).status_code == 302
    assert admin_client.get(url("sessiontotal", "change", "a\x00b")).status_code == 302
    assert admin_client.post(url("sessiontotal", "change", "nothing")).status_code in (302, 403)


def test_who_sends_the_session_id_of_another_takes_nothing_over(clerk, admin_client):
    client = clerk()
    member = get_user_model().objects.get(username="clerk")
    forger = get_user_model().objects.create_user("forger")
    mine, _ = ClientKey.issue("mine", user=member)
    theirs, _ = ClientKey.issue("theirs", user=forger)
    nobodys, _ = ClientKey.issue("nobodys")
    make_rows(3, session_id="s", client_key=mine, owner_id=member.pk, key_name="mine", input_tokens=10)
    work_out("s")
    before = SessionTotal.objects.values().get()
    for record, owner in ((theirs, forger.pk), (nobodys, None), (None, None)):
        RequestLog.objects.create(
            request_id=f"req_{record}", session_id="s", client_key=record, owner_id=owner,
            endpoint="messages", key_name=record.name if record else "",
        )  # fmt: skip
    work_out("s")
    assert SessionTotal.objects.values().get(pk=before["id"]) == before
    holders = [f"user:{member.pk}", f"user:{forger.pk}", f"key:{nobodys.pk}", ""]
    assert sorted(SessionTotal.objects.values_list("holder", "requests")) == sorted(
        zip(holders, (3, 1, 1, 1), strict=True)
    )
    [total] = client.get(LIST).context["cl"].result_list
    assert (total.pk, total.requests) == (before["id"], 3)
    # who sees all sees each by itself
    page = url("sessiontotal", "change", "s")
    for holder, requests in zip(holders, (3, 1, 1, 1), strict=True):
        assert admin_client.get(page, {"of": holder}).context["numbers"].requests == requests
    assert "Several clients sent this session id" in admin_client.get(page).content.decode()
    assert client.get(page).context["numbers"].requests == 3
    assert client.get(page, {"of": f"user:{forger.pk}"}).status_code == 302


def test_a_rotated_key_goes_on_with_its_sessions(db):
    first, _ = ClientKey.issue("k")
    second, _ = first.rotate(timedelta(0))
    third, _ = second.rotate(timedelta(0))
    for place, record in enumerate((first, second, third)):
        RequestLog.objects.create(
            request_id=f"req_{place}", session_id="s", client_key=record, endpoint="messages"
        )
    work_out("s")
    assert [(total.holder, total.requests) for total in SessionTotal.objects.all()] == [
        (f"key:{first.pk}", 3)
    ]


def test_the_number_of_a_total_is_no_address(admin_client, session):
    assert admin_client.get(url("sessiontotal", "change", SessionTotal.objects.get().pk)).status_code == 302


def test_the_page_says_what_each_prompt_cost_and_what_requests_were_for(admin_client, db):
    make_rows(2, session_id="s-2", prompt_id="prompt-1", cost="0.5", request_class="main")
    RequestLog.objects.filter(request_id="req_00001").update(agent_id="a", request_class="subagent")
    RequestLog.objects.create(
        request_id="r-title",
        session_id="s-2",
        cost="0.01",
        request_class="auxiliary",
        task="title",
        state="ok",
    )
    RequestLog.objects.create(
        request_id="r-check",
        session_id="s-2",
        cost=None,
        request_class="auxiliary",
        task="classifier",
        state="ok",
    )
    work_out("s-2")
    page = admin_client.get(url("sessiontotal", "change", "s-2"))
    [prompt] = page.context["prompts"]
    assert (prompt["requests"], prompt["agents"], prompt["cost"]) == (2, 1, 1)
    classes = {one["purpose"]: (one["requests"], one["unpriced"]) for one in page.context["classes"]}
    assert classes == {
        "main agent": (1, 0), "subagent": (1, 0), "auxiliary": (1, 0), "safety check by the client": (1, 1),
    }  # fmt: skip
    assert "?prompt=prompt-1" in page.content.decode()


def test_the_dearest_session_is_found_by_sorting_and_says_whose_it_is(admin_client, session):
    user = get_user_model().objects.create_user("emil")
    rows = make_rows_of("s-2", owner_id=user.pk, cost="9.5")
    assert rows
    work_out("s-2")
    heads = list(admin_client.get(LIST).context["cl"].list_display)
    column = heads.index("cost_shown")
    response = admin_client.get(LIST, {"o": f"-{column}"})
    assert [total.session_id for total in response.context["cl"].result_list] == ["s-2", "s-1"]
    assert "emil" in response.content.decode()


def make_rows_of(session_id, **fields):
    return RequestLog.objects.bulk_create(
        [
            RequestLog(
                request_id=f"req_{session_id}", session_id=session_id, started_at=START, state="ok", **fields
            )
        ]
    )
