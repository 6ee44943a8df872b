"""Users and groups in the console."""

import json
import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse
from django.utils import timezone

from gateway.config import sign_in
from gateway.config.snapshot.people import people_limits
from gateway.models import ClientKey, Erasure, LegalHold, PersonBudget, RequestLog
from gateway.routing.snapshot import KeyLimits, PersonLimits

pytestmark = pytest.mark.django_db


def test_rights_are_ticked_one_by_one_and_saved(admin_client):
    group = Group.objects.get(name="Operator")
    page = reverse("admin:auth_group_change", args=[group.pk])
    text = admin_client.get(page).content.decode()
    ticked = re.findall(r'<input type="checkbox" name="permissions" value="(\d+)"[^>]*\schecked[\s>]', text)
    assert {int(one) for one in ticked} == set(group.permissions.values_list("pk", flat=True))
    assert "Providers: change" in text
    kept = Permission.objects.get(codename="view_provider", content_type__app_label="gateway").pk
    admin_client.post(page, {"name": "Operator", "permissions": [kept]})
    assert list(group.permissions.values_list("pk", flat=True)) == [kept]


def test_groups_of_a_user_are_ticked(admin_client, admin_user):
    text = admin_client.get(reverse("admin:auth_user_change", args=[admin_user.pk])).content.decode()
    assert len(re.findall(r'type="checkbox" name="groups"', text)) == Group.objects.count()


class TestKeysOfAPerson:
    """What somebody has is on their page, and goes from there."""

    @pytest.fixture
    def emil(self, db):
        user = User.objects.create_user("emil", is_staff=True)
        for name in ("laptop", "desktop"):
            ClientKey.issue(name, user=user)
        return user

    def page(self, user):
        return f"/admin/auth/user/{user.pk}/"

    def test_their_keys_stand_on_their_page(self, admin_client, emil):
        text = admin_client.get(self.page(emil) + "change/").content.decode()
        assert "laptop" in text and "desktop" in text and "owner=emil" in text

    def test_a_sign_in_says_which_machine_it_is_and_a_budget_how_full(self, admin_client, emil):
        now = timezone.now()
        begun = sign_in.begin("198.51.100.7", "claude-code/2.1.332 <b>", now)
        key = sign_in.approve(sign_in.waiting(begun.user_code, now), emil, now)
        PersonBudget.objects.create(user=emil, spend_budget=80)
        text = admin_client.get(self.page(emil) + "change/").content.decode()
        assert "<td>198.51.100.7</td><td>claude-code/2.1.332 &lt;b&gt;</td>" in text
        assert "<meter" in text and "80.00" in text
        facts = admin_client.get(reverse("admin:gateway_clientkey_change", args=[key.pk])).content.decode()
        assert "198.51.100.7" in facts and "claude-code/2.1.332 &lt;b&gt;" in facts

    def test_an_administrator_sets_the_limits_of_a_person_from_their_page(self, admin_client, emil):
        text = admin_client.get(self.page(emil) + "change/").content.decode()
        address = f"/admin/gateway/personbudget/add/?user={emil.pk}"
        assert address in text
        page = admin_client.get(address)
        assert page.context["adminform"].form["user"].value() == str(emil.pk)
        given = {
            "user": emil.pk, "allowed_models": "claude-*\n<b>", "requests_per_minute": "1200",
            "concurrent_requests": "3", "input_tokens_per_minute": "", "output_tokens_per_minute": "500",
            "budget_period": "week", "spend_budget": "25", "token_budget": "",
        }  # fmt: skip
        assert admin_client.post("/admin/gateway/personbudget/add/", given).status_code == 302
        limits = KeyLimits(1200, None, 500, 3, "week", 25_000_000_000)
        assert people_limits() == {emil.pk: PersonLimits(limits, "", ("claude-*", "<b>"))}
        text = admin_client.get(self.page(emil) + "change/").content.decode()
        for part in ("requests per minute: 1,200", "concurrent requests: 3", "claude-*, &lt;b&gt;", "<meter"):
            assert part in text
        assert reverse("admin:gateway_personbudget_change", args=[emil.gateway_budget.pk]) in text

    def test_who_may_not_set_limits_of_people_is_not_led_there(self, clerk, emil):
        client = clerk("view_user", "view_clientkey", "view_personbudget")
        PersonBudget.objects.create(user=emil, requests_per_minute=7)
        text = client.get(self.page(emil) + "change/").content.decode()
        assert "requests per minute: 7" in text and "Set limits" not in text

    def test_all_keys_are_revoked_after_a_question(self, admin_client, emil):
        text = admin_client.get(self.page(emil) + "revoke-all/").content.decode()
        assert "laptop" in text and ClientKey.objects.filter(revoked_at=None).count() == 2
        said = admin_client.post(self.page(emil) + "revoke-all/", follow=True).content.decode()
        assert "2 keys are revoked" in said
        assert not ClientKey.objects.filter(revoked_at=None).exists()

    def test_revoking_takes_the_right_to_change_keys(self, clerk, emil):
        client = clerk("view_user", "change_user", "view_clientkey")
        assert client.post(self.page(emil) + "revoke-all/").status_code == 403
        assert "Revoke all" not in client.get(self.page(emil) + "change/").content.decode()

    def test_deactivating_says_what_becomes_of_the_keys(self, admin_client, emil):
        data = {
            "username": "emil",
            "is_staff": "on",
            "date_joined_0": "2026-01-01",
            "date_joined_1": "00:00:00",
        }
        said = admin_client.post(self.page(emil) + "change/", data, follow=True).content.decode()
        assert "emil can no longer log in. 2 client keys are refused" in said


class TestWhatIsKeptOfAPerson:
    """It is given out and erased from their page, each by a right of its own."""

    @pytest.fixture
    def emil(self, db):
        user = User.objects.create_user("emil", is_staff=True)
        key, _ = ClientKey.issue("laptop", user=user)
        RequestLog.objects.create(request_id="req_1", owner_id=user.pk, client_key=key, state="ok")
        return user

    def page(self, user, name):
        return f"/admin/auth/user/{user.pk}/{name}/"

    def test_the_page_leads_to_both(self, admin_client, emil):
        text = admin_client.get(self.page(emil, "change")).content.decode()
        assert self.page(emil, "export") in text and self.page(emil, "erase") in text

    def test_each_takes_its_right(self, clerk, emil):
        client = clerk("view_user", "change_user", "view_requestlog", "read_content")
        text = client.get(self.page(emil, "change")).content.decode()
        assert "/export/" not in text and "/erase/" not in text
        assert client.post(self.page(emil, "export")).status_code == 403
        assert client.get(self.page(emil, "erase")).status_code == 403
        assert client.post(self.page(emil, "erase"), {"name": "emil"}).status_code == 403
        assert User.objects.get(pk=emil.pk).is_active

    def test_erasing_asks_for_the_name(self, admin_client, emil):
        text = admin_client.get(self.page(emil, "erase")).content.decode()
        assert "1 request goes" in text
        text = admin_client.post(self.page(emil, "erase"), {"name": "otto"}).content.decode()
        assert "Nothing was erased" in text and RequestLog.objects.exists()
        said = admin_client.post(self.page(emil, "erase"), {"name": "emil"}, follow=True).content.decode()
        assert f"The account is called erased-{emil.pk} now." in said
        assert not RequestLog.objects.exists()
        assert not User.objects.filter(username="emil").exists()

    def test_what_a_hold_keeps_is_said_before_and_after(self, admin_client, emil):
        LegalHold.objects.create(client_key=ClientKey.objects.get(), reason="the case of X")
        text = admin_client.get(self.page(emil, "erase")).content.decode()
        assert "the case of X" in text and "1 request is kept by a legal hold" in text
        said = admin_client.post(self.page(emil, "erase"), {"name": "emil"}, follow=True).content.decode()
        assert "1 are kept by a legal hold" in said
        assert "An erasure is under way: 1 request is kept" in said
        assert RequestLog.objects.exists() and not User.objects.get(pk=emil.pk).is_active

    def test_the_page_says_how_far_an_erasure_has_come(self, admin_client, emil):
        erasure = Erasure.objects.create(user_pk=emil.pk, asked_at=timezone.now())
        page = self.page(emil, "change")
        said = admin_client.get(page).content.decode()
        assert "An erasure is under way." in said and "within two days" not in said
        Erasure.objects.filter(pk=erasure.pk).update(unnamed_at=timezone.now())
        assert "the last pieces of texts go within two days" in admin_client.get(page).content.decode()
        Erasure.objects.filter(pk=erasure.pk).update(finished_at=timezone.now())
        assert "Erased; finished" in admin_client.get(page).content.decode()

    def test_nobody_is_offered_to_erase_themselves(self, admin_client, admin_user):
        text = admin_client.get(self.page(admin_user, "change")).content.decode()
        assert self.page(admin_user, "erase") not in text
        admin_client.post(self.page(admin_user, "erase"), {"name": admin_user.username})
        assert User.objects.get(pk=admin_user.pk).is_active

    def test_contents_are_given_out_to_those_who_may_read_them(self, clerk, emil):
        client = clerk("view_user", "export_person")
        answer = client.post(self.page(emil, "export"))
        lines = [json.loads(line) for line in b"".join(answer).splitlines()]
        assert lines[0]["record"] == "account"
        assert {"key", "request"} <= {line["record"] for line in lines}
        assert not {"digest", "password"} & {name for line in lines for name in line}
        assert 'filename="emil.jsonl"' in answer["Content-Disposition"]

    def test_a_link_gives_nothing_out(self, admin_client, emil):
        assert admin_client.get(self.page(emil, "export")).status_code == 302
