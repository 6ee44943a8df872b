import csv
import html
import io
import re
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from gateway.conf import GatewayConf
from gateway.config.change_entries import changes_of, said_of
from gateway.config.startup.environment import sync_environment
from gateway.history.secrets import patterns
from gateway.models import ClientKey, ConfigStamp, HourlyTotal, Origin, RequestLog, Retention, SecretPattern
from gateway.security import client_keys
from tests.admin.pages import url

HOSTILE = '"><script>alert(1)</script>'


def issue(admin_client, **values):
    given = {"name": "Ann", "budget_period": "month", **values}
    return admin_client.post(url("clientkey", "add"), given, follow=True)


def shown_key(response):
    return re.search(r'value="(ccp_\w{43})"', response.content.decode())[1]


def test_the_new_key_is_shown_on_the_page_that_answers_the_form(admin_client):
    response = issue(admin_client, owner="ann@example.com", allowed_models="claude-*\r\nx", capture="none")
    key = shown_key(response)
    record = ClientKey.objects.get()
    assert record.digest == client_keys.digest(key)
    assert (record.owner, record.allowed_models, record.capture) == (
        "ann@example.com",
        ["claude-*", "x"],
        "none",
    )
    assert "no-store" in response["Cache-Control"]


def test_the_page_has_the_lines_to_start_claude_code(admin_client):
    response = issue(admin_client)
    text = response.content.decode()
    assert "export ANTHROPIC_BASE_URL=http://testserver" in text
    assert f"export ANTHROPIC_AUTH_TOKEN={shown_key(response)}" in text
    assert "&quot;ANTHROPIC_AUTH_TOKEN&quot;" in text


def test_the_key_is_nowhere_afterwards(admin_client):
    response = issue(admin_client)
    key = shown_key(response)
    left = str(list(LogEntry.objects.values())) + str([s.get_decoded() for s in Session.objects.all()])
    left += str(response.cookies) + str([str(m) for m in get_messages(response.wsgi_request)])
    left += str(list(ClientKey.objects.values()))
    for page in (
        url("clientkey", "changelist"),
        url("clientkey", "change", ClientKey.objects.get().pk),
        url("clientkey", "history", ClientKey.objects.get().pk),
        "/admin/",
    ):
        left += admin_client.get(page).content.decode()
    assert key not in left
    assert LogEntry.objects.count() == 1


def test_a_form_with_an_error_issues_nothing(admin_client):
    response = issue(admin_client, name="")
    assert response.status_code == 200
    assert not ClientKey.objects.exists()


def test_changing_a_key_gives_no_new_one(admin_client):
    issue(admin_client)
    record = ClientKey.objects.get()
    response = admin_client.post(
        url("clientkey", "change", record.pk), {"name": "Bob", "budget_period": "month"}
    )
    assert response.status_code == 302
    assert ClientKey.objects.get().digest == record.digest
    assert ClientKey.objects.get().name == "Bob"


def test_the_list_shows_the_ends_of_a_key_and_its_state(admin_client):
    record, key = ClientKey.issue("Ann")
    record.revoke()
    text = admin_client.get(url("clientkey", "changelist")).content.decode()
    assert f"{key[:8]}…{key[-4:]}" in text
    assert "revoked" in text


def test_selected_keys_are_revoked(admin_client):
    record, _ = ClientKey.issue("Ann")
    admin_client.post(url("clientkey", "changelist"), {"action": "revoke", "_selected_action": [record.pk]})
    record.refresh_from_db()
    assert record.state() == "revoked"
    assert [said_of(entry) for entry in LogEntry.objects.order_by("-pk")[:1]] == ["Revoked."]


def test_revoking_needs_the_right_to_change(clerk):
    record, _ = ClientKey.issue("Ann")
    clerk("view_clientkey").post(
        url("clientkey", "changelist"), {"action": "revoke", "_selected_action": [record.pk]}
    )
    record.refresh_from_db()
    assert record.state() == "active"


@pytest.mark.parametrize("used", [True, False])
def test_a_used_key_cannot_be_deleted_and_an_unused_one_can(admin_client, used):
    record, _ = ClientKey.issue("Ann")
    if used:
        RequestLog.objects.create(request_id="req_1", client_key=record)
    admin_client.post(url("clientkey", "delete", record.pk), {"post": "yes"})
    assert ClientKey.objects.exists() is used


def test_a_used_key_cannot_be_deleted_from_the_list_either(admin_client):
    record, _ = ClientKey.issue("Ann")
    RequestLog.objects.create(request_id="req_1", client_key=record)
    data = {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"}
    admin_client.post(url("clientkey", "changelist"), data)
    assert ClientKey.objects.exists()


def test_the_environment_s_key_is_read_only(admin_client):
    sync_environment(GatewayConf(anthropic_api_key="team-secret-0123456789"))
    record = ClientKey.objects.get()
    text = admin_client.get(url("clientkey", "change", record.pk)).content.decode()
    assert "from the environment" in text
    assert 'name="_save"' not in text
    assert "team-secret" not in text
    assert admin_client.post(url("clientkey", "change", record.pk), {"name": "x"}).status_code == 403


def test_hostile_text_is_shown_as_text(admin_client):
    page = issue(admin_client, name=HOSTILE, owner=HOSTILE)
    record = ClientKey.objects.get()
    for response in (
        page,
        admin_client.get(url("clientkey", "changelist")),
        admin_client.get(url("clientkey", "change", record.pk)),
    ):
        assert HOSTILE not in response.content.decode()
        assert "&lt;script&gt;" in response.content.decode()


def test_a_reload_of_the_page_shows_no_key_and_issues_none(admin_client):
    response = issue(admin_client)
    [(address, _status)] = response.redirect_chain
    again = admin_client.get(address, follow=True)
    assert "shown only once" in again.content.decode()
    assert "ccp_" not in again.content.decode().replace(ClientKey.objects.get().shown, "")
    assert ClientKey.objects.count() == 1


def test_the_address_alone_or_the_session_alone_shows_nothing(admin_client, client, django_user_model):
    posted = admin_client.post(url("clientkey", "add"), {"name": "Ann", "budget_period": "month"})
    client.force_login(django_user_model.objects.create_superuser("other"))
    assert client.get(posted["Location"], follow=True).context.get("key") is None
    wrong = url("clientkey", "issued", "A" * 43 + "=")
    assert admin_client.get(wrong, follow=True).context.get("key") is None
    assert shown_key(admin_client.get(posted["Location"]))


def test_the_page_has_a_button_to_copy_each_of_key_lines_and_settings(admin_client):
    text = issue(admin_client).content.decode()
    for target in ("#new-key", "#new-key-lines", "#new-key-settings"):
        assert f'data-copy="{target}"' in text


def test_a_key_is_issued_with_owner_and_limits(admin_client, admin_user):
    issue(
        admin_client, user=admin_user.pk, requests_per_minute="5", spend_budget="12.50", budget_period="day"
    )
    record = ClientKey.objects.get()
    assert (record.user, record.owner_name, record.requests_per_minute) == (admin_user, "admin", 5)
    assert (str(record.spend_budget), record.budget_period) == ("12.50", "day")


def test_rotating_gives_a_new_key_and_leaves_the_old_one_a_while(admin_client):
    old, _key = ClientKey.issue("Ann", allowed_models=["claude-*"], requests_per_minute=7)
    response = admin_client.post(url("clientkey", "rotate", old.pk), {"grace": "3600"}, follow=True)
    new = ClientKey.objects.exclude(pk=old.pk).get()
    old.refresh_from_db()
    assert client_keys.digest(shown_key(response)) == new.digest
    assert (new.name, new.allowed_models, new.requests_per_minute) == ("Ann", ["claude-*"], 7)
    assert new.expires_at is None
    assert (old.rotated_to, old.state()) == (new, "active")
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=1)


def test_rotating_never_makes_the_old_key_live_longer(admin_client):
    soon = timezone.now() + timedelta(minutes=5)
    old, _key = ClientKey.issue("Ann", expires_at=soon)
    admin_client.post(url("clientkey", "rotate", old.pk), {"grace": "86400"})
    old.refresh_from_db()
    assert old.expires_at == soon


@pytest.mark.parametrize("grace", ["", "-1", "99999999", "x"])
def test_rotating_takes_no_other_time_than_those_offered(admin_client, grace):
    old, _key = ClientKey.issue("Ann")
    assert admin_client.post(url("clientkey", "rotate", old.pk), {"grace": grace}).status_code == 403
    assert ClientKey.objects.count() == 1


def test_a_revoked_key_is_not_rotated(admin_client):
    old, _key = ClientKey.issue("Ann")
    old.revoke()
    assert admin_client.post(url("clientkey", "rotate", old.pk), {"grace": "0"}).status_code == 403


def test_the_page_of_a_key_revokes_it(admin_client):
    record, _key = ClientKey.issue("Ann")
    admin_client.get(url("clientkey", "revoke", record.pk))
    assert ClientKey.objects.get().state() == "active"
    admin_client.post(url("clientkey", "revoke", record.pk))
    assert ClientKey.objects.get().state() == "revoked"


def test_rotating_and_revoking_need_the_right_to_change(clerk):
    record, _key = ClientKey.issue("Ann")
    client = clerk("view_clientkey")
    assert client.post(url("clientkey", "rotate", record.pk), {"grace": "0"}).status_code == 403
    assert client.post(url("clientkey", "revoke", record.pk)).status_code == 403
    assert client.post(url("clientkey", "bulk"), {"names": "x"}).status_code == 403
    assert ClientKey.objects.get().state() == "active"


def test_a_list_of_names_becomes_as_many_keys_shown_once(admin_client, admin_user):
    names = 'Laptop of Ann, admin\nCI\n\n"Doe, John", John Doe\n'
    page = admin_client.post(url("clientkey", "bulk"), {"names": names, "capture": "none"}, follow=True)
    lines = html.unescape(re.search(r'id="new-keys">(.*?)</pre>', page.content.decode(), re.DOTALL)[1])
    rows = list(csv.DictReader(io.StringIO(lines.strip())))
    stored = {record.name: record for record in ClientKey.objects.all()}
    assert {row["name"]: row["owner"] for row in rows} == {
        "Laptop of Ann": "admin", "CI": "", "Doe, John": "John Doe",
    }  # fmt: skip
    assert all(client_keys.digest(row["key"]) == stored[row["name"]].digest for row in rows)
    assert stored["Laptop of Ann"].user == admin_user
    assert {record.capture for record in stored.values()} == {"none"}
    again = admin_client.get(page.redirect_chain[0][0], follow=True)
    assert "shown only once" in again.content.decode()


def test_a_list_of_keys_gets_its_limits_at_once(admin_client):
    limits = {"requests_per_minute": "7", "spend_budget": "12.50", "budget_period": "week"}
    admin_client.post(url("clientkey", "bulk"), {"names": "A\nB", **limits})
    found = ClientKey.objects.values_list(
        "requests_per_minute", "spend_budget", "budget_period", "token_budget"
    )
    assert list(found) == [(7, Decimal("12.50"), "week", None)] * 2


def test_a_limit_that_cannot_be_issues_nothing(admin_client):
    page = admin_client.post(url("clientkey", "bulk"), {"names": "A", "requests_per_minute": "0"})
    assert not ClientKey.objects.exists() and "greater than or equal to 1" in page.content.decode()


class TestLimitsOfChosenKeys:
    """Of forty keys at once; what is left empty stays."""

    @pytest.fixture
    def keys(self, db):
        return [ClientKey.issue(f"k{n}", requests_per_minute=n + 1, token_budget=5)[0] for n in range(3)]

    def post(self, client, keys, **given):
        address = url("clientkey", "limits")
        return client.post(address, {"keys": ",".join(str(key.pk) for key in keys), **given}, follow=True)

    def test_the_list_leads_to_the_form_with_the_chosen_keys(self, admin_client, keys):
        chosen = {"action": "set_limits", "_selected_action": [key.pk for key in keys[:2]]}
        page = admin_client.post(url("clientkey", "changelist"), chosen).content.decode()
        assert "k0" in page and "k1" in page
        assert f'name="keys" value="{",".join(str(key.pk) for key in keys[1::-1])}"' in page

    def test_they_are_set_in_one_change(self, admin_client, keys):
        page = self.post(admin_client, keys[:2], spend_budget="9", **{"no-token_budget": "on"})
        assert "The limits of 2 keys are set" in page.content.decode()
        found = ClientKey.objects.order_by("pk").values_list(
            "requests_per_minute", "spend_budget", "token_budget", "budget_period"
        )
        assert list(found) == [
            (1, Decimal(9), None, "month"), (2, Decimal(9), None, "month"), (3, None, 5, "month")
        ]  # fmt: skip
        entry = LogEntry.objects.get(object_repr="Limits of client keys")
        assert len(changes_of(entry)) == 2

    def test_they_may_be_more_than_a_form_has_fields(self, admin_client, settings):
        settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 20
        made = [ClientKey(name=f"k{number}", digest=f"d{number}") for number in range(30)]
        keys = ClientKey.objects.bulk_create(made)
        page = self.post(admin_client, keys, requests_per_minute="9")
        assert "The limits of 30 keys are set" in page.content.decode()
        assert set(ClientKey.objects.values_list("requests_per_minute", flat=True)) == {9}

    @pytest.mark.parametrize("value", ["", ",", "1,x", "1;2", "\x00", "9" * 40, "²"])
    def test_what_names_no_key_sets_nothing(self, admin_client, value):
        given = {"keys": value, "requests_per_minute": "9"}
        page = admin_client.post(url("clientkey", "limits"), given, follow=True)
        assert "The limits of 0 keys are set" in page.content.decode()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "Nothing was changed"),
            ({"spend_budget": "-1"}, "greater than or equal to 0"),
            ({"token_budget": "1", "no-token_budget": "on"}, "Either a number or no limit"),
            ({"budget_period": "year"}, "not one of the available choices"),
        ],
    )
    def test_what_cannot_be_sets_nothing_and_says_why(self, admin_client, keys, given, said):
        page = self.post(admin_client, keys, **given)
        assert said in page.content.decode()
        (sent,) = re.findall(r'name="keys" value="([\d,]+)"', page.content.decode())
        assert {int(pk) for pk in sent.split(",")} == {key.pk for key in keys}
        assert ClientKey.objects.filter(token_budget=5, spend_budget=None).count() == 3

    def test_it_takes_the_right_to_change_and_leaves_the_environment_alone(self, clerk, admin_client, keys):
        assert self.post(clerk("view_clientkey"), keys, spend_budget="9").status_code == 403
        ClientKey.objects.filter(pk=keys[0].pk).update(origin=Origin.ENVIRONMENT)
        assert (
            self.post(clerk("view_clientkey", "change_clientkey"), keys, spend_budget="9").status_code == 200
        )
        assert ClientKey.objects.filter(spend_budget=9).count() == 2


def test_a_csv_file_becomes_keys(admin_client):
    file = SimpleUploadedFile("keys.csv", "\ufeffOwner,Name\nBob,Bob's laptop\n".encode())
    admin_client.post(url("clientkey", "bulk"), {"file": file})
    record = ClientKey.objects.get()
    assert (record.name, record.owner) == ("Bob's laptop", "Bob")


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"names": ""}, "Enter at least one name"),
        ({"names": "A\nA"}, "is here twice"),
        ({"names": "taken"}, "There is already a key with this name"),
        ({"names": "x" * 101}, "too long"),
        ({"file": SimpleUploadedFile("a.csv", b"key\nx\n")}, "one of which is name"),
        ({"file": SimpleUploadedFile("a.csv", b"\xff\xfe\x00")}, "not UTF-8"),
    ],
)
def test_a_wrong_list_issues_nothing_and_says_why(admin_client, posted, said):
    ClientKey.issue("taken")
    for file in posted.values():
        if hasattr(file, "seek"):
            file.seek(0)
    page = admin_client.post(url("clientkey", "bulk"), posted)
    assert said in page.content.decode()
    assert ClientKey.objects.count() == 1


def test_names_that_a_spreadsheet_would_compute_are_made_text(admin_client):
    page = admin_client.post(url("clientkey", "bulk"), {"names": "=1+1\nB"}, follow=True)
    assert "&#x27;=1+1,," in page.content.decode()


@pytest.fixture
def member(client, django_user_model):
    """A user with no right at all, who owns one of two keys."""
    user = django_user_model.objects.create_user("member", is_staff=True)
    mine, _key = ClientKey.issue("Mine", user=user)
    other, _key = ClientKey.issue("Other")
    client.force_login(user)
    return client, mine, other


def test_an_owner_sees_their_own_key_and_no_other(member):
    client, mine, other = member
    text = client.get(url("clientkey", "changelist")).content.decode()
    assert "Mine" in text
    assert "Other" not in text
    assert client.get(url("clientkey", "change", mine.pk)).status_code == 200
    assert client.get(url("clientkey", "change", other.pk)).status_code == 302


def test_an_owner_sees_usage_and_what_is_kept(member):
    client, mine, _other = member
    HourlyTotal.objects.create(
        hour=int(time.time()) // 3600, endpoint="messages", client_key_pk=mine.pk, state="done",
        requests=3, input_tokens=1200, output_tokens=34, cost_units=25 * 10**9,
    )  # fmt: skip
    text = client.get(url("clientkey", "change", mine.pk)).content.decode()
    assert "1,200" in text
    assert "2.50" in text
    assert "contents are kept" in text


def test_an_owner_changes_nothing_but_rotates_the_own_key(member):
    client, mine, other = member
    assert client.post(url("clientkey", "change", mine.pk), {"name": "X"}).status_code == 403
    assert client.post(url("clientkey", "rotate", other.pk), {"grace": "0"}).status_code in (403, 404)
    assert client.post(url("clientkey", "rotate", mine.pk), {"grace": "0"}).status_code == 302
    assert client.get(url("clientkey", "add")).status_code == 403
    assert client.get(url("provider", "changelist")).status_code == 403
    assert client.get("/admin/auth/user/").status_code == 403


def test_a_user_without_a_key_sees_no_keys(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
    assert client.get(url("clientkey", "changelist")).status_code == 403


def test_the_list_of_keys_does_not_ask_the_database_once_per_row(
    admin_client, admin_user, django_assert_max_num_queries
):
    for number in range(15):
        ClientKey.issue(f"K{number}", user=admin_user)
    with django_assert_max_num_queries(7):
        admin_client.get(url("clientkey", "changelist"))


def test_an_owner_sees_the_requests_of_their_own_key_and_no_other(member):
    client, mine, other = member
    theirs = RequestLog.objects.create(request_id="req_theirs", client_key=other, session_id="s")
    own = RequestLog.objects.create(
        request_id="req_own", client_key=mine, owner_id=mine.user_id, asked_model="claude-own"
    )
    page = client.get(url("requestlog", "changelist"))
    assert [row.pk for row in page.context["cl"].result_list] == [own.pk]
    assert "Other" not in page.content.decode()
    assert client.get(url("requestlog", "change", own.pk)).status_code == 200
    assert client.get(url("requestlog", "change", theirs.pk)).status_code == 302
    for query in ({"q": "req_theirs"}, {"q": "s"}, {"key": other.pk}):
        assert not client.get(url("requestlog", "changelist"), query).context["cl"].result_list
    exported = b"".join(client.get(url("requestlog", "export", "csv")))
    assert b"req_own" in exported
    assert b"req_theirs" not in exported
    assert client.get(url("requestlog", "live")).status_code == 403
    assert client.get(url("requestlog", "part", theirs.pk, "received")).status_code == 404


def test_an_owner_is_told_what_is_kept_how_long_who_reads_it_and_what_is_masked(member, admin_user):
    client, mine, _other = member
    Retention.objects.create(pk=Retention.ROW, body_days=14, row_days=90)
    SecretPattern.objects.create(name="house-key", pattern="hk-[0-9]+")
    SecretPattern.objects.create(name="off-duty", pattern="od-[0-9]+", enabled=False)
    policy = dict(client.get(url("clientkey", "change", mine.pk)).context["policy"])
    assert "contents: 14 days; requests: 90 days; sums by the hour: for ever" in policy["For how long"]
    assert admin_user.username in policy["Who reads contents"]
    assert "also its owner" in policy["Who reads contents"]
    assert "house-key" in policy["What is masked"]
    assert "off-duty" not in policy["What is masked"]
    assert patterns.BUILT_IN[0].name in policy["What is masked"]


def test_a_key_whose_contents_are_not_kept_says_so(member):
    client, mine, _other = member
    ClientKey.objects.filter(pk=mine.pk).update(capture="none")
    policy = dict(client.get(url("clientkey", "change", mine.pk)).context["policy"])
    assert "no contents are kept" in policy["What is kept"]
    assert "contents" not in policy["For how long"]


def test_revoking_a_thousand_keys_is_one_change_of_the_configuration(admin_client):
    ClientKey.objects.bulk_create(ClientKey(name=f"k{place}", digest=f"{place:064}") for place in range(1000))
    keys = [str(pk) for pk in ClientKey.objects.values_list("pk", flat=True)]
    before = ConfigStamp.current()
    began = time.process_time()
    admin_client.post(
        url("clientkey", "changelist"),
        {"action": "revoke", "_selected_action": keys[:1], "select_across": "1"},
    )
    # seconds of CPU; one transaction and one reload for each key took 40
    assert time.process_time() - began < 6
    assert not ClientKey.objects.filter(revoked_at=None).exists()
    assert ConfigStamp.current() == before + 1
    # each is in the log of changes
    assert LogEntry.objects.filter(change_message__contains="revoked_at").count() >= 1000


def test_deleting_is_not_offered_for_several_keys(admin_client):
    ClientKey.issue("one")
    assert "delete_selected" not in admin_client.get(url("clientkey", "changelist")).content.decode()
