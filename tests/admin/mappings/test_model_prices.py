"""Prices in admin."""

from datetime import UTC, datetime

import pytest

from gateway.admin.mappings import model_prices
from gateway.models import ModelPrice, RequestLog
from tests.admin.pages import errors, form_data, url

pytestmark = pytest.mark.django_db
LIST = "/admin/gateway/modelprice/"


@pytest.fixture
def request_row(provider):
    return RequestLog.objects.create(
        request_id="req_1", started_at=datetime(2026, 11, 1, tzinfo=UTC), state="ok", provider="main",
        upstream_model="m-1", attempts=1, input_tokens=1_000_000, output_tokens=0,
    )  # fmt: skip


def add(admin_client, **fields):
    page = url("modelprice", "add")
    data = form_data(
        admin_client.get(page), **{"model": "m-1", "input": "2", "output": "8", "tiers": "[]", **fields}
    )
    return admin_client.post(page, data)


def test_a_price_is_entered_with_a_form(admin_client):
    add(admin_client, tiers='[{"above": 200000, "input": 4}]')
    record = ModelPrice.objects.get()
    assert (record.input, record.request, record.tiers) == (2, 0, [{"above": 200000, "input": 4}])


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ('{"above": 1}', "Enter a list of objects"),
        ('[{"input": 1}]', "a whole number of tokens"),
        ('[{"above": 1, "reading": 1}]', "reading is no rate"),
        ('[{"above": 1, "input": "x"}]', "input must be a number"),
    ],
)
def test_wrong_tiers_are_told_in_a_sentence(admin_client, tiers, words):
    assert words in str(errors(add(admin_client, tiers=tiers)))


def test_the_action_computes_the_costs_of_the_requests_that_the_price_is_about(admin_client, request_row):
    price = ModelPrice.objects.create(model="m-*", input=2, output=8)
    data = {"action": "recompute_costs", "_selected_action": [price.pk]}
    said = admin_client.post(LIST, data, follow=True).content.decode()
    assert "1 request has a new cost; 0.0000 became 2.0000 US dollars" in said
    request_row.refresh_from_db()
    assert request_row.cost == 2


def test_too_many_requests_for_a_page_are_left_to_the_command(admin_client, request_row, monkeypatch):
    monkeypatch.setattr(model_prices, "MOST_IN_A_PAGE", 0)
    price = ModelPrice.objects.create(model="m-*", input=2, output=8)
    data = {"action": "recompute_costs", "_selected_action": [price.pk]}
    assert "manage.py recomputecosts" in admin_client.post(LIST, data, follow=True).content.decode()
    request_row.refresh_from_db()
    assert request_row.cost is None


def test_the_history_shows_what_is_unpriced_and_computes_it_again(admin_client, request_row):
    history = "/admin/gateway/requestlog/"
    assert "unpriced" in admin_client.get(history).content.decode()
    ModelPrice.objects.create(model="m-1", input=2, output=8)
    data = {"action": "recompute_costs", "_selected_action": [request_row.pk]}
    shown = admin_client.post(history, data, follow=True).content.decode()
    assert '<span class="gw-unit">$</span>2.00' in shown
    assert "unpriced" not in shown


def test_an_estimated_cost_is_marked(admin_client, request_row):
    RequestLog.objects.update(cost="0.5", usage_estimated=True)
    shown = admin_client.get("/admin/gateway/requestlog/").content.decode()
    assert '≈\u202f<span class="gw-num"><span class="gw-unit">$</span>0.5000' in shown


def test_who_may_only_look_at_the_history_cannot_change_its_costs(clerk, request_row):
    ModelPrice.objects.create(model="m-1", input=2, output=8)
    client = clerk("view_requestlog")
    client.post(
        "/admin/gateway/requestlog/",
        {"action": "recompute_costs", "_selected_action": [request_row.pk]},
    )
    request_row.refresh_from_db()
    assert request_row.cost is None
