"""Models as an admin compares them, and their files."""

import csv
import io
from datetime import UTC, datetime

import pytest

from gateway.history.totals.contributions import DAY, hour_of
from gateway.models import DailyOutcome, DailyTool, HourlyOutcome, HourlyTool

pytestmark = pytest.mark.django_db
PAGE = "/admin/gateway/hourlyoutcome/"
# a Wednesday
START = datetime(2026, 10, 7, 9, tzinfo=UTC)
RANGE = {"range": "2026-10-01..2026-10-31"}
HOSTILE = "=HYPERLINK('http://x')<script>"


def total(at=START, tools=None, **numbers):
    """Numbers of one hour and its day."""
    slot = {
        "mapping_pk": 3, "mapping": "claude-*", "provider": "acme", "upstream_model": "big",
        "request_class": "main", **{name: numbers.pop(name) for name in list(numbers) if name in (
            "mapping_pk", "mapping", "provider", "upstream_model", "request_class")},
    }  # fmt: skip
    hour = hour_of(at)
    for table, start in ((HourlyOutcome, hour), (DailyOutcome, hour - hour % DAY)):
        add(table, {"hour": start, **slot}, numbers)
    for table, start in ((HourlyTool, hour), (DailyTool, hour - hour % DAY)):
        for tool, by_tool in (tools or {}).items():
            add(table, {"hour": start, "tool": tool, **slot}, by_tool)


def add(table, slot, numbers):
    row, _made = table.objects.get_or_create(**slot)
    for name, number in numbers.items():
        setattr(row, name, getattr(row, name) + number)
    row.save()


@pytest.fixture
def counted():
    """Two targets of one mapping: the second fails a tenth as often, and its edits go wrong more often."""
    total(
        requests=1000, answered=900, failed=100, results=500, errors=50,
        tools={"Edit": {"results": 200, "errors": 10}, "Bash": {"results": 300, "errors": 40}},
    )  # fmt: skip
    total(
        requests=800, answered=792, failed=8, results=400, errors=100, upstream_model=HOSTILE,
        tools={"Edit": {"results": 200, "errors": 80}},
    )  # fmt: skip
    total(requests=20, answered=20, provider="tiny", upstream_model="new")
    total(
        sessions=40,
        priced_sessions=40,
        session_cost=4 * 10**11,
        session_cost_sq=4 * 10**13,
        request_class="*",
    )
    # the next week, another class
    total(datetime(2026, 10, 14, tzinfo=UTC), requests=50, answered=50, request_class="subagent")


def shown(client, **asked):
    return client.get(PAGE, {**RANGE, **asked})


def row(response, name):
    return next(one for one in response.context["rows"] if one["name"] == name)["cells"]


def test_targets_stand_beside_each_other_with_their_intervals(admin_client, counted):
    response = shown(admin_client)
    assert [head["requests"] for head in response.context["heads"]] == [1050, 800, 20]
    first, second, third = row(response, "failures")
    assert (first.value, first.number, first.verdict) == ("9.5 %", "1,050", "")
    assert first.interval == "7.9 % to 11.4 %"
    assert (second.value, second.verdict) == ("1.0 %", "better")
    assert row(response, "edit_errors")[1].verdict == "worse"
    assert third.too_few and third.verdict == ""
    text = response.content.decode()
    assert "too few to tell" in text and "<script>" not in text


def test_sessions_of_all_purposes_are_counted_once(admin_client, counted):
    response = shown(admin_client)
    assert response.context["heads"][0]["sessions"] == 40
    assert row(response, "cost_per_session")[0].value == "$1.00"
    assert row(shown(admin_client, **{"class": "main"}), "cost_per_session")[0].value == "–"


def test_a_purpose_is_looked_at_by_itself(admin_client, counted):
    response = shown(admin_client, **{"class": "subagent"})
    assert [head["requests"] for head in response.context["heads"]] == [50]
    assert [one["title"] for one in response.context["classes"]] == ["all", "main agent", "subagent"]


def test_figures_lead_to_their_requests(admin_client, counted):
    url = row(shown(admin_client, **{"class": "main"}), "failures")[0].url
    assert url.startswith("/admin/gateway/requestlog/?provider=acme&upstream_model=big&state=error%2Cbroken")
    assert "class=main" in url and "range=2026-10-01..2026-10-31" in url
    assert admin_client.get(url).status_code == 200


def test_a_figure_has_its_curve_by_week(admin_client, counted):
    chart = shown(admin_client, curve="failures").context["chart"]
    weeks = {column.name: cells[0].words for column, cells in chart.rows()}
    assert list(weeks) == ["2026-10-05", "2026-10-12"]
    assert "10.0 %" in weeks["2026-10-05"] and "0.0 %" in weeks["2026-10-12"]
    assert admin_client.get(PAGE, {"range": "2026-10-07..2026-10-08"}).context["chart"] is None


def test_a_range_of_centuries_costs_what_its_totals_cost(admin_client, counted):
    asked = {"range": "0001-01-02..9000-01-01"}
    assert admin_client.get(PAGE, asked).context["heads"][0]["requests"] == 1050
    assert admin_client.get(PAGE, {**asked, "format": "csv"}).status_code == 200


def test_tools_stand_below_edit_first(admin_client, counted):
    tools = shown(admin_client).context["tools"]
    assert [tool["title"] for tool in tools] == ["Edit", "Bash"]
    assert tools[0]["cells"][0].value == "5.0 %" and tools[1]["cells"][1] is None


def test_the_files_have_every_purpose_and_week(admin_client, counted):
    response = shown(admin_client, format="csv")
    assert 'filename="models-2026-10-01-to-' in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    failures = [
        (one["class"], one["week"], one["value"], one["number"])
        for one in rows if one["figure"] == "failures" and one["upstream_model"] == "big"
    ]  # fmt: skip
    assert failures == [
        ("", "", "0.0952381", "1050"), ("", "2026-10-05", "0.1", "1000"), ("", "2026-10-12", "0.0", "50"),
        ("main", "", "0.1", "1000"), ("main", "2026-10-05", "0.1", "1000"), ("subagent", "", "0.0", "50"),
        ("subagent", "2026-10-12", "0.0", "50"),
    ]  # fmt: skip
    assert {one["upstream_model"] for one in rows} == {"big", f"'{HOSTILE}", "new"}
    value = shown(admin_client, format="json").json()
    assert len(value["outcomes"]) == len(rows) and value["since"].startswith("2026-10-01T00:00")


def test_a_renamed_mapping_is_the_same_one(admin_client, counted):
    total(datetime(2026, 10, 20, tzinfo=UTC), requests=5, answered=5, mapping="claude-new-*")
    heads = shown(admin_client).context["heads"]
    assert heads[0]["mapping"] == "claude-new-*" and heads[0]["requests"] == 1055


def test_one_mapping_is_looked_at_by_itself(admin_client, counted):
    total(requests=5, answered=5, mapping_pk=4, mapping="other")
    assert [head["mapping"] for head in shown(admin_client, mapping="4").context["heads"]] == ["other"]
    assert [one["title"] for one in shown(admin_client).context["mappings"]] == ["all", "claude-*", "other"]


def test_a_part_of_a_day_is_read_by_hours(admin_client, counted):
    total(START.replace(hour=15), requests=7, answered=7)
    asked = {"range": "2026-10-07T15:00:00Z..2026-10-07T16:00:00Z"}
    assert [head["requests"] for head in admin_client.get(PAGE, asked).context["heads"]] == [7]


@pytest.mark.parametrize(
    "asked", [{"mapping": "x" * 40}, {"mapping": "9" * 30}, {"class": "<b>"}, {"curve": "x"}]
)
def test_nonsense_in_the_address_does_no_harm(admin_client, counted, asked):
    assert shown(admin_client, **asked).status_code == 200


def test_an_empty_time_says_how_older_requests_are_counted(admin_client, db):
    assert "countoutcomes" in admin_client.get(PAGE).content.decode()


@pytest.mark.parametrize(("right", "status"), [("view_requestlog", 403), ("view_hourlyoutcome", 200)])
def test_models_are_for_those_who_may_see_them(clerk, right, status):
    assert clerk(right).get(PAGE).status_code == status


def test_a_page_asks_as_much_with_any_number_of_targets(admin_client, counted, django_assert_max_num_queries):
    shown(admin_client)
    for number in range(30):
        total(requests=50, answered=50, mapping_pk=number, mapping=f"m{number}", provider="many")
    with django_assert_max_num_queries(16):
        assert shown(admin_client).context["left_out"] == 27
