"""Learnt factors in admin: to look at, and to forget."""

import pytest

from gateway.models import TokenFactor
from tests.admin.pages import url

pytestmark = pytest.mark.django_db


@pytest.fixture
def factor():
    return TokenFactor.objects.create(
        provider="main",
        upstream_model="qwen3",
        factor=1.2345,
        letters=2.41,
        cjk=1.87,
        requests=50,
        error=0.041,
    )


def test_the_list_shows_factor_and_error(admin_client, factor):
    shown = admin_client.get("/admin/gateway/tokenfactor/").content.decode()
    for part in ("qwen3", "main", "1.234", "2.41 <", "1.87 <", "4.1 <", "50"):
        assert part in shown


def test_nobody_edits_or_adds_one(admin_client, factor):
    assert admin_client.get(url("tokenfactor", "add")).status_code == 403
    admin_client.post(url("tokenfactor", "change", factor.pk), {"factor": "9"})
    factor.refresh_from_db()
    assert factor.factor == 1.2345


def test_a_deleted_one_is_forgotten(admin_client, factor):
    admin_client.post(url("tokenfactor", "delete", factor.pk), {"post": "yes"})
    assert not TokenFactor.objects.exists()
