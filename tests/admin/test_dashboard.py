"""The dashboard as a person sees it."""

import dataclasses
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from django.utils.translation import override

from gateway.history.record.rows import write
from gateway.models import ClientKey, DailyTotal, Provider
from gateway.templatetags.gateway_dashboard import seconds, short
from gateway.watch import attention
from tests.history.record.test_recorder import outcome

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(admin_client):
    return lambda query="": admin_client.get(f"/admin/{query}").content.decode()


def lately(number, **fields):
    return outcome(number, started_at=timezone.now(), provider="acme", upstream_model="u-1", **fields)


def test_an_empty_history_says_how_to_get_the_first_request(page):
    assert "No requests yet" in page()
    assert "ANTHROPIC_BASE_URL" in page()


def test_numbers_charts_and_tables_are_shown_and_said_in_words(page):
    write([lately(1, first_byte_ms=900, input_tokens=1000), lately(2, state="error")])
    text = page("?range=7d")
    assert 'aria-label="Requests, up to 2.' in text
    assert '<td data-v="1">1</td><td data-v="1">1</td>' in text
    assert "u-1" in text and "acme" in text
    assert 'aria-current="page">last 7 days' in text


def test_the_health_of_a_provider_is_shown_by_the_hour_in_words_too(page):
    write([lately(number, state="error" if number else "ok") for number in range(4)])
    text = page()
    assert 'aria-label="acme: failing now: 75.0 % at' in text
    assert "3 of 4 requests failed (75.0 %)" in text
    assert text.count("gw-is-none") == 24


def test_a_range_that_does_not_exist_is_the_usual_one(page):
    write([lately(1)])
    assert 'aria-current="page">last 24 hours' in page("?range=%3Cscript%3E")


def test_names_from_clients_are_inert(page):
    write([lately(1, asked_model="<script>alert(1)</script>", state="ok") for _ in range(1)])
    write([outcome(5, started_at=timezone.now(), asked_model="<script>x</script>")])
    assert "<script>x" not in page()


def test_who_may_not_see_totals_sees_none(client, django_user_model):
    write([lately(1)])
    user = django_user_model.objects.create_user("m", password="p", is_staff=True)
    client.force_login(user)
    assert "gw-tiles" not in client.get("/admin/").content.decode()
    user.user_permissions.add(Permission.objects.get(codename="view_hourlytotal"))
    client.force_login(django_user_model.objects.get(pk=user.pk))
    assert "gw-tiles" in client.get("/admin/").content.decode()


def test_what_needs_attention_is_listed_with_the_urgent_first(monkeypatch, tmp_path):
    now = timezone.now()
    conf = dataclasses.replace(attention.gateway_conf(), spool_folder=tmp_path, allow_anonymous=True)
    monkeypatch.setattr(attention, "gateway_conf", lambda: conf)
    (tmp_path / "1-000001.spool").write_text("{}")
    provider = Provider.objects.create(name="Acme", slug="acme", base_url="https://acme.test/v1")
    provider.add_credential("", "main").set_aside(402, "no money left")
    ClientKey.issue("soon", expires_at=now + timedelta(days=2))
    write([lately(n, state="error", attempts=1) for n in range(6)] + [lately(9, attempts=1)])
    items = attention.items(now)
    text = "\n".join(item.text for item in items)
    assert "acme fails: 6 of 7 requests" in text
    assert "no money left" in text
    assert "1 spool files" in text
    assert "without a client key" in text
    assert "u-1 of acme has no price" in text
    assert "soon" in text
    assert [item.urgency for item in items] == sorted(
        (item.urgency for item in items), key=["problem", "warning", "hint"].index
    )


def test_a_quiet_gateway_needs_no_attention(monkeypatch, tmp_path):
    conf = dataclasses.replace(attention.gateway_conf(), spool_folder=tmp_path, allow_anonymous=False)
    monkeypatch.setattr(attention, "gateway_conf", lambda: conf)
    ClientKey.issue("k")
    assert attention.items(timezone.now()) == []


def test_a_key_with_little_left_of_its_budget_needs_attention(db):
    key, _ = ClientKey.issue("team", token_budget=1000, budget_period="day")
    now = timezone.now()
    DailyTotal.objects.create(
        hour=int(now.timestamp()) // 86400 * 24,
        endpoint="messages",
        client_key_pk=key.pk,
        state="ok",
        input_tokens=850,
    )
    (item,) = attention.budgets_nearly_used(now)
    assert "85 %" in item.text and item.urgency == "warning"
    assert item.url.endswith(f"/clientkey/{key.pk}/change/")


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [(950, "950", "950"), (1234, "1.2 k", "1234"), (12_345, "12.3 k", "1.2 万"),
     (450_000_000, "450.0 M", "4.5 亿"), (7_000_000_000, "7.0 G", "70.0 亿")],
)  # fmt: skip
def test_large_numbers_are_short_in_the_way_of_the_language(number, english, chinese):
    assert short(number) == english
    with override("zh-hans"):
        assert short(number) == chinese


def test_durations_name_their_unit_in_the_language_of_the_reader():
    assert seconds(1234.5) == "1.23 s"
    with override("zh-hans"):
        assert seconds(1234.5) == "1.23 秒"


def test_an_hour_is_shown_by_minutes(page):
    write([lately(1, first_byte_ms=900)])
    text = page("?range=1h")
    assert "by minutes" in text and text.count("gw-is-none") >= 58


@pytest.mark.parametrize("first", ["0001-01-01", "0900-01-01", "1970-01-01", "2010-01-01"])
def test_a_span_of_many_years_is_a_small_page(page, first):
    now = timezone.now()
    write([lately(1), outcome(2, started_at=now - timedelta(days=1200), provider="acme")])
    text = page(f"?range={first}..{now:%Y-%m-%d}&compare=1")
    # a bar a week from the first that is counted, whatever the year
    assert text.count("gw-is-none") in (171, 170)
    assert len(text) < 1_500_000


def test_links_of_the_numbers_lead_to_the_same_time(page):
    write([lately(1)])
    assert "?provider=acme&amp;range=7d" in page("?range=7d")
    assert "?upstream_model=u-1&amp;range=7d" in page("?range=7d")
