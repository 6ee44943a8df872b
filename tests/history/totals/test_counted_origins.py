"""Totals by client and working folder: few names a day, and each request counts once."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from gateway.history.outcome import CapturedBodies
from gateway.history.record.rows import write
from gateway.history.totals import counted_origins as module
from gateway.history.totals.contributions import origins
from gateway.models import DailyOrigin, HourlyOrigin, RequestLog
from gateway.models.history.hourly_total import OTHER
from gateway.wire import jsontext
from tests.history.record.test_recorder import NOON, outcome
from tests.history.totals.test_hourly import kept, recounted, working_in

pytestmark = pytest.mark.django_db(transaction=True)
CLI = "claude-cli/2.1.332 (external, cli)"


def names(kind, table=HourlyOrigin):
    return dict(table.objects.filter(kind=kind, requests__gt=0).values_list("name", "requests"))


def test_a_client_is_its_name_and_version_and_a_folder_is_what_it_says():
    assert origins(CLI, "/w") == [("client", "claude-cli/2.1.332"), ("folder", "/w")]
    assert origins("claude-cli/2.1.332-beta.1 (sdk)", "") == [("client", "claude-cli/2.1.332")]
    assert origins("curl", "") == [("client", "curl")]
    assert origins("", "") == origins(" ", "") == []


@pytest.mark.parametrize(
    "request_of",
    [
        lambda said: {"messages": [{"role": "user", "content": said}]},
        lambda said: {"system": said, "messages": [{"role": "user", "content": "hi"}]},
        lambda said: {
            "system": [{"type": "text", "text": "You are"}, {"type": "text", "text": said}],
            "tools": [{"name": "Bash", "description": "Working directory: /no"}],
            "messages": [{"role": "user", "content": "hi"}],
        },
        lambda said: {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": said}]}
            ]
        },
    ],
)
def test_the_folder_is_found_in_the_system_prompt_and_in_the_first_messages(request_of):
    said = "x" * 300 + "\nPrimary working directory: /home/ann/site\nPlatform: linux"
    write([outcome(bodies=CapturedBodies({}, jsontext.dumps(request_of(said))))])
    assert RequestLog.objects.get().folder == "/home/ann/site"


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"messages":[1,null,"Working directory: /x"]}'])
def test_a_request_of_any_shape_has_no_folder(body):
    write([outcome(bodies=CapturedBodies({}, body))])
    assert RequestLog.objects.get().folder == ""


def test_secrets_in_the_path_are_masked():
    secret = "ghp_" + "a1B2c3D4e5" * 4
    write([outcome(bodies=working_in(f"/home/{secret}/x"))])
    assert "a1B2" not in RequestLog.objects.get().folder
    assert "a1B2" not in "".join(names("folder"))


def test_without_contents_no_folder_is_kept():
    write([outcome(client=CLI)])
    assert (names("client"), names("folder")) == ({"claude-cli/2.1.332": 1}, {})


def test_what_no_provider_charges_for_does_not_count():
    write([outcome(client=CLI, endpoint="count_tokens")])
    assert names("client") == {}


def test_names_beyond_the_most_of_a_day_count_together_and_the_next_day_has_room(monkeypatch):
    monkeypatch.setattr(module, "MOST", {"client": 3, "folder": 2})
    write([outcome(n, client=f"made-up/{n}", bodies=working_in(f"/w/{n}")) for n in range(20)])
    write([outcome(n, client=f"made-up/{n}") for n in range(20, 40)])
    assert names("client") == {"made-up/0": 1, "made-up/1": 1, "made-up/2": 1, OTHER: 37}
    assert names("folder") == {"/w/0": 1, "/w/1": 1, OTHER: 18}
    write([outcome(50, client="new/1", started_at=NOON + timedelta(days=1))])
    assert names("client", DailyOrigin)["new/1"] == 1
    # written again, and by a process that knows nothing yet
    module.counted_origins.forget()
    write([outcome(30, client="made-up/30"), outcome(1, client="made-up/1"), outcome(60, client="late/1")])
    assert names("client")[OTHER] == 38 and "late/1" not in names("client")
    assert kept() == recounted()


def test_once_a_day_is_full_made_up_names_cost_no_query(monkeypatch):
    monkeypatch.setattr(module, "MOST", {"client": 2, "folder": 2})
    write([outcome(n, client=f"made-up/{n}") for n in range(5)])
    rows = [
        {
            "state": "ok",
            "endpoint": "messages",
            "started_at": NOON,
            "client": "x/9",
            "folder": "",
            "folded": 0,
        }
    ]
    with transaction.atomic(), CaptureQueriesContext(transaction.get_connection()) as asked:
        module.counted_origins.fold(rows)
    assert rows[0]["folded"] == 4
    assert [query["sql"] for query in asked if "SELECT" in query["sql"]] == []


def test_a_write_that_is_taken_back_admits_nobody(monkeypatch):
    monkeypatch.setattr(module, "MOST", {"client": 1, "folder": 1})
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write([outcome(client="first/1")])
        1 / 0  # noqa: B018
    write([outcome(client="second/1")])
    assert names("client") == {"second/1": 1}


def test_folders_of_a_person_can_be_forgotten_and_their_numbers_stay():
    write([
        outcome(1, owner_id=1, bodies=working_in("/a"), output_tokens=2),
        outcome(2, owner_id=1, bodies=working_in("/b"), output_tokens=3),
        outcome(3, owner_id=2, bodies=working_in("/a"), output_tokens=5),
        # asked again by an admin, and somebody without an account
        outcome(4, bodies=working_in("/b"), output_tokens=7, endpoint="replay"),
        outcome(5, bodies=working_in("/c"), output_tokens=11),
    ])  # fmt: skip
    for _twice in range(2):
        with transaction.atomic():
            module.forget_folders(1)
        for table in (HourlyOrigin, DailyOrigin):
            found = table.objects.filter(kind="folder").order_by("owner_id", "name")
            told = [(row.owner_id, row.name, row.requests, row.output_tokens) for row in found]
            assert told == [(0, OTHER, 1, 7), (0, "/c", 1, 11), (1, OTHER, 2, 5), (2, "/a", 1, 5)]
