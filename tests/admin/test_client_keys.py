import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session

from gateway.conf import GatewayConf
from gateway.config.environment import sync_environment
from gateway.models import ClientKey, RequestLog
from gateway.security import client_keys
from tests.admin.pages import url

HOSTILE = '"><script>alert(1)</script>'


def issue(admin_client, **values):
    return admin_client.post(url("clientkey", "add"), {"name": "Ann", **values})


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
    response = admin_client.post(url("clientkey", "change", record.pk), {"name": "Bob"})
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
    assert LogEntry.objects.get().change_message == "Revoked."


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
