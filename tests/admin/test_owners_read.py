"""The owner of a client key, with no right at all, reads what was said in its requests and in no others."""

import dataclasses

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from gateway.conf import gateway_conf
from gateway.history import access
from gateway.history.search import index as search
from gateway.models import ClientKey, ContentRead
from tests.admin.history import LIST, change, keep, make_rows, shown
from tests.admin.pages import url
from tests.history.index import empty_index

CONTENT_TABS = ("conversation", "compare", "received", "sent", "answered", "returned", "curl")


def asked(text):
    return b'{"model": "m", "messages": [{"role": "user", "content": "%s"}]}' % text.encode()


@pytest.fixture
def owner(clerk):
    """The client of a user who owns one of two keys, and a request of each: own, other."""
    client = clerk()
    user = get_user_model().objects.get(username="clerk")
    mine, _ = ClientKey.issue("Mine", user=user)
    other, _ = ClientKey.issue("Other")
    own, theirs = make_rows(2)
    for row, key, text in ((own, mine, "my own words"), (theirs, other, "their words")):
        row.client_key, row.owner_id = key, key.user_id
        row.save()
        keep(row, {"request": {}}, asked(text), asked(text))
    return client, own, theirs


@pytest.fixture
def kept_from_owners(monkeypatch):
    conf = dataclasses.replace(gateway_conf(), owners_read_content=False)
    monkeypatch.setattr(access, "gateway_conf", lambda: conf)


def noted():
    return list(ContentRead.objects.order_by("pk").values_list("user_name", "request_id", "part"))


def test_the_page_of_an_own_request_opens_with_its_conversation_and_the_read_is_noted(owner):
    client, own, _theirs = owner
    assert "my own words" in change(client, own).content.decode()
    assert noted() == [("clerk", own.request_id, "conversation")]


@pytest.mark.parametrize("tab", CONTENT_TABS)
def test_no_tab_of_another_request_is_shown(owner, tab):
    client, _own, theirs = owner
    response = change(client, theirs, tab=tab)
    assert response.status_code == 302
    assert b"their words" not in response.content
    assert noted() == []


def test_an_own_text_comes_as_a_file_and_no_other(owner):
    client, own, theirs = owner
    assert b"my own words" in client.get(url("requestlog", "part", own.pk, "received")).content
    assert client.get(url("requestlog", "part", theirs.pk, "received")).status_code == 404
    assert noted() == [("clerk", own.request_id, "received (file)")]


def test_words_are_found_in_own_requests_alone(owner):
    client, own, theirs = owner
    empty_index()
    search.put([search.NewText(row.request_id, row.pk.to_bytes(32), "same words") for row in (own, theirs)])
    assert shown(client.get(LIST, {"q": "same"})) == [own.request_id]


@pytest.fixture
def clerk_sees_all(owner):
    user = get_user_model().objects.get(username="clerk")
    user.user_permissions.add(Permission.objects.get(codename="view_requestlog"))


def test_an_owner_who_may_see_all_requests_reads_the_own_ones_alone(owner, clerk_sees_all):
    client, own, theirs = owner
    assert "my own words" in change(client, own, tab="received").content.decode()
    page = change(client, theirs, tab="received").content.decode()
    assert "You may not read the content" in page
    assert "their words" not in page


def test_what_needs_the_providers_options_or_costs_money_stays_closed(owner):
    client, own, _theirs = owner
    assert client.get(url("requestlog", "fixture", own.pk)).status_code == 403
    assert client.get(url("requestlog", "replay", own.pk)).status_code == 403


def test_a_setting_keeps_contents_from_owners(owner, kept_from_owners):
    client, own, _theirs = owner
    empty_index()
    search.put([search.NewText(own.request_id, b"x" * 32, "same words")])
    assert "my own words" not in change(client, own, tab="conversation").content.decode()
    assert client.get(url("requestlog", "part", own.pk, "received")).status_code == 404
    assert shown(client.get(LIST, {"q": "same"})) == []
    assert noted() == []
