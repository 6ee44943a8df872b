"""The steps from an empty gateway to the first answer."""

import pytest
from django.contrib.auth import get_user_model

from gateway.admin.home.setup_steps import setup_steps
from gateway.conf import GatewayConf
from gateway.config.startup.environment import sync_environment
from gateway.models import ClientKey, ModelMapping, Provider, RequestLog, Retention

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def done():
    return [step.done for step in setup_steps()]


def provider(**fields):
    return Provider.objects.create(name="Acme", slug="acme", base_url="https://acme.example/v1", **fields)


def lead_to(found):
    ModelMapping.objects.create(pattern="*").lead_to(found, "m")


def test_each_step_is_ticked_once_it_is_done_and_then_there_are_none():
    sync_environment(GatewayConf())
    assert done() == [False] * 5
    acme = provider()
    assert done() == [True, False, False, False, False]
    lead_to(acme)
    assert done() == [True, True, False, False, False]
    ClientKey.issue(name="Laptop")
    assert done() == [True, True, True, False, False]
    RequestLog.objects.create(request_id="req_1", provider="acme", state="ok", endpoint="messages")
    assert done() == []


def test_an_answer_of_the_demo_or_of_the_gateway_itself_is_no_first_answer():
    sync_environment(GatewayConf())
    RequestLog.objects.create(request_id="req_1", provider="demo", state="ok", endpoint="messages")
    RequestLog.objects.create(request_id="req_2", provider="", state="ok", endpoint="messages")
    assert done()[-1] is False


def test_a_provider_that_is_there_has_its_models_loaded_next():
    acme = provider()
    [_provider, mapping, *_rest] = setup_steps()
    assert mapping.address == f"/admin/gateway/provider/{acme.pk}/models/"


def test_a_disabled_provider_is_none():
    provider(enabled=False)
    assert done()[0] is False


def test_the_first_page_shows_the_steps_to_those_who_can_do_them(admin_client, client):
    text = admin_client.get("/admin/").content.decode()
    assert "0 of 5 done" in text
    assert text.count('href="/admin/gateway/provider/add/"') >= 1
    client.force_login(get_user_model().objects.create_user("bob", password="x", is_staff=True))
    assert "of 4 done" not in client.get("/admin/").content.decode()


def test_the_decision_about_retention_is_a_step_that_does_not_keep_the_others_on_the_page():
    assert done()[-1] is False
    Retention.objects.create(pk=Retention.ROW, body_days=90)
    assert done() == [False, False, False, False, True]
