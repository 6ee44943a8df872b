"""Caching as an admin sees it: sums with their requests, advice, and files."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.history.caching.diagnosis import CHANGED, IDLE, LOADED, NOT_KEPT
from gateway.history.totals.contributions import hour_of
from gateway.models import CacheMiss, HourlyTotal, RequestLog, SessionTotal

pytestmark = pytest.mark.django_db
PAGE = "/admin/gateway/cachemiss/"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RANGE = {"range": "2026-11-20..2026-11-20"}
HOSTILE = "=HYPERLINK('http://x')<script>"


def missed(number, culprit="client", item="tools", reason=CHANGED, *, source="mcp__github", **fields):
    told = {
        "client": "claude-cli/2.1.332", "provider": "acme", "upstream_model": "big", "mapping": "claude-*",
        **fields,
    }  # fmt: skip
    name, session = f"req_{number}", told.pop("session_id", f"s{number}")
    money = told.pop("money", Decimal("0.25"))
    at = NOON + timedelta(seconds=number)
    row = RequestLog.objects.create(
        request_id=name, started_at=at, session_id=session, state="ok", status=200, **told
    )
    return CacheMiss.objects.create(
        log=row, before_id="before", started_at=at, session_id=session, culprit=culprit, item=item,
        reason=reason, source=source if item == "tools" else "", tokens=50_000, money=money,
    )  # fmt: skip


@pytest.fixture
def misses():
    for number in range(3):
        missed(number)
        SessionTotal.objects.create(
            session_id=f"s{number}", first_at=NOON, last_at=NOON, input_tokens=100_000,
            cache_read_tokens=60_000,
        )  # fmt: skip
    missed(3, "provider", "", IDLE, client=HOSTILE, provider="other")
    missed(4, "unknown", "", NOT_KEPT, mapping="", money=None)
    RequestLog.objects.create(request_id="hit", started_at=NOON, session_id="s0", state="ok", status=200)
    HourlyTotal.objects.create(
        hour=hour_of(NOON), requests=6, input_tokens=300_000, cache_read_tokens=600_000,
        cache_write_tokens=100_000,
    )  # fmt: skip


def shown(client, **asked):
    return client.get(PAGE, {**RANGE, **asked})


def test_the_whole_is_said_with_its_money(admin_client, misses):
    report = shown(admin_client).context["report"]
    assert (report.whole.requests, report.whole.tokens, report.whole.unpriced) == (5, 250_000, 1)
    assert report.whole.money == Decimal("1.00")
    assert report.read_share == 0.6


def test_the_sums_are_by_reason_client_provider_and_mapping(admin_client, misses):
    tables = shown(admin_client).context["tables"]
    assert [[line["name"] for line in lines] for _title, lines in tables] == [
        [
            "the client changed the list of tools",
            "the provider: it was idle for longer than the shortest cache lifetime",
            "unknown: contents are not kept",
        ],
        ["claude-cli/2.1.332", HOSTILE],
        ["big @ acme", "big @ other"],
        ["claude-*", "none"],
    ]
    assert [line["share"] for line in tables[0][1]] == [0.6, 0.2, 0.2]


def test_each_figure_opens_its_requests(admin_client, misses):
    response = shown(admin_client)
    for _title, lines in response.context["tables"]:
        for line in lines:
            if line["name"] == "none":
                continue
            listed = admin_client.get(line["url"])
            assert listed.status_code == 200, line
            assert len(listed.context["cl"].result_list) == line["sums"].requests, line
    for _words, url in response.context["advice"]:
        assert len(admin_client.get(url).context["cl"].result_list) == 3
    assert len(admin_client.get(response.context["every"]).context["cl"].result_list) == 5


@pytest.mark.parametrize(
    ("item", "reason", "source"),
    [
        ("system", "moved: a block: to the end", ""),
        ("tools", "cut to 4: too many", "mcp__a:b"),
        ("tools", CHANGED, "mcp__100%3A:"),
        ("tools", "%3a%253A:%", "mcp__x"),
    ],
)
def test_what_has_colons_itself_opens_its_requests_too(admin_client, item, reason, source):
    for number in range(3):
        missed(number, "client", item, reason, source=source)
    missed(3, "provider", "", IDLE)
    response = shown(admin_client)
    (line,) = [one for one in response.context["tables"][0][1] if one["sums"].requests == 3]
    urls = [line["url"], *(url for _words, url in response.context["advice"])]
    assert len(urls) == 2
    for url in urls:
        assert len(admin_client.get(url).context["cl"].result_list) == 3, url


def test_an_mcp_server_that_changes_its_tools_is_named_with_its_share(admin_client, misses):
    ((words, _url),) = shown(admin_client).context["advice"]
    assert "“github” changes its list of tools: 31 % of the input of 3 sessions" in words


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("client", "tools", CHANGED, "Bash, Read"), "The list of tools changes within 3 sessions"),
        (("client", "system", CHANGED, ""), "The system text changes"),
        (("gateway", "tools", LOADED, "late"), "late_tools: items"),
        (("provider", "", IDLE, ""), "paused for longer"),
        (("unknown", "", NOT_KEPT, ""), "CAPTURE_BODIES"),
    ],
)
def test_there_is_advice_for_what_can_be_changed(admin_client, told, said):
    *about, source = told
    for number in range(3):
        missed(number, *about, source=source)
    ((words, url),) = shown(admin_client).context["advice"]
    assert said in words and "100 %" in words
    assert len(admin_client.get(url).context["cl"].result_list) == 3


def test_two_misses_are_no_reason_for_advice(admin_client):
    missed(0), missed(1)
    assert shown(admin_client).context["advice"] == []


def test_the_files_have_every_miss_and_no_formula(admin_client, misses):
    rows = list(csv.DictReader(io.StringIO(shown(admin_client, format="csv").content.decode())))
    assert [row["request_id"] for row in rows] == [f"req_{number}" for number in range(5)]
    assert rows[3]["client"] == f"'{HOSTILE}" and rows[0]["source"] == "mcp__github"
    value = shown(admin_client, format="json").json()
    assert (value["input_tokens"], value["read_tokens"]) == (1_000_000, 600_000)
    assert value["misses"][0]["money"].startswith("0.25") and value["misses"][4]["money"] is None


@pytest.mark.parametrize("path", ["", "?range=nonsense", "?range=2020-01-01..2020-01-02", "?format=x"])
def test_an_empty_time_is_a_page(admin_client, path):
    answer = admin_client.get(PAGE + path)
    assert answer.status_code == 200 and "countcachemisses" in answer.content.decode()


@pytest.mark.parametrize(
    "value",
    [
        "any",
        "client",
        "client:tools",
        "::idle",
        "a:b:c:d:e",
        "client:tools:changed:x",
        ":::",
        "%00",
        "::%2500",
        "%25:%253",
    ],
)
def test_nonsense_in_the_filter_does_no_harm(admin_client, misses, value):
    assert admin_client.get(f"/admin/gateway/requestlog/?missed={value}").status_code == 200


@pytest.mark.parametrize(("right", "status"), [("view_requestlog", 403), ("view_cachemiss", 200)])
def test_caching_is_for_those_who_may_see_it(clerk, right, status):
    assert clerk(right).get(PAGE).status_code == status


def test_a_session_says_under_a_turn_why_it_missed(admin_client, misses):
    page = admin_client.get("/admin/gateway/sessiontotal/s0/change/").content.decode()
    assert page.count("the client changed the list of tools: mcp__github") == 1


def test_the_page_asks_as_much_with_any_number_of_misses(admin_client, misses, django_assert_max_num_queries):
    for number in range(10, 60):
        missed(number, client=f"c{number}", mapping=f"m{number}")
    shown(admin_client)
    with django_assert_max_num_queries(60):
        shown(admin_client)
