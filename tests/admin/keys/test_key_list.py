"""The list of keys: what each cost, and how much of its budget is used."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.limits.spent import budgets_of, budgets_of_keys
from gateway.models import ClientKey, DailyTotal
from gateway.models.history.hourly_total import COST_UNIT
from tests.admin.pages import url

pytestmark = pytest.mark.django_db


def used(key, dollars, tokens=0):
    hour = int(time.time()) // 3600
    DailyTotal.objects.create(
        hour=hour - hour % 24, endpoint="messages", client_key_pk=key.pk, provider="p", upstream_model="m",
        asked_model="m", state="ok", requests=1, cost_units=int(dollars / COST_UNIT), input_tokens=tokens,
    )  # fmt: skip


def listed(client, **query):
    return client.get(url("clientkey", "changelist"), query)


def test_the_list_shows_cost_and_the_fullest_budget_and_sorts_by_cost(admin_client):
    cheap = ClientKey.issue("cheap", spend_budget=10, token_budget=1_000)[0]
    dear = ClientKey.issue("dear", spend_budget=10)[0]
    ClientKey.issue("unused")
    used(cheap, 1, tokens=900)
    used(dear, 5)
    text = listed(admin_client).content.decode()
    assert "90 %" in text and "900 of 1,000" in text
    assert "50 %" in text and "$5.00 of $10.00" in text
    column = listed(admin_client).context["cl"].list_display.index("spent_shown")
    rows = listed(admin_client, o=f"-{column}").context["cl"].result_list
    assert [row.name for row in rows] == ["dear", "cheap", "unused"]


def test_many_keys_are_asked_for_like_one(admin_client):
    counts = []
    for number in (1, 20):
        for one in range(number):
            key = ClientKey.issue(
                f"K{number} {one}", spend_budget=10, budget_period=("day", "month")[one % 2]
            )[0]
            used(key, 1)
        with CaptureQueriesContext(connection) as captured:
            listed(admin_client)
        counts.append(len(captured))
    assert counts[1] <= counts[0] + 1


def test_budgets_of_many_keys_are_those_of_each(admin_client):
    old = ClientKey.issue("old", spend_budget=10, token_budget=50, budget_period="week")[0]
    used(old, 3, tokens=7)
    new = ClientKey.issue("new", lineage=old.pk, spend_budget=10, token_budget=50, budget_period="week")[0]
    used(new, 2, tokens=5)
    other = ClientKey.issue("other", spend_budget=0, budget_period="day")[0]
    none = ClientKey.issue("none")[0]
    keys = [old, new, other, none]
    now = time.time()
    assert budgets_of_keys(keys, now) == {key.pk: budgets_of(key, now) for key in (old, new, other)}
    assert budgets_of_keys([none], now) == {}
