"""The environment's records, variable by variable."""

import dataclasses

import pytest

from gateway.conf import GatewayConf
from gateway.config.presets.recognise import azure_deployment
from gateway.config.snapshot.loader import load
from gateway.config.startup.environment import sync_environment, take_over_mapping, take_over_provider
from gateway.history.record.rows import write
from gateway.models import (
    ClientKey,
    ConfigStamp,
    LegalHold,
    MappingTarget,
    ModelMapping,
    Origin,
    Provider,
    RequestLog,
)
from gateway.routing.allowed_models import visible_models
from gateway.routing.resolve import resolve
from gateway.security import client_keys
from tests.history.record.test_recorder import outcome
from tests.records import make_mapping

pytestmark = pytest.mark.django_db

CONF = GatewayConf(openai_api_key="sk-1", big_model="big", middle_model="middle", small_model="small")
EMPTY = GatewayConf()


def changed(**values):
    return dataclasses.replace(CONF, **values)


def upstream(conf, asked):
    return resolve(load(conf), asked).route.upstream_model


def config(conf):
    return next(iter(load(conf).providers.values()))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("claude-3-5-haiku-20241022", "small"),
        ("Claude-HAIKU-4", "small"),
        ("claude-sonnet-5-5", "middle"),
        ("claude-opus-5-5[1m]", "big"),
        ("claude-fable-1", "big"),
        ("anything", "big"),
        *(
            (f"{start}x", f"{start}x")
            for start in ("gpt-", "o1-", "o3-", "o4-", "ep-", "doubao-", "deepseek-")
        ),
        ("gpt-4o-haiku", "gpt-4o-haiku"),
        ("my-gpt-4o", "big"),
    ],
)
def test_the_original_s_mapping_rule(asked, expected):
    sync_environment(CONF)
    assert upstream(CONF, asked) == expected


def test_openai_api_key_alone_is_openai_with_its_options():
    sync_environment(CONF)
    found = config(CONF)
    assert (found.slug, found.base_url, found.auth) == ("openai", "https://api.openai.com/v1", "bearer")
    assert [c.value for c in found.credentials] == ["sk-1"]
    assert found.protocol == "responses"
    profile = resolve(load(CONF), "gpt-5-mini").route.profile
    assert (profile.protocol, profile.efforts) == ("responses", ("low", "medium", "high"))


def test_openai_base_url_names_another_server():
    conf = changed(openai_base_url="http://localhost:11434/v1", openai_api_key="")
    sync_environment(conf)
    found = config(conf)
    assert (found.slug, found.auth, found.credentials) == ("ollama", "none", ())


def test_an_empty_base_url_is_the_usual_one():
    sync_environment(changed(openai_base_url=""))
    assert Provider.objects.get().base_url == "https://api.openai.com/v1"
    assert sync_environment(GatewayConf(openai_base_url="")).provider is None


def test_a_changed_base_url_changes_the_same_record():
    sync_environment(CONF)
    [before] = Provider.objects.values_list("pk", flat=True)
    sync_environment(changed(openai_base_url="https://llm.example.com/v1"))
    [after] = Provider.objects.all()
    assert (after.pk, after.slug, after.name) == (before, "llm-example-com", "llm.example.com")


def test_azure_api_version_with_a_deployment_url():
    conf = changed(
        openai_base_url="https://r.openai.azure.com/openai/deployments/d",
        azure_api_version="2025-01-01-preview",
    )
    sync_environment(conf)
    found = config(conf)
    assert (found.slug, found.auth, dict(found.query)) == (
        "azure",
        "api-key",
        {"api-version": "2025-01-01-preview"},
    )
    assert found.base_url == "https://r.openai.azure.com/openai/deployments/d"


def test_azure_s_v1_url():
    conf = changed(openai_base_url="https://r.openai.azure.com/openai/v1")
    sync_environment(conf)
    assert (config(conf).auth, dict(config(conf).query)) == ("api-key", {})


def test_max_and_min_tokens_limit_are_caps_of_every_mapping():
    conf = changed(max_tokens_limit=4096, min_tokens_limit=100)
    sync_environment(conf)
    for asked in ("claude-haiku", "gpt-4o", "other"):
        profile = resolve(load(conf), asked).route.profile
        assert (profile.max_output_tokens, profile.min_output_tokens) == (4096, 100)
    sync_environment(CONF)
    assert resolve(load(CONF), "other").route.profile.max_output_tokens is None


def test_request_timeout_is_the_longest_silence_before_and_in_the_answer():
    conf = changed(request_timeout=12.5)
    sync_environment(conf)
    assert (config(conf).silence_timeout, config(conf).first_byte_timeout) == (12.5, 12.5)


def test_max_retries_is_the_provider_s():
    conf = changed(max_retries=7)
    sync_environment(conf)
    assert config(conf).max_retries == 7


def test_custom_headers_go_to_the_provider_and_are_not_stored():
    conf = changed(custom_headers={"X-API-KEY": "hush"})
    sync_environment(conf)
    assert config(conf).headers == {"X-API-KEY": "hush"}
    assert not Provider.objects.get().headers


def test_the_key_of_the_environment_is_not_stored():
    sync_environment(CONF)
    assert not Provider.objects.get().credentials.get().value


def test_the_model_list_has_names_that_claude_code_shows():
    sync_environment(CONF)
    names = [entry.id for entry in visible_models(load(CONF), None)]
    assert sorted(names) == ["claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-5-5"]
    assert upstream(CONF, "claude-sonnet-5-5") == "middle"


def test_a_second_start_changes_nothing_not_even_the_stamp():
    conf = changed(anthropic_api_key="shared-secret-of-the-team")
    sync_environment(conf)
    before = ConfigStamp.current(), list(Provider.objects.values()), list(ModelMapping.objects.values())
    sync_environment(conf)
    assert (
        ConfigStamp.current(),
        list(Provider.objects.values()),
        list(ModelMapping.objects.values()),
    ) == before


def test_a_second_start_of_the_demo_changes_nothing_either():
    sync_environment(EMPTY)
    before = ConfigStamp.current()
    sync_environment(EMPTY)
    assert ConfigStamp.current() == before


def test_changed_models_are_kept_in_step():
    sync_environment(CONF)
    count = ModelMapping.objects.count()
    sync_environment(changed(big_model="bigger"))
    assert upstream(CONF, "claude-opus") == "bigger"
    assert ModelMapping.objects.count() == count


def test_an_admin_s_rule_comes_before_the_environment_s():
    sync_environment(CONF)
    own = Provider.objects.create(name="Own", slug="own", base_url="http://own/v1")
    make_mapping("*opus*", own, "mine")
    assert upstream(CONF, "claude-opus") == "mine"


def test_an_admin_s_provider_of_the_same_slug_is_left_alone():
    Provider.objects.create(name="Own", slug="openai", base_url="http://own/v1")
    sync_environment(CONF)
    assert set(Provider.objects.values_list("slug", flat=True)) == {"openai", "openai-env"}
    sync_environment(CONF)
    assert Provider.objects.count() == 2


# --- the environment names no provider any more ---------------------------------


def test_records_go_when_the_environment_names_no_provider_and_the_demo_comes():
    sync_environment(CONF)
    synced = sync_environment(EMPTY)
    assert (synced.provider, synced.demo_only) == (None, True)
    assert list(Provider.objects.values_list("slug", "origin")) == [("demo", Origin.DEMO)]
    route = resolve(load(EMPTY), "claude-opus-5-5").route
    assert route.provider.demo


def test_the_demo_goes_when_the_environment_names_a_provider():
    sync_environment(EMPTY)
    synced = sync_environment(CONF)
    assert synced.demo_only is False
    assert not Provider.objects.filter(origin=Origin.DEMO).exists()
    assert not ModelMapping.objects.filter(origin=Origin.DEMO).exists()


def test_the_demo_goes_when_an_admin_has_made_a_real_mapping():
    sync_environment(EMPTY)
    own = Provider.objects.create(name="Own", slug="own", base_url="http://own/v1")
    assert sync_environment(EMPTY).demo_only is True
    make_mapping("*", own)
    assert sync_environment(EMPTY).demo_only is False
    assert list(Provider.objects.values_list("slug", flat=True)) == ["own"]


def test_a_disabled_provider_does_not_count_as_real():
    own = Provider.objects.create(name="Own", slug="own", base_url="http://own/v1", enabled=False)
    make_mapping("*", own)
    assert sync_environment(EMPTY).demo_only is True


def test_a_demo_that_an_admin_switched_off_stays_off():
    sync_environment(EMPTY)
    Provider.objects.update(enabled=False)
    sync_environment(EMPTY)
    assert list(Provider.objects.values_list("enabled", flat=True)) == [False]


def test_an_admin_s_mapping_to_the_environment_s_provider_keeps_it_but_disabled():
    sync_environment(CONF)
    provider = Provider.objects.get()
    make_mapping("mine", provider)
    sync_environment(EMPTY)
    provider.refresh_from_db()
    assert provider.enabled is False
    sync_environment(CONF)
    provider.refresh_from_db()
    assert provider.enabled is True


# --- an admin takes over ---------------------------------------------------------


def test_a_provider_taken_over_keeps_working_without_the_environment():
    conf = changed(custom_headers={"X-H": "hush"})
    sync_environment(conf)
    assert take_over_provider(Provider.objects.get(), conf) == ModelMapping.objects.count()
    sync_environment(EMPTY)
    found = load(EMPTY).providers["openai"]
    assert ([c.value for c in found.credentials], dict(found.headers)) == (["sk-1"], {"X-H": "hush"})
    assert upstream(EMPTY, "claude-opus") == "big"


def test_what_was_taken_over_is_not_touched_and_not_made_again():
    sync_environment(CONF)
    provider = Provider.objects.get()
    take_over_provider(provider, CONF)
    Provider.objects.update(name="Mine", slug="mine")
    MappingTarget.objects.filter(mapping__pattern="*opus*").update(upstream_model="mine")
    ModelMapping.objects.filter(pattern="*opus*").update(pattern="opus*")
    ModelMapping.objects.filter(pattern="*").delete()
    before = list(Provider.objects.values()), list(ModelMapping.objects.values())
    synced = sync_environment(changed(big_model="other", openai_base_url="http://x/v1"))
    assert (list(Provider.objects.values()), list(ModelMapping.objects.values())) == before
    assert synced.taken_over


def test_one_mapping_taken_over_is_left_while_the_others_stay_in_step():
    sync_environment(CONF)
    take_over_mapping(ModelMapping.objects.get(pattern="*opus*"))
    sync_environment(changed(big_model="bigger", small_model="smaller"))
    assert upstream(CONF, "claude-opus") == "big"
    assert upstream(CONF, "claude-haiku") == "smaller"
    assert ModelMapping.objects.filter(environment_key="*opus*").count() == 1


# --- ANTHROPIC_API_KEY -------------------------------------------------------------

KEYED = changed(anthropic_api_key="shared-secret-of-the-team")


def test_anthropic_api_key_becomes_a_client_key_of_which_only_the_digest_is_kept():
    sync_environment(KEYED)
    record = ClientKey.objects.get()
    assert (record.origin, record.name) == (Origin.ENVIRONMENT, "ANTHROPIC_API_KEY")
    assert record.digest == client_keys.digest("shared-secret-of-the-team")
    assert "shared-secret" not in str(vars(record))
    assert load(KEYED).anonymous_allowed is False


def test_another_key_in_the_environment_replaces_the_digest_of_the_same_record():
    sync_environment(KEYED)
    record = ClientKey.objects.get()
    record.revoke()
    sync_environment(changed(anthropic_api_key="another"))
    record.refresh_from_db()
    assert record.digest == client_keys.digest("another")
    assert record.state() == "active"
    assert ClientKey.objects.count() == 1


def test_a_key_revoked_by_an_admin_stays_revoked():
    sync_environment(KEYED)
    ClientKey.objects.get().revoke()
    sync_environment(KEYED)
    assert ClientKey.objects.get().state() == "revoked"


def test_without_the_variable_the_key_goes_and_any_key_is_accepted_again():
    sync_environment(KEYED)
    sync_environment(CONF)
    assert not ClientKey.objects.exists()
    assert load(CONF).anonymous_allowed is True


def used_key():
    sync_environment(KEYED)
    key = ClientKey.objects.get()
    write([outcome(1, client_key_id=key.pk)])
    return key


def test_a_key_that_was_used_stays_revoked_without_the_variable_and_comes_back_with_it():
    key = used_key()
    sync_environment(CONF)
    assert ClientKey.objects.get().state() == "revoked"
    assert RequestLog.objects.get().client_key_id == key.pk
    assert load(CONF).anonymous_allowed is True
    sync_environment(CONF)
    sync_environment(KEYED)
    assert ClientKey.objects.get().state() == "active"
    assert ClientKey.objects.get().digest == key.digest


def test_a_key_that_an_admin_revoked_does_not_come_back_with_the_variable():
    used_key().revoke()
    sync_environment(CONF)
    sync_environment(KEYED)
    assert ClientKey.objects.get().state() == "revoked"


@pytest.mark.parametrize("also_an_admin_s", [False, True])
def test_a_hold_on_the_environment_s_key_does_not_stop_the_start(also_an_admin_s):
    sync_environment(KEYED)
    key = ClientKey.objects.get()
    LegalHold.objects.create(client_key=key, reason="r")
    _record, secret = ClientKey.issue("Ann")
    sync_environment(changed(anthropic_api_key=secret) if also_an_admin_s else CONF)
    key.refresh_from_db()
    assert key.state() == "revoked"
    assert load(CONF).keys.get(key.digest) is None


def test_an_issued_key_in_the_environment_stays_the_admin_s():
    record, key = ClientKey.issue("Ann")
    sync_environment(changed(anthropic_api_key=key))
    assert ClientKey.objects.get() == record
    assert ClientKey.objects.get().origin == Origin.ADMIN


# --- OPENAI_API_KEY as a credential ------------------------------------------------------


def test_the_environment_s_credential_is_a_record_without_a_value():
    sync_environment(CONF)
    record = Provider.objects.get().credentials.get()
    assert (record.origin, bool(record.value), record.shown_label) == (
        Origin.ENVIRONMENT,
        False,
        "OPENAI_API_KEY",
    )
    assert [c.value for c in load(CONF).providers["openai"].credentials] == ["sk-1"]


def test_a_credential_of_the_environment_that_was_set_aside_is_back_after_a_start():
    sync_environment(CONF)
    Provider.objects.get().credentials.get().set_aside(401, "refused")
    sync_environment(CONF)
    assert load(CONF).providers["openai"].credentials[0].set_aside is None


def test_the_record_goes_with_the_variable():
    sync_environment(changed(openai_base_url="http://x/v1"))
    sync_environment(changed(openai_base_url="http://x/v1", openai_api_key=""))
    assert not Provider.objects.get().credentials.exists()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "house-model"), ({"big_model": "gpt-5"}, "gpt-5")],
    ids=["default", "chosen"],
)
def test_the_deployment_in_an_azure_url_stands_for_models_that_nobody_chose(chosen, expected):
    url = "https://r.openai.azure.com/openai/deployments/house-model"
    conf = GatewayConf(openai_api_key="sk-1", openai_base_url=url, **chosen)
    sync_environment(conf)
    assert upstream(conf, "claude-opus-4-6") == expected
    assert upstream(conf, "claude-haiku-4-5") == "house-model"


@pytest.mark.parametrize(
    ("url", "deployment"),
    [
        ("https://r.openai.azure.com/openai/deployments/a%20b/", "a b"),
        ("https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "d"),
        ("https://r.openai.azure.com/openai/deployments", ""),
        ("https://r.openai.azure.com/openai/v1", ""),
        ("https://else.example/deployments/d", ""),
        ("https://[.azure.com/openai/deployments/d", ""),
        ("", ""),
    ],
)
def test_only_an_azure_url_names_a_deployment(url, deployment):
    assert azure_deployment(url) == deployment
