"""From one request to the next of the list that somebody came from."""

import pytest

from gateway.models import RequestLog
from tests.admin.history import change, make_rows
from tests.admin.pages import url

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    made = make_rows(5)
    RequestLog.objects.filter(request_id__in=["req_00001", "req_00003"]).update(state="error")
    return made


def neighbours(client, row, **parameters):
    context = change(client, row, **parameters).context
    return context["newer"], context["older"]


def test_without_a_list_they_are_those_of_all(admin_client, rows):
    assert neighbours(admin_client, rows[2]) == (rows[3].pk, rows[1].pk)
    assert neighbours(admin_client, rows[4]) == (None, rows[3].pk)


def test_they_are_those_of_the_filtered_list_and_go_on_in_it(admin_client, rows):
    filters = "state=error&p=3"
    assert neighbours(admin_client, rows[3], _changelist_filters=filters) == (None, rows[1].pk)
    text = change(admin_client, rows[3], _changelist_filters=filters).content.decode()
    assert f"{url('requestlog', 'change', rows[1].pk)}?_changelist_filters=state%3Derror%26p%3D3" in text


def test_members_go_through_their_own(client, django_user_model, rows):
    user = django_user_model.objects.create_user("emil", is_staff=True)
    RequestLog.objects.filter(request_id__in=["req_00000", "req_00004"]).update(owner_id=user.pk)
    client.force_login(user)
    assert neighbours(client, rows[4]) == (None, rows[0].pk)


@pytest.mark.parametrize("filters", ["x=y", "state=\x00", "a" * 5000, "status__nope=1", "&&&=%"])
def test_a_list_that_there_is_not_is_no_error(admin_client, rows, filters):
    assert change(admin_client, rows[2], _changelist_filters=filters).status_code == 200


def test_the_exact_time_and_links_stand_on_the_page(admin_client, rows, provider):
    text = change(admin_client, rows[2]).content.decode()
    assert "2026-11-01 00:00:02 UTC" in text
    assert url("provider", "change", provider.pk) in text
