"""The announced ends of models: before one, at it and after it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command

from gateway.api.models_list import lifecycle
from gateway.conf import GatewayConf
from gateway.config.model_lifecycle.lifecycle import life_of, living
from gateway.config.model_lifecycle.published import published
from gateway.config.model_lifecycle.targets import ending_targets
from gateway.config.presets.presets import presets
from gateway.config.snapshot.catalogue import known_prices
from gateway.config.startup.environment import sync_environment
from gateway.config.undoing import undo
from gateway.management.start_text import provider_lines
from gateway.models import DailyOutcome, MappingTarget, ModelMapping
from gateway.watch.attention import models_that_end
from tests.records import make_mapping, make_provider

OPENAI = "https://api.openai.com/v1"
END = date(2027, 1, 14)
DAY = timedelta(days=1)
# when this was written: half a year more must be ahead of every model that is named
WRITTEN = date(2026, 11, 30)
HALF_A_YEAR = timedelta(days=183)


@pytest.mark.parametrize(
    ("today", "stage", "left", "asked"),
    [
        (END - 100 * DAY, "deprecated", 100, "gpt-4o"),
        (END - DAY, "deprecated", 1, "gpt-4o"),
        (END, "retired", 0, "gpt-6.1-sol"),
        (END + DAY, "retired", -1, "gpt-6.1-sol"),
    ],
)
def test_a_model_lives_until_the_day_of_its_end(today, stage, left, asked):
    life = life_of(OPENAI, "GPT-4o")
    assert (life.ends, life.stage(today), life.days(today)) == (END, stage, left)
    assert living(OPENAI, "gpt-4o", today) == asked


def test_the_successor_has_the_size_of_the_model():
    assert life_of(OPENAI, "gpt-4o-mini").successor == "gpt-6-luna"
    assert life_of("https://api.anthropic.com", "claude-opus-4-5").ends == date(2027, 1, 22)


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "gpt-6.1-sol"),
        ("https://example.azure.com/v1", "gpt-4o"),
        ("http://[", "gpt-4o"),
        (OPENAI, ""),
    ],
)
def test_nothing_is_said_of_other_models_and_of_providers_with_dates_of_their_own(base_url, model):
    assert life_of(base_url, model) is None


def test_the_file_holds_what_the_packages_tell():
    call_command("refreshmodels", "--check", stdout=StringIO())
    makers = published(WRITTEN)["makers"]
    assert makers["openai"]["models"]["gpt-4o"]["ends"] == "2027-01-14"
    assert makers["anthropic"]["models"]["claude-opus-4-5"]["ends"] == "2027-01-22"


def test_the_file_tells_window_cap_prices_by_tier_end_and_successor_with_their_sources():
    openai = published(WRITTEN)["makers"]["openai"]
    facts = openai["models"]["gpt-4.1"]
    assert (facts["window"], facts["output"], facts["successor"]) == (1_000_000, 32_768, "gpt-6.1-sol")
    assert facts["prices"]["standard"] == {"input": "2", "output": "8", "cache_read": "0.5"}
    assert facts["prices"]["priority"]["input"] == "3.5"
    assert openai["models"]["gpt-6.1-sol"]["prices"]["flex"]["above"]["272000"]["input"] == "2"
    assert set(openai["sources"]) == {"window", "output", "prices", "ends"}


@pytest.mark.parametrize("maker", ["openai", "anthropic"])
def test_every_price_of_the_file_is_what_the_catalogue_charges_on_its_day(maker):
    base_url = {"openai": OPENAI, "anthropic": "https://api.anthropic.com"}[maker]
    at = datetime.combine(WRITTEN, datetime.min.time(), UTC)
    for model, facts in published(WRITTEN)["makers"][maker]["models"].items():
        for tier, told in facts.get("prices", {}).items():
            price = known_prices().price(base_url, model, at, "" if tier == "standard" else tier)
            assert (price.rates.input, price.rates.output) == (
                Decimal(told["input"]),
                Decimal(told["output"]),
            )


def test_every_model_that_presets_name_lives_half_a_year_more():
    for known in presets().values():
        for model in known.default_models.values():
            life = life_of(known.base_url, model)
            assert life is None or life.ends - WRITTEN >= HALF_A_YEAR, (known.slug, model)


def environments_models():
    found = MappingTarget.objects.values_list("mapping__pattern", "upstream_model")
    return {pattern: model for pattern, model in found if model}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("today", "big", "small"),
    [
        (END - DAY, "gpt-4o", "gpt-4o-mini"),
        (END, "gpt-6.1-sol", "gpt-6-luna"),
        (END + 100 * DAY, "gpt-6.1-sol", "gpt-6-luna"),
    ],
)
def test_the_defaults_are_their_successors_from_their_end_on(today, big, small):
    conf = GatewayConf(openai_api_key="sk")
    synced = sync_environment(conf, today)
    assert environments_models() == {"*haiku*": small, "*sonnet*": big, "*opus*": big, "*": big}
    shown = "\n".join(provider_lines(synced, conf, None, today))
    assert ("gpt-4o has ended: gpt-6.1-sol, its successor, is asked instead" in shown) is (today >= END)
    assert ("gpt-4o ends on 2027-01-14" in shown) is (today < END)


@pytest.mark.django_db
def test_a_model_that_somebody_chose_stays_and_so_do_the_defaults_at_another_provider():
    sync_environment(GatewayConf(openai_api_key="sk", big_model="o1"), END)
    assert environments_models()["*"] == "o1"
    elsewhere = "https://llm.example.com/v1"
    sync_environment(GatewayConf(openai_api_key="sk", openai_base_url=elsewhere), END)
    assert environments_models()["*"] == "gpt-4o"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("left", "urgency"),
    [
        (91, None),
        (90, "hint"),
        (31, "hint"),
        (30, "warning"),
        (8, "warning"),
        (7, "problem"),
        (-3, "problem"),
    ],
)
def test_admins_are_warned_90_30_and_7_days_before_an_end(left, urgency):
    sync_environment(GatewayConf(openai_api_key="sk"), END - 200 * DAY)
    now = datetime(END.year, END.month, END.day, tzinfo=UTC) - left * DAY
    items = list(models_that_end(now))
    assert [item.urgency for item in items] == [urgency] * (4 if urgency else 0)
    assert all("gpt-6" in item.text and "/admin/gateway/modelmapping/" in item.url for item in items)


@pytest.mark.django_db
def test_targets_that_are_off_are_no_matter():
    sync_environment(GatewayConf(openai_api_key="sk"), END - DAY)
    MappingTarget.objects.update(enabled=False)
    assert ending_targets(END) == []


def test_the_models_list_says_what_is_announced():
    route = SimpleNamespace(provider=SimpleNamespace(base_url=OPENAI), upstream_model="gpt-4o")
    entry = SimpleNamespace(route=route)
    assert lifecycle(entry, END - DAY) == {"lifecycle": "deprecated", "retires_at": "2027-01-14T00:00:00Z"}
    assert lifecycle(entry, END)["lifecycle"] == "retired"
    route.upstream_model = "gpt-6.1-sol"
    assert lifecycle(entry, END) == {"lifecycle": "active", "retires_at": None}


@pytest.mark.django_db
def test_a_model_that_ends_is_found_where_the_asked_name_passes_through():
    provider = make_provider("OpenAI", "openai", base_url=OPENAI)
    made = [
        make_mapping("gpt-4o", provider, ""),
        make_mapping("openai-*", provider, "*"),
        make_mapping("big", provider, "gpt-4o"),
        make_mapping("gpt-*", provider, "gpt-*"),
    ]
    ModelMapping.objects.filter(pk=made[1].pk).update(public_names=["openai-gpt-4o"])
    day = int(datetime(END.year, END.month, END.day, tzinfo=UTC).timestamp()) // 3600 - 24 * 3
    found = [ending.target.mapping.pattern for ending in ending_targets(END)]
    assert sorted(found) == ["big", "gpt-4o", "openai-*"]
    DailyOutcome.objects.create(
        hour=day, mapping_pk=made[3].pk, mapping="gpt-*", provider="openai", upstream_model="gpt-4o"
    )
    assert "gpt-*" in [ending.target.mapping.pattern for ending in ending_targets(END)]
    assert [ending.target.mapping.pattern for ending in ending_targets(END, made[3].pk)] == ["gpt-*"]
    assert not ending_targets(END, made[3].pk)[0].can_be_replaced


@pytest.mark.django_db
def test_a_button_of_the_mapping_replaces_a_model_that_ends_by_its_successor(admin_client, monkeypatch):
    provider = make_provider("OpenAI", "openai", base_url=OPENAI)
    mapping = make_mapping("big", provider, "gpt-4o")
    monkeypatch.setattr("gateway.admin.mappings.model_mappings._today", lambda: END - 20 * DAY)
    page = admin_client.get(f"/admin/gateway/modelmapping/{mapping.pk}/change/").content.decode()
    successor = life_of(OPENAI, "gpt-4o").successor
    assert "gpt-4o ends on 2027-01-14" in page and f"Replace it by {successor}" in page
    target = mapping.targets.get()
    where = f"/admin/gateway/modelmapping/{mapping.pk}/successor/"
    answer = admin_client.post(where, {"target": target.pk, "model": "another"}, follow=True)
    assert "Nothing was done." in answer.content.decode()
    answer = admin_client.post(where, {"target": target.pk, "model": "gpt-4o"}, follow=True)
    assert f"{successor} replaces gpt-4o" in answer.content.decode()
    target.refresh_from_db()
    assert target.upstream_model == successor
    undo(LogEntry.objects.order_by("pk").last())
    target.refresh_from_db()
    assert target.upstream_model == "gpt-4o"


@pytest.mark.django_db
def test_nobody_without_the_right_replaces_a_model(client, django_user_model):
    provider = make_provider("OpenAI", "openai", base_url=OPENAI)
    mapping = make_mapping("big", provider, "gpt-4o")
    reader = django_user_model.objects.create_user("reader", password="x", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_modelmapping"))
    client.force_login(reader)
    where = f"/admin/gateway/modelmapping/{mapping.pk}/successor/"
    facts = {"target": mapping.targets.get().pk, "model": "gpt-4o"}
    assert client.post(where, facts).status_code == 403
    assert mapping.targets.get().upstream_model == "gpt-4o"
