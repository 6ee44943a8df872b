"""The list filtered by what requests ask for, bring, and come from, and the counts beside the choices."""

from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.admin.requests.facts import fact_filters
from gateway.history.record.rows import write
from gateway.models import ClientKey, RequestLog
from gateway.models.history.request_log import RARE
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db
LIST = "/admin/gateway/requestlog/"
CLI = "claude-cli/2.1.332 (external, cli)"
SDK = "claude-cli/2.1.332 (external, sdk-ts)"
OLD = "claude-cli/2.1.33 (external, cli)"


@pytest.fixture
def rows():
    """Five requests, as a gateway stores them."""
    write([
        outcome(1, client=CLI, streamed=True, estimated_input_tokens=150_000,
                facts={"thinking": True, "effort": "high", "tools": 12, "max_tokens": 64_000}),
        outcome(2, client=SDK, streamed=True, estimated_input_tokens=1_500,
                facts={"pdfs": True, "effort": "low", "tools": 3, "max_tokens": 1}),
        outcome(3, client=OLD, streamed=True, estimated_input_tokens=20_000,
                facts={"web_search": True, "tools": 1, "max_tokens": 1}),
        outcome(4, client="curl", facts={"structured_output": True, "max_tokens": 1}),
        outcome(5, has_images=True, started_at=datetime(2026, 1, 2, tzinfo=UTC)),
    ])  # fmt: skip


def shown(client, /, **asked):
    found = client.get(LIST, asked)
    assert "e=1" not in found.get("Location", "")
    return sorted(int(row.request_id[4:]) for row in found.context_data["cl"].result_list)


def counts(client, of, /, **asked):
    return client.get(f"{LIST}counts/", {"of": of, **asked}).json()["counts"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"with": "thinking"}, [1]),
        ({"with": "pdfs"}, [2]),
        ({"with": "web_search"}, [3]),
        ({"with": "structured_output"}, [4]),
        ({"with": "images"}, [5]),
        ({"with": "thinking,pdfs"}, []),
        ({"without": "offered"}, [4]),
        ({"without": "streaming"}, [4, 5]),
        ({"effort": "high"}, [1]),
        ({"effort": "high,low"}, [1, 2]),
        ({"estimated": "..2000"}, [2]),
        ({"estimated": "20000.."}, [1, 3]),
        ({"estimated": "100000.."}, [1]),
        ({"estimated": "1000..25000"}, [2, 3]),
        ({"estimated": "9999999999.."}, [1, 2, 3, 4, 5]),
        ({"estimated": "5..x"}, [1, 2, 3, 4, 5]),
        ({"estimated": ".."}, [1, 2, 3, 4, 5]),
        ({"client": "claude-cli/2.1.332"}, [1, 2]),
        ({"client": "claude-cli/2.1.33"}, [3]),
        ({"client": SDK}, [2]),
        ({"client": "claude-cli"}, []),
        ({"client": "%"}, []),
        ({"q": "estimated:>=100000"}, [1]),
        ({"q": "client:claude-cli/2.1.332 effort:low"}, [2]),
        ({"q": "without:offered"}, [4]),
        ({"q": "with:web_search"}, [3]),
    ],
)
def test_requests_are_found_by_their_facts(admin_client, rows, asked, numbers):
    assert shown(admin_client, **asked) == numbers


def test_a_group_is_the_keys_of_its_people(admin_client, rows):
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    team = Group.objects.create(name="Team, red")
    for user in (ann, bob):
        user.groups.add(team)
    keys = [ClientKey.issue(name, user=user)[0] for name, user in (("a", ann), ("b", bob))]
    for number, key in ((1, keys[0]), (2, keys[1])):
        RequestLog.objects.filter(request_id=f"req_{number}").update(client_key=key)
    assert shown(admin_client, group="Team, red") == [1, 2]
    assert shown(admin_client, group="nobody") == []
    assert shown(admin_client, q='group:"Team, red"') == [1, 2]
    assert counts(admin_client, "group") == {"Team, red": 2}
    assert counts(admin_client, "owner") == {"ann": 1, "bob": 1}


def test_the_choices_say_how_many_requests_they_leave(admin_client, rows):
    assert {name: n for name, n in counts(admin_client, "with").items() if n} == {
        "pdfs": 1, "thinking": 1, "web_search": 1, "structured_output": 1, "images": 1,
    }  # fmt: skip
    assert counts(admin_client, "without")["streaming"] == 2
    assert counts(admin_client, "estimated") == {
        "..2000": 1, "20000..": 2, "60000..": 1, "100000..": 1, "200000..": 0,
    }  # fmt: skip
    assert counts(admin_client, "effort") == {"": 3, "high": 1, "low": 1}
    assert counts(admin_client, "client")["claude-cli/2.1.332"] == 2
    assert counts(admin_client, "slow") == {"10": 0, "30": 0, "60": 0, "300": 0}
    assert counts(admin_client, "slow", **{"with": "masked"}) == {"10": 0, "30": 0, "60": 0, "300": 0}


def test_counting_stops_at_the_most(admin_client, rows, monkeypatch):
    monkeypatch.setattr("gateway.admin.ui.list_filters.MOST_COUNTED", 2)
    monkeypatch.setattr(fact_filters, "MOST_COUNTED", 2)
    for of in ("with", "slow", "estimated", "owner", "group", "client", "effort"):
        told = admin_client.get(f"{LIST}counts/", {"of": of}).json()
        assert told["whole"] is False and sum(told["counts"].values()) <= 4, of


def test_the_menu_of_clients_is_from_the_totals_and_not_for_members(admin_client, client, rows):
    write([outcome(9, client="claude-cli/9.9.9", started_at=datetime.now(UTC))])
    assert "client=claude-cli%2F9.9.9" in admin_client.get(LIST).content.decode()
    emil = User.objects.create_user("emil", is_staff=True)
    ClientKey.issue("laptop", user=emil)
    client.force_login(emil)
    text = client.get(LIST).content.decode()
    assert "9.9.9" not in text and "group=" not in text


def test_made_up_user_agents_are_looked_through_up_to_a_bound(admin_client, rows, monkeypatch):
    monkeypatch.setattr(fact_filters, "MOST_AGENTS", 1)
    with CaptureQueriesContext(connection) as asked:
        assert shown(admin_client, client="curl") == [4]
    assert sum("RECURSIVE" in query["sql"] for query in asked) <= 2


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"with": "thinking"}, "log_thinking_time"),
        ({"with": "pdfs"}, "log_pdfs_time"),
        ({"with": "web_search"}, "log_web_search_time"),
        ({"with": "structured_output"}, "log_structured_time"),
        ({"without": "offered"}, "log_toolless_time"),
        ({"without": "streaming"}, "log_whole_time"),
        ({"effort": "max"}, "log_effort_time"),
        ({"estimated": "300000.."}, "log_large_time"),
        ({"estimated": "..5"}, "log_small_time"),
        ({"endpoint": "shadow"}, "log_shadows_time"),
        ({"client": "curl"}, "log_client_time"),
    ],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans small tables without indexes")
def test_each_has_an_index_where_few_requests_pass(admin_client, rows, asked, index):
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(LIST, asked)
    keys = [
        query["sql"]
        for query in captured
        if query["sql"].startswith('SELECT "gateway_requestlog"."id"') and "LIMIT" in query["sql"]
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {keys[0]}")
        plan = " ".join(str(line) for line in cursor.fetchall())
    assert index in plan, plan


def test_each_rare_thing_has_an_index():
    names = {index.name for index in RequestLog._meta.indexes}
    assert {f"log_{name}_time" for name in RARE} <= names


def test_the_migration_copies_the_facts_of_rows_that_were_there(rows):
    names = ("thinking", "pdfs", "web_search", "structured_output", "effort", "tools_offered")
    right = list(RequestLog.objects.order_by("pk").values_list(*names))
    RequestLog.objects.update(
        thinking=False, pdfs=False, web_search=False, structured_output=False, effort="", tools_offered=None
    )
    migration = import_module("gateway.migrations.0055_copy_facts_of_requests")
    migration.copy(apps, SimpleNamespace(connection=connection))
    assert list(RequestLog.objects.order_by("pk").values_list(*names)) == right
