"""What a person without further rights finds on the first page, and the key that they rotate."""

import pytest
from django.contrib.auth import get_user_model

from gateway.history.totals.sessions import work_out
from gateway.models import ClientKey, Origin, PersonBudget
from tests.admin.history import HOSTILE, make_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(client):
    user = get_user_model().objects.create_user("bob", password="x", is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def key(bob):
    return ClientKey.issue(name="Bob's laptop", user=bob, spend_budget=50)[0]


def home(client):
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_member_sees_keys_budgets_sessions_and_how_to_start(client, bob, key):
    PersonBudget.objects.create(user=bob, spend_budget=20, requests_per_minute=60)
    make_rows(2, session_id="s-1", owner_id=bob.pk, client_key=key, cost="0.25")
    work_out("s-1")
    text = home(client)
    for part in (
        "Bob&#x27;s laptop",
        key.shown,
        "My last sessions",
        "Session s-1",
        "0.50",
        "ANTHROPIC_BASE_URL",
        "requests per minute: 60",
    ):
        assert part in text
    assert text.count("<meter") == 2


def test_nothing_of_others_is_there(client, bob, key):
    other = get_user_model().objects.create_user("eve", password="x", is_staff=True)
    ClientKey.issue(name="Of somebody else", user=other)
    make_rows(1, session_id="theirs", owner_id=other.pk)
    work_out("theirs")
    text = home(client)
    assert "Of somebody else" not in text
    assert "/theirs/" not in text


def test_who_has_no_key_gets_no_empty_tables(client, bob):
    assert "My client keys" not in home(client)


def test_hostile_names_are_shown_as_they_are(client, bob):
    ClientKey.issue(name=HOSTILE[:90], user=bob)
    make_rows(1, session_id="x" * 20, owner_id=bob.pk)
    work_out("x" * 20)
    assert "<script>alert" not in home(client)


def test_a_person_rotates_the_own_key_and_keeps_its_limits_and_end(client, key):
    page = f"/admin/gateway/clientkey/{key.pk}/rotate/"
    assert client.get(page).status_code == 200
    shown = client.post(page, {"grace": "0"}, follow=True)
    assert "ccp_" in shown.content.decode()
    key.refresh_from_db()
    new = ClientKey.objects.get(pk=key.rotated_to_id)
    assert (new.user_id, new.spend_budget, new.lineage) == (key.user_id, 50, key.pk)
    assert key.state() != "active"


@pytest.mark.parametrize("origin", [Origin.ENVIRONMENT, Origin.SIGN_IN])
def test_keys_that_are_made_elsewhere_are_not_rotated_by_their_owner(client, key, origin):
    ClientKey.objects.filter(pk=key.pk).update(origin=origin)
    assert client.post(f"/admin/gateway/clientkey/{key.pk}/rotate/", {"grace": "0"}).status_code == 403
    assert f"/{key.pk}/rotate/" not in home(client)


def test_the_keys_of_others_are_not_rotated(client, bob):
    other = get_user_model().objects.create_user("eve", password="x")
    theirs = ClientKey.issue(name="Eve", user=other)[0]
    assert client.post(f"/admin/gateway/clientkey/{theirs.pk}/rotate/", {"grace": "0"}).status_code in (
        403,
        404,
    )
    assert ClientKey.objects.count() == 1
