"""The shadow of a mapping on the mapping's page."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from gateway.config.snapshot.rules import mapping_rules
from gateway.history.shadow_spend import spent_on_shadows
from gateway.models import RequestLog, Shadow
from tests.admin.pages import form_data, url
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def mapping():
    return make_mapping("claude-*", make_provider(), "old")


def fields(mapping, **changes):
    start = "shadow-0-"
    given = {"provider": mapping.targets.get().provider_id, "upstream_model": "new", "share": "5",
             "daily_cap": "2.5", "concurrency": "2", "enabled": "on", **changes}  # fmt: skip
    return {"shadow-TOTAL_FORMS": "1", **{start + name: value for name, value in given.items() if value}}


def test_an_administrator_makes_a_shadow_and_releases_contents(admin_client, mapping):
    page = url("modelmapping", "change", mapping.pk)
    data = form_data(admin_client.get(page), **fields(mapping, released="on"))
    assert admin_client.post(page, data).status_code == 302
    shadow = Shadow.objects.get()
    assert (shadow.upstream_model, shadow.share, shadow.released) == ("new", 5, True)
    [rule] = mapping_rules()
    assert (rule.shadow.target.arm, rule.shadow.share, rule.shadow.daily_cap) == ("p/new", 0.05, 2.5)
    assert rule.shadow.released
    Shadow.objects.update(enabled=False)
    assert mapping_rules()[0].shadow is None


def test_an_operator_leads_released_contents_to_no_other_provider(client, mapping, django_user_model):
    shadow = Shadow.objects.create(
        mapping=mapping, provider=mapping.targets.get().provider, upstream_model="new", share=5, daily_cap=2,
        released=True,
    )  # fmt: skip
    user = django_user_model.objects.create_user("otto", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    page = url("modelmapping", "change", mapping.pk)
    same = form_data(client.get(page), **{"shadow-0-upstream_model": "newer"})
    assert client.post(page, same).status_code == 302
    shadow.refresh_from_db()
    assert (shadow.upstream_model, shadow.released) == ("newer", True)
    other = make_provider("Other", "other")
    moved = form_data(client.get(page), **{"shadow-0-provider": str(other.pk)})
    assert client.post(page, moved).status_code == 302
    shadow.refresh_from_db()
    assert (shadow.provider, shadow.released) == (other, False)


def test_an_operator_makes_a_shadow_and_releases_nothing(client, mapping, django_user_model):
    user = django_user_model.objects.create_user("otto", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    page = url("modelmapping", "change", mapping.pk)
    data = form_data(client.get(page), **fields(mapping, released="on"))
    assert client.post(page, data).status_code == 302
    assert Shadow.objects.get().released is False


def test_what_a_shadow_cost_is_the_sum_of_its_rows_since_a_moment(mapping):
    now = timezone.now()
    for number, (endpoint, pk, age, cost) in enumerate(
        [("shadow", 1, 0, "0.5"), ("shadow", 1, 0, "0.25"), ("shadow", 1, 2, "9"), ("shadow", 2, 0, "9"),
         ("messages", 1, 0, "9"), ("shadow", 1, 0, None)]
    ):  # fmt: skip
        RequestLog.objects.create(
            request_id=f"r{number}",
            endpoint=endpoint,
            mapping_pk=pk,
            cost=cost,
            started_at=now - timedelta(days=age),
        )
    assert spent_on_shadows(1, now - timedelta(days=1)) == 0.75
    assert spent_on_shadows(3, now - timedelta(days=1)) == 0.0
