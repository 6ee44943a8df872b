"""A database with one of everything, and people to look at it."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from gateway.models import Provider
from tests.records import make_mapping

# longer than what is shown of a secret by its end
CREDENTIAL = "sk-live-0123456789-very-secret-WXYZ"


@pytest.fixture
def provider(db):
    provider = Provider(
        name="Main",
        slug="main",
        preset="openai-chat",
        base_url="https://api.example.com/v1",
    )
    provider.set_headers({"X-Team-Token": "header-secret"})
    provider.save()
    provider.add_credential(CREDENTIAL)
    return provider


@pytest.fixture
def mapping(provider):
    return make_mapping("claude-*", provider, "gpt-4o", position=10)


@pytest.fixture
def clerk(db, client):
    """A logged-in member of staff with the given permissions alone."""

    def clerk(*codenames):
        user, _ = get_user_model().objects.get_or_create(username="clerk", defaults={"is_staff": True})
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return clerk
