"""Where a person lets a machine in: by hand, seen, a few tries, and nothing by following a link."""

import dataclasses
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from gateway import conf
from gateway.admin.keys import device_page
from gateway.config import sign_in
from gateway.models import ClientKey, DeviceGrant, LimitCounter
from tests.admin.pages import url

PAGE = "/admin/gateway/clientkey/device/"


@pytest.fixture(autouse=True)
def on(monkeypatch, db):
    changed = dataclasses.replace(conf.gateway_conf(), sign_in=True)
    monkeypatch.setattr(device_page, "gateway_conf", lambda: changed)


@pytest.fixture
def begun():
    return sign_in.begin("10.0.0.7", "claude-code/2.1.332 <b>", timezone.now())


@pytest.fixture
def member(client):
    client.force_login(get_user_model().objects.create_user("ada", is_staff=True))
    return client


def state():
    return DeviceGrant.objects.get().state


def test_a_member_types_the_code_sees_who_asks_and_lets_it_in(member, begun):
    page = member.get(PAGE)
    assert 'name="code"' in page.content.decode()
    assert "forceLoginGatewayUrl&quot;: &quot;http://testserver" in page.content.decode()
    text = member.post(PAGE, {"code": begun.user_code.lower()}).content.decode()
    assert "10.0.0.7" in text and "claude-code/2.1.332 &lt;b&gt;" in text
    assert state() == "pending"
    assert member.post(PAGE, {"decision": "approve"}).status_code == 302
    key = ClientKey.objects.get()
    assert (key.user.username, state()) == ("ada", "approved")
    # it stands on the person's own pages, and is revoked like any key
    listed = member.get(url("clientkey", "changelist")).content.decode()
    assert key.name in listed and "can be guessed" not in listed


def test_this_was_not_me(member, begun):
    member.post(PAGE, {"code": begun.user_code})
    member.post(PAGE, {"decision": "deny"})
    assert state() == "denied"
    assert not ClientKey.objects.exists()


def test_a_link_and_a_decision_without_a_look_confirm_nothing(member, begun):
    page = member.get(PAGE, {"user_code": begun.user_code})
    assert begun.user_code not in page.content.decode()
    member.get(PAGE, {"user_code": begun.user_code, "decision": "approve"})
    member.post(PAGE, {"decision": "approve", "code": begun.user_code})
    assert state() == "pending"


def test_coming_back_to_the_page_forgets_what_was_looked_up(member, begun):
    member.post(PAGE, {"code": begun.user_code})
    member.get(PAGE)
    member.post(PAGE, {"decision": "approve"})
    assert state() == "pending"


def test_a_form_of_another_site_is_refused(begun):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.create_user("ada", is_staff=True))
    assert strict.post(PAGE, {"code": begun.user_code}).status_code == 403


def test_wrong_codes_can_be_tried_a_few_times_only(member, begun):
    for _ in range(sign_in.MOST_MISSES):
        assert "No machine waits" in member.post(PAGE, {"code": "BCDF-GHJK"}).content.decode()
    # the process has no memory of its own that the next one lacks
    cache.clear()
    assert "Too many codes" in member.post(PAGE, {"code": begun.user_code}).content.decode()
    assert state() == "pending"


def test_right_codes_and_the_misses_of_others_at_the_address_keep_nobody_out(member, begun, client):
    for _ in range(2 * sign_in.MOST_MISSES):
        assert begun.user_code in member.post(PAGE, {"code": begun.user_code}).content.decode()
    for number in range(3):
        client.force_login(get_user_model().objects.create_user(f"eve{number}", is_staff=True))
        for _ in range(sign_in.MOST_MISSES):
            client.post(PAGE, {"code": "BCDF-GHJK"})
    client.force_login(get_user_model().objects.get(username="ada"))
    assert begun.user_code in client.post(PAGE, {"code": begun.user_code}).content.decode()


def test_an_address_has_a_bound_too_and_misses_are_forgotten(db, begun):
    now = timezone.now()
    for number in range(sign_in.MOST_MISSES_OF_ADDRESS):
        sign_in.looked_up("BCDF-GHJK", number, f"2001:db8::{number:x}", now)
    with pytest.raises(sign_in.SignInRefused):
        sign_in.looked_up(begun.user_code, 9_999, "2001:db8::ffff", now)
    assert sign_in.looked_up(begun.user_code, 9_999, "2001:db8:1::1", now)
    later = now + timedelta(seconds=sign_in.MISSES_HOLD + 1)
    assert sign_in.looked_up("BCDF-GHJK", 0, "2001:db8::1", later) is None
    assert LimitCounter.objects.count() == 2


def test_strangers_log_in_first(client, begun):
    assert "/login/" in client.get(PAGE)["location"]


def test_where_signing_in_is_off_the_page_says_so(member, monkeypatch):
    monkeypatch.setattr(device_page, "gateway_conf", conf.gateway_conf)
    assert "SIGN_IN=true" in member.get(PAGE).content.decode()


def test_a_person_ends_a_sign_in_of_their_own_and_no_other_key(member, begun):
    member.post(PAGE, {"code": begun.user_code})
    member.post(PAGE, {"decision": "approve"})
    key = ClientKey.objects.get()
    assert "Revoke" in member.get(url("clientkey", "change", key.pk)).content.decode()
    assert member.post(f"/admin/gateway/clientkey/{key.pk}/rotate/", {"grace": "86400"}).status_code == 403
    plain, _secret = ClientKey.issue("plain", user=key.user)
    other, _secret = ClientKey.issue(
        "other", origin="sign_in", user=get_user_model().objects.create_user("eve")
    )
    for record, ended in ((key, True), (plain, False), (other, False)):
        member.post(url("clientkey", "revoke", record.pk))
        record.refresh_from_db()
        assert (record.revoked_at is not None) is ended
