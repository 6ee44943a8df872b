"""Costs as an admin reads them, and their file."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from gateway.history.totals.usage import forecast, usage
from gateway.models import ClientKey, DailyOrigin, DailyTotal, HourlyOrigin, HourlyTotal
from gateway.models.history.hourly_total import COST_UNIT, OTHER

pytestmark = pytest.mark.django_db
PAGE = "/admin/gateway/hourlytotal/"
START = datetime(2026, 10, 1, tzinfo=UTC)
HOSTILE = "=HYPERLINK('http://x')"


def total(at, dollars, key_pk=0, **fields):
    """One request in the totals of its hour and day."""
    hour = int(at.timestamp()) // 3600
    facts = {
        "endpoint": "messages", "client_key_pk": key_pk, "provider": "acme", "upstream_model": "u",
        "state": "ok",
        **fields,
    }  # fmt: skip
    for table, slot in ((HourlyTotal, hour), (DailyTotal, hour - hour % 24)):
        row, _made = table.objects.get_or_create(hour=slot, **facts)
        row.requests += 1
        row.cost_units += int(Decimal(dollars) / COST_UNIT)
        row.save()


@pytest.fixture
def spent():
    """Ann spent 5 dollars with two keys, somebody else 1.5 and one request that failed."""
    ann = User.objects.create_user("ann", is_staff=True)
    ann.groups.add(Group.objects.create(name="Team"))
    keys = [ClientKey.issue(name, user=ann)[0] for name in ("laptop", "desktop")]
    total(START, "2", keys[0].pk)
    total(START + timedelta(days=3, hours=5), "3", keys[1].pk)
    other, _ = ClientKey.issue("other", owner=HOSTILE)
    total(START + timedelta(days=30, hours=23), "1.5", other.pk, upstream_model="v")
    total(START + timedelta(days=30), "0", other.pk, state="error")
    # the hour before, and the month after
    total(START - timedelta(hours=1), "100", keys[0].pk)
    total(START + timedelta(days=31), "100", keys[0].pk)
    return ann


def lines(by, since=START, until=START + timedelta(days=31)):
    return {line.name: line.sums.cost for line in usage(by, since, until).lines}


def test_a_month_is_summed_up_by_whatever_is_asked_for(spent):
    assert lines("owner") == {"ann": 5, HOSTILE: Decimal("1.5")}
    assert lines("group") == {"Team": 5, "": Decimal("1.5")}
    assert lines("key") == {"laptop": 2, "desktop": 3, "other": Decimal("1.5")}
    assert lines("model") == {"u": 5, "v": Decimal("1.5")}
    assert lines("provider") == {"acme": Decimal("6.5")}
    assert lines("day") == {"2026-10-01": 2, "2026-10-04": 3, "2026-10-31": Decimal("1.5")}


def came(at, kind, name, dollars, **numbers):
    """One request in the totals of a client or a folder."""
    hour = int(at.timestamp()) // 3600
    for table, slot in ((HourlyOrigin, hour), (DailyOrigin, hour - hour % 24)):
        row, _made = table.objects.get_or_create(hour=slot, kind=kind, name=name)
        row.requests += 1
        row.cost_units += int(Decimal(dollars) / COST_UNIT)
        for number, value in numbers.items():
            setattr(row, number, value)
        row.save()


def test_clients_and_folders_are_summed_up_and_what_is_unknown_is_one_line(spent):
    came(START, "client", "claude-cli/2.1.332", "2")
    came(START + timedelta(days=3, hours=5), "client", "claude-cli/2.1.197", "3", failed=1)
    came(START, "folder", "/home/ann/site", "2")
    # another month
    came(START - timedelta(hours=1), "client", "curl", "9")
    assert lines("client") == {"claude-cli/2.1.332": 2, "claude-cli/2.1.197": 3, "": Decimal("1.5")}
    assert lines("folder") == {"/home/ann/site": 2, "": Decimal("4.5")}
    whole = usage("client", START, START + timedelta(days=31))
    assert (whole.whole.cost, whole.whole.requests) == (Decimal("6.5"), 4)
    assert {line.name: (line.sums.requests, line.sums.failed) for line in whole.lines}[""] == (2, 0)
    assert sum(sum(line.days.values()) for line in whole.lines) == Decimal("6.5")
    with timezone.override("Asia/Shanghai"):
        assert lines("client") == {"claude-cli/2.1.332": 2, "claude-cli/2.1.197": 3, "": Decimal("1.5")}


def test_only_the_most_expensive_clients_have_a_line(spent, monkeypatch):
    monkeypatch.setattr("gateway.history.totals.usage.MOST_ORIGINS", 2)
    for number in range(1, 5):
        came(START, "client", f"made-up/{number}", f"0.0{number}")
    came(START, "client", OTHER, "1")
    assert lines("client") == {
        "": Decimal("5.4"), OTHER: Decimal("1.03"),
        "made-up/4": Decimal("0.04"), "made-up/3": Decimal("0.03"),
    }  # fmt: skip


def test_a_client_leads_to_its_requests_and_a_folder_is_shown_to_who_may_read_contents(
    admin_client, client, spent
):
    came(START, "client", "claude-cli/2.1.332", "2")
    came(START, "folder", "/home/ann/<site>", "2")
    asked = {"range": "2026-10-01..2026-10-31", "by": "client"}
    text = admin_client.get(PAGE, asked).content.decode()
    assert "client=claude-cli%2F2.1.332&amp;range=2026-10-01..2026-10-31" in text
    text = admin_client.get(PAGE, {**asked, "by": "folder"}).content.decode()
    assert "/home/ann/&lt;site&gt;" in text and "Working folder" in text
    rows = admin_client.get(PAGE, {**asked, "by": "folder", "format": "csv"}).content.decode()
    assert "/home/ann/<site>,1,0,0,0,0,0,2.000000,0" in rows
    someone = User.objects.create_user("op", is_staff=True)
    someone.user_permissions.set(Permission.objects.filter(codename="view_hourlytotal"))
    client.force_login(someone)
    text = client.get(PAGE, {**asked, "by": "folder"}).content.decode()
    assert (
        "/home/ann" not in text
        and "by=folder" not in client.get(PAGE).content.decode()
        and "by=client" in text
    )
    assert "/home/ann" not in client.get(PAGE, {**asked, "by": "folder", "format": "csv"}).content.decode()


def test_days_are_those_of_the_reader(spent):
    with timezone.override("Asia/Shanghai"):
        since = timezone.make_aware(datetime(2026, 10, 1))
        found = usage("day", since, since + timedelta(days=31))
    assert {line.name: line.sums.cost for line in found.lines} == {
        "2026-10-01": 102, "2026-10-04": 3, "2026-10-31": 0,
    }  # fmt: skip


def test_the_page_has_sums_and_leads_to_the_requests_of_the_same_time(admin_client, spent):
    text = admin_client.get(PAGE, {"range": "2026-10-01..2026-10-31", "by": "owner"}).content.decode()
    assert "$6.50" in text and "$5.00" in text
    assert "owner=ann&amp;range=2026-10-01..2026-10-31" in text
    assert "Cost by day" in text


@pytest.mark.parametrize(
    ("span", "title", "bars"),
    [
        ("2026-10-01..2026-10-31", "Cost by day", 31),
        # Thursday the first of January is in the week of the Monday before
        ("2026-01-01..2026-10-31", "Cost by week", 44),
        ("2025-01-15..2026-10-31", "Cost by month", 22),
        ("..2026-10-31", "Cost by day", 30),
        ("1970-01-01..2026-10-31", "Cost by year", 57),
    ],
)
def test_a_long_span_has_a_bar_for_each_week_month_or_year(admin_client, spent, span, title, bars):
    response = admin_client.get(PAGE, {"range": span, "by": "owner"})
    chart = response.context_data["chart"]
    assert (str(chart.title), len(chart.columns)) == (title, bars)
    whole = response.context_data["report"].whole.cost
    assert sum(cell.value for layer in chart.series for cell in layer.cells) == whole
    assert len(response.content) < 200_000


def test_a_bar_of_a_week_leads_to_the_requests_of_its_days(admin_client, spent):
    columns = admin_client.get(PAGE, {"range": "2026-07-01..2026-10-31"}).context_data["chart"].columns
    assert columns[0].name == "2026-07-01" and columns[0].url.endswith("?range=2026-07-01..2026-07-05")
    assert columns[1].url.endswith("?range=2026-07-06..2026-07-12")
    assert columns[-1].url.endswith("?range=2026-10-26..2026-10-31")


def test_the_file_says_its_span_and_has_plain_decimals(admin_client, spent):
    response = admin_client.get(PAGE, {"range": "2026-10-01..2026-10-31", "by": "owner", "format": "csv"})
    assert 'filename="costs-by-owner-2026-10-01-to-2026-10-31.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [(row["owner"], row["cost_usd"], row["requests"], row["failed"]) for row in rows] == [
        ("ann", "5.000000", "2", "0"), (f"'{HOSTILE}", "1.500000", "2", "1"),
    ]  # fmt: skip


def test_costs_are_for_those_who_may_see_totals(clerk):
    assert clerk("view_requestlog").get(PAGE).status_code == 403


def test_a_range_goes_along_in_the_sidebar(admin_client, spent):
    text = admin_client.get("/admin/", {"range": "yesterday"}).content.decode()
    for page in ("hourlytotal", "requestlog", "sessiontotal"):
        assert f'/admin/gateway/{page}/?range=yesterday"' in text


def test_the_time_zone_is_chosen_and_kept(admin_client, spent):
    admin_client.post(f"{PAGE}zone/", {"zone": "Asia/Shanghai", "next": "/admin/"})
    text = admin_client.get(PAGE, {"range": "2026-10-01..2026-10-31"}).content.decode()
    assert "2026-10-01 00:00 to 2026-11-01 00:00, Asia/Shanghai" in text


@pytest.mark.parametrize("zone", ["", "x", "../etc/passwd", "Asia/Nowhere"])
def test_no_zone_of_nonsense(admin_client, zone):
    response = admin_client.post(f"{PAGE}zone/", {"zone": zone, "next": "https://evil.example/"})
    assert response.url == "/admin/" and not response.cookies
    admin_client.cookies["ccproxy_timezone"] = zone
    assert admin_client.get(PAGE).status_code == 200


def test_a_month_is_foretold_at_its_pace():
    half = datetime(2026, 11, 16, tzinfo=UTC)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    assert forecast(Decimal(10), start, half, half) == 20
    assert forecast(Decimal(10), start + timedelta(days=1), half, half) is None
    assert forecast(Decimal(10), start, half, datetime(2026, 12, 2, tzinfo=UTC)) is None


class TestCommand:
    def said(self, capsys, *arguments):
        call_command("usage", *arguments)
        return capsys.readouterr().out

    def test_the_command_gives_the_same_sums(self, spent, capsys):
        rows = list(csv.reader(io.StringIO(self.said(capsys, "--month", "2026-10", "--format", "csv"))))
        assert [(row[0], row[7]) for row in rows] == [
            ("owner", "cost_usd"), ("ann", "5.000000"), (f"'{HOSTILE}", "1.500000"),
        ]  # fmt: skip

    def test_a_table_has_its_sum_and_json_its_span(self, spent, capsys):
        assert "6.500000" in self.said(capsys, "--month", "2026-10", "--by", "model")
        text = self.said(capsys, "--since", "2026-10-01", "--until", "2026-11-01", "--format", "json")
        assert '"cost_usd": "5.000000"' in text and '"since": "2026-10-01T00:00:00+00:00"' in text

    @pytest.mark.parametrize(
        "arguments",
        [("--month", "10-2026"), ("--since", "x"), ("--since", "2026-10-02", "--until", "2026-10-01"),
         ("--month", "2026-10", "--since", "2026-10-01")],
    )  # fmt: skip
    def test_what_is_no_span_is_said(self, db, arguments):
        with pytest.raises(CommandError):
            call_command("usage", *arguments)
