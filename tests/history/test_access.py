import pytest
from django.contrib.auth.models import AnonymousUser, Permission
from django.utils import timezone

from gateway.history.access import may_see_request, owns_keys, visible_requests
from gateway.models import ClientKey, RequestLog

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(django_user_model):
    user = django_user_model.objects.create_user("member")
    key, _secret = ClientKey.issue("Mine", user=user)
    other, _secret = ClientKey.issue("Other")
    made = {
        name: RequestLog.objects.create(
            request_id=f"req_{name}",
            client_key=of,
            owner_id=of and of.user_id,
            started_at=timezone.now(),
            endpoint="messages",
        )
        for name, of in (("mine", key), ("other", other), ("nobody", None))
    }
    return user, made


def test_an_owner_sees_the_requests_of_their_own_keys(rows):
    user, made = rows
    assert list(visible_requests(user)) == [made["mine"]]
    assert [name for name, row in made.items() if may_see_request(user, row)] == ["mine"]


def test_the_right_to_view_shows_all(rows):
    user, made = rows
    user.user_permissions.add(Permission.objects.get(codename="view_requestlog"))
    user = type(user).objects.get(pk=user.pk)
    assert visible_requests(user).count() == 3
    assert all(may_see_request(user, row) for row in made.values())


def test_nobody_in_particular_sees_nothing(rows):
    nobody = AnonymousUser()
    assert not owns_keys(nobody)
    assert not visible_requests(nobody).exists()
    assert not may_see_request(nobody, rows[1]["nobody"])
