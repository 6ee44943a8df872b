"""The page of changes."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User

from gateway.config.change_entries import said_of, values_of
from gateway.config.changes import acting, together
from gateway.models import ClientKey, ContentRead, LegalHold, ModelMapping, Origin, Provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def changed(admin_client):
    record = Provider.objects.create(name="Acme", slug="acme", base_url="https://acme.test/v1")
    record.name = "<b>Bad</b>"
    record.save()
    return record, LogEntry.objects.order_by("-pk").first()


def test_the_list_and_the_page_say_before_and_after_and_are_inert(admin_client, changed):
    _, entry = changed
    listed = admin_client.get("/admin/admin/logentry/").content.decode()
    assert "Acme" in listed and "a command" in listed
    page = admin_client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
    assert "&lt;b&gt;Bad" in page and "<b>Bad" not in page
    assert "Undo this change" in page


def test_undo_restores_and_is_logged_under_the_user(admin_client, admin_user, changed):
    record, entry = changed
    admin_client.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "Acme"
    newest = LogEntry.objects.order_by("-pk").first()
    assert newest.user == admin_user and values_of(newest)["name"] == ["<b>Bad</b>", "Acme"]


def test_looking_undoes_nothing(admin_client, changed):
    record, entry = changed
    admin_client.get(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "<b>Bad</b>"


def test_who_may_not_change_the_record_may_not_undo(client, django_user_model, changed):
    record, entry = changed
    user = django_user_model.objects.create_user("eve", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_logentry"))
    client.force_login(user)
    assert "Undo" not in client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
    client.post(f"/admin/admin/logentry/{entry.pk}/undo/")
    record.refresh_from_db()
    assert record.name == "<b>Bad</b>"


def test_a_change_by_a_form_is_one_entry_with_values(admin_client, admin_user):
    admin_client.get("/admin/gateway/retention/", follow=True)
    LogEntry.objects.all().delete()
    admin_client.post(
        "/admin/gateway/retention/1/change/", {"body_days": 30, "row_days": "", "total_days": ""}
    )
    entry = LogEntry.objects.get()
    assert entry.user == admin_user
    assert values_of(entry)["body_days"] == [None, 30]


def test_a_value_that_is_empty_is_no_secret(admin_client, db):
    admin_client.get("/admin/gateway/retention/", follow=True)
    LegalHold.objects.create(session_id="session-1", reason="asked for")
    for entry in LogEntry.objects.all():
        assert (
            "a secret, changed"
            not in admin_client.get(f"/admin/admin/logentry/{entry.pk}/change/").content.decode()
        )


def test_it_is_called_a_change_everywhere(admin_client, db):
    page = admin_client.get("/admin/admin/logentry/").content.decode()
    assert "Changes" in page
    assert "Log entries" not in page


def _undo(client, entry):
    return client.post(f"/admin/admin/logentry/{entry.pk}/undo/")


def _newest(**facts):
    return LogEntry.objects.filter(**facts).order_by("-pk").first()


def test_undo_says_which_change_it_undid(admin_client, changed):
    _, entry = changed
    _undo(admin_client, entry)
    listed = admin_client.get("/admin/admin/logentry/").content.decode()
    assert f"undid change {entry.pk}" in listed


def test_what_the_environment_keeps_is_not_undone(clerk):
    ClientKey.objects.create(name="env", digest="d", origin=Origin.ENVIRONMENT)
    made = _newest()
    client = clerk("change_clientkey", "delete_clientkey", "view_logentry")
    _undo(client, made)
    assert ClientKey.objects.get().revoked_at is None
    provider = Provider.objects.create(
        name="P", slug="p", base_url="https://a.test", origin=Origin.ENVIRONMENT
    )
    provider.base_url = "https://b.test"
    provider.save()
    client.get("/admin/")
    user = User.objects.get(username="clerk")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="gateway"))
    user.user_permissions.add(Permission.objects.get(codename="view_logentry"))
    _undo(client, _newest())
    provider.refresh_from_db()
    assert provider.base_url == "https://b.test"


def test_a_row_of_a_record_of_the_environment_is_not_undone_either(clerk):
    provider = Provider.objects.create(
        name="P", slug="p", base_url="https://a.test", origin=Origin.ENVIRONMENT
    )
    credential = provider.credentials.create(label="one")
    credential.label = "two"
    credential.save()
    changed_label = _newest()
    credential.delete()
    deleted = _newest()
    client = clerk("change_provider", "change_providercredential", "add_providercredential", "view_logentry")
    _undo(client, deleted)
    assert not provider.credentials.exists()
    provider.credentials.create(pk=int(deleted.object_id), label="two")
    _undo(client, changed_label)
    assert provider.credentials.get().label == "two"


def test_taking_over_is_not_undone(admin_client):
    provider = Provider.objects.create(
        name="P", slug="p", base_url="https://a.test", origin=Origin.ENVIRONMENT
    )
    provider.origin = Origin.ADMIN
    provider.save()
    _undo(admin_client, _newest())
    provider.refresh_from_db()
    assert provider.origin == Origin.ADMIN


def test_looking_at_retention_changes_nothing(admin_client, db):
    assert admin_client.get("/admin/gateway/retention/", follow=True).status_code == 200
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("names", ["one", "one\ntwo"])
def test_an_issued_key_is_one_entry_with_what_was_done(admin_client, names):
    admin_client.post("/admin/gateway/clientkey/issue-many/", {"names": names, "capture": ""})
    entries = list(LogEntry.objects.order_by("pk"))
    assert [entry.object_repr.split()[0] for entry in entries] == names.split()
    assert {said_of(entry) for entry in entries} == {"Issued with a list."}
    record = ClientKey.objects.first()
    admin_client.post(f"/admin/gateway/clientkey/{record.pk}/revoke/")
    assert LogEntry.objects.count() == len(entries) + 1


def test_what_was_changed_and_changed_back_in_one_act_is_nothing(admin_user):
    record = Provider.objects.create(name="Acme", slug="acme", base_url="https://acme.test/v1")
    LogEntry.objects.all().delete()
    with acting(admin_user):
        for name in ("Other", "Third"):
            record.name = name
            record.save()
    assert values_of(LogEntry.objects.get()) == {"name": ["Acme", "Third"]}


class TestHistoryOfARecord:
    """A record's *History* is the page of changes, filtered."""

    def test_it_leads_to_the_changes_of_this_record_alone(self, admin_client, changed):
        record, entry = changed
        Provider.objects.create(name="Other", slug="other", base_url="https://other.test/v1")
        page = admin_client.get(f"/admin/gateway/provider/{record.pk}/history/", follow=True)
        assert page.redirect_chain[0][0] == f"/admin/admin/logentry/?record=gateway.provider%3A{record.pk}"
        assert f"/admin/admin/logentry/{entry.pk}/change/" in page.content.decode()
        found = page.context["cl"].queryset
        assert {one.object_id for one in found} == {str(record.pk)} and found.count() == 2

    def test_entries_about_several_records_are_among_them(self, admin_client, admin_user):
        first, second, third = (ModelMapping.objects.create(pattern=name) for name in "abc")
        with acting(admin_user), together(ModelMapping, "Order"):
            for place, mapping in enumerate((first, second)):
                mapping.position = 100 + place
                mapping.save()
        for mapping, expected in ((first, 2), (second, 2), (third, 1)):
            page = admin_client.get(f"/admin/gateway/modelmapping/{mapping.pk}/history/", follow=True)
            assert page.context["cl"].queryset.count() == expected

    def test_who_sees_no_changes_gets_the_plain_history(self, clerk, changed):
        record, _ = changed
        page = clerk("view_provider").get(f"/admin/gateway/provider/{record.pk}/history/")
        assert page.status_code == 200 and "logentry" not in page.content.decode()

    @pytest.mark.parametrize(
        "value",
        [
            "x", "gateway.provider", "gateway.provider:x", "no.model:1", ":", "gateway.contentblob:eA==",
            "gateway.contentnode:x", "sessions.session:x", "gateway.provider:1%00", "gateway.requestlog:%00",
            f"gateway.provider:{'9' * 30}", "a.b.c:1", "gateway.provider:-1",
        ],
    )  # fmt: skip
    def test_a_record_that_is_none_has_no_changes(self, admin_client, changed, value):
        page = admin_client.get(f"/admin/admin/logentry/?record={value}")
        assert page.status_code == 200 and page.context["cl"].queryset.count() == 0

    def test_the_name_of_a_record_is_for_those_who_may_see_it(self, clerk, admin_user, changed):
        record, _ = changed
        read = ContentRead.objects.create(user=admin_user, user_name="boss", request_id="req_9", part="sent")
        named = {
            "view_provider": (f"gateway.provider:{record.pk}", "Bad"),
            "view_contentread": (f"gateway.contentread:{read.pk}", "of req_9"),
            "view_user": (f"auth.user:{admin_user.pk}", admin_user.username),
        }
        for right, (value, name) in named.items():
            for rights, shown in (({"view_logentry"}, False), ({"view_logentry", right}, True)):
                page = clerk(*rights).get("/admin/admin/logentry/", {"record": value})
                (chosen,) = [one for one in page.context["cl"].filter_specs if one.title == "record"]
                title = str(chosen.lookup_choices[0][1])
                assert (name in title) is shown, (value, rights, title)
                assert shown or title == value

    def test_a_row_of_another_record_has_the_right_of_its_kind(self, clerk, changed):
        record, _ = changed
        credential = record.credentials.create(label="the main one")
        asked = {"record": f"gateway.providercredential:{credential.pk}"}
        for rights, shown in (
            ({"view_logentry"}, False),
            ({"view_logentry", "view_providercredential"}, True),
        ):
            page = clerk(*rights).get("/admin/admin/logentry/", asked)
            (chosen,) = [one for one in page.context["cl"].filter_specs if one.title == "record"]
            assert (str(credential) in str(chosen.lookup_choices[0][1])) is shown
            assert page.context["cl"].queryset.count() == 1
