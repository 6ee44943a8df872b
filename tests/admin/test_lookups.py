"""What the address of a list may ask of its records."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User

from gateway.models import ClientKey
from tests.admin.pages import url


def test_the_digest_of_a_key_cannot_be_read_letter_by_letter(admin_client, db):
    key, _ = ClientKey.issue("alice")
    for lookup in ("digest__startswith", "digest", "digest__exact", "digest__regex", "digest__gt"):
        response = admin_client.get(url("clientkey", "changelist"), {lookup: key.digest[:3]})
        assert response.status_code == 400


def test_no_list_compares_a_field_by_its_beginning(rf, admin_user, client):
    client.force_login(admin_user)
    client.get("/admin/")
    request = rf.get("/")
    request.user = admin_user
    assert len(admin.site._registry) > 10
    for model, page in admin.site._registry.items():
        for field in model._meta.get_fields():
            for comparison in ("startswith", "contains", "regex", "iexact", "icontains", "istartswith"):
                assert not page.lookup_allowed(f"{field.name}__{comparison}", "a", request)
            for further in field.related_model._meta.get_fields() if field.is_relation else ():
                assert not page.lookup_allowed(f"{field.name}__{further.name}__startswith", "a", request)


def test_secrets_are_not_compared_at_all(rf, client):
    client.get("/admin/login/")
    request = rf.get("/")
    request.user = User(is_superuser=True, is_active=True)
    for label, name in (
        ("gateway.ClientKey", "digest"), ("gateway.Provider", "headers"),
        ("gateway.SearchEngine", "credential"), ("auth.User", "password"),
    ):  # fmt: skip
        page = admin.site._registry[apps.get_model(label)]
        for comparison in ("", "__exact", "__in", "__gt", "__lt", "__isnull"):
            assert not page.lookup_allowed(f"{name}{comparison}", "a", request)


@pytest.mark.parametrize(
    "address",
    [
        "/admin/gateway/clientkey/?origin__exact=admin",
        "/admin/gateway/clientkey/?expires_at__isnull=True",
        "/admin/gateway/modelmapping/?targets__provider__id__exact=1",
        "/admin/gateway/requestlog/?started_at__gte=2026-01-01T00:00:00Z",
        "/admin/gateway/learntoption/?decision__exact=proposed",
        "/admin/admin/logentry/?user__id__exact=1",
        "/admin/auth/user/?groups__id__exact=1",
    ],
)
def test_the_filters_of_the_lists_work(admin_client, address):
    assert admin_client.get(address).status_code == 200
