import json
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.utils import timezone

from gateway.conf import GatewayConf
from gateway.config.change_entries import said_of
from gateway.config.startup import environment as adopt_env_records
from gateway.config.startup.environment import sync_environment
from gateway.history.record.rows import write
from gateway.models import (
    ModelMapping,
    Origin,
    Problem,
    Provider,
    ProviderCredential,
    Sealed,
    SetAsideTarget,
)
from tests.admin.conftest import CREDENTIAL
from tests.admin.pages import errors, form_data, inline_errors, url
from tests.history.record.test_recorder import outcome
from tests.records import make_provider

HOSTILE = "<script>alert(1)</script>"
ENVIRONMENT = GatewayConf(
    openai_api_key="sk-from-the-environment-1234", custom_headers={"X-ENV": "env-secret"}
)


@pytest.fixture
def environment(db, monkeypatch):
    for module in (
        "gateway.admin.providers.provider_credentials",
        "gateway.admin.providers.provider_admin",
        "gateway.config.startup.environment",
    ):
        monkeypatch.setattr(f"{module}.gateway_conf", lambda: ENVIRONMENT)
    sync_environment(ENVIRONMENT)
    return Provider.objects.get()


def edit(admin_client, provider, **changes):
    page = admin_client.get(url("provider", "change", provider.pk))
    return admin_client.post(url("provider", "change", provider.pk), form_data(page, **changes))


def add(admin_client, **values):
    data = {
        "name": "New",
        "slug": "new",
        "preset": "openai-chat",
        "enabled": "on",
        "connect_timeout": "10",
        "max_retries": "2",
        "credentials-TOTAL_FORMS": "1",
        "credentials-INITIAL_FORMS": "0",
        "credentials-0-position": "0",
        "credentials-0-enabled": "on",
        "credentials-0-value": values.pop("credential", ""),
    }
    return admin_client.post(url("provider", "add"), {**data, **values})


def credential(provider):
    return provider.credentials.get().revealed()


def everything_stored():
    """What the pages left behind: the admin's log, sessions."""
    return str(list(LogEntry.objects.values())) + str([s.get_decoded() for s in Session.objects.all()])


def test_a_preset_fills_what_is_left_empty(admin_client):
    assert add(admin_client, credential=CREDENTIAL).status_code == 302
    provider = Provider.objects.get()
    assert (provider.base_url, provider.auth) == ("https://api.openai.com/v1", "bearer")
    assert credential(provider) == CREDENTIAL
    assert provider.origin == Origin.ADMIN


def test_a_preset_with_a_place_in_its_url_asks_for_the_url_with_an_example(admin_client):
    response = add(admin_client, preset="azure-v1")
    assert "needs a base URL, like https://{resource}.openai.azure.com" in str(errors(response))


def test_azure_s_preset_brings_its_authentication_and_query(admin_client):
    add(admin_client, preset="azure-deployment", base_url="https://r.openai.azure.com/openai/deployments/d")
    provider = Provider.objects.get()
    assert (provider.auth, provider.query) == ("api-key", {"api-version": "2025-04-01-preview"})


def test_no_page_shows_the_credential_or_a_header_s_value(admin_client, provider):
    for page in (url("provider", "changelist"), url("provider", "change", provider.pk)):
        text = admin_client.get(page).content.decode()
        assert "very-secret" not in text
        assert "header-secret" not in text
        assert provider.credentials.get().value.token not in text


def test_the_form_says_how_the_stored_credential_ends(admin_client, provider):
    text = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    assert "set, ends in WXYZ" in text


def test_a_short_credential_shows_nothing_of_itself(admin_client, provider):
    ProviderCredential.objects.update(value="short-abcd")
    assert b"abcd" not in admin_client.get(url("provider", "change", provider.pk)).content


def test_the_page_says_what_the_preset_needs(admin_client, provider):
    Provider.objects.update(preset="ollama")
    text = admin_client.get(url("provider", "change", provider.pk)).content.decode()
    # the page's script shows it, for the preset that is chosen
    known = json.loads(re.search(r'id="gw-presets"[^>]*>(.*?)</script>', text)[1])["ollama"]
    assert "OLLAMA_CONTEXT_LENGTH" in known["note"]
    assert known["docs"].startswith("https://docs.ollama.com")


def test_an_empty_credential_keeps_the_stored_one_and_is_no_change(admin_client, provider):
    assert edit(admin_client, provider, name="Renamed").status_code == 302
    provider.refresh_from_db()
    assert provider.name == "Renamed"
    assert credential(provider) == CREDENTIAL
    assert "credential" not in LogEntry.objects.latest("pk").change_message.lower()
    assert "header" not in LogEntry.objects.latest("pk").change_message.lower()


def test_a_new_credential_replaces_the_old_one_and_is_logged_by_name_alone(admin_client, provider):
    edit(admin_client, provider, **{"credentials-0-value": "sk-another-secret-value"})
    provider.refresh_from_db()
    assert credential(provider) == "sk-another-secret-value"
    assert "redential" in LogEntry.objects.latest("pk").change_message
    assert "another-secret" not in everything_stored()


def test_a_credential_can_be_removed(admin_client, provider):
    edit(admin_client, provider, **{"credentials-0-DELETE": "on"})
    assert not provider.credentials.exists()


def test_a_second_credential_is_added_behind_the_first(admin_client, provider):
    second = {
        "credentials-TOTAL_FORMS": 2,
        "credentials-1-value": "sk-second",
        "credentials-1-label": "spare",
        "credentials-1-position": 1,
        "credentials-1-enabled": "on",
    }
    assert edit(admin_client, provider, **second).status_code == 302
    assert [record.revealed() for record in provider.credentials.all()] == [CREDENTIAL, "sk-second"]


def test_a_label_without_a_credential_is_refused(admin_client, provider):
    second = {"credentials-TOTAL_FORMS": 2, "credentials-1-label": "spare", "credentials-1-position": 1}
    assert "Enter the credential." in str(inline_errors(edit(admin_client, provider, **second)))


def test_the_page_says_that_a_credential_is_set_aside_and_why(admin_client, provider):
    provider.credentials.get().set_aside(401, "the provider refused it: <b>no</b>")
    for page in (url("provider", "changelist"), url("provider", "change", provider.pk)):
        text = admin_client.get(page).content.decode()
        assert "set aside since" in text
        assert "refused it: &lt;b&gt;no" in text


def test_a_credential_comes_back_in_no_error_page(admin_client, provider):
    response = edit(admin_client, provider, name="", **{"credentials-0-value": "sk-typed-now-secret"})
    assert errors(response)
    assert b"typed-now" not in response.content


def test_a_masked_header_is_kept_and_new_ones_are_added(admin_client, provider):
    page = admin_client.get(url("provider", "change", provider.pk))
    shown = page.context["adminform"].form["headers"].value()
    assert shown.startswith("X-Team-Token: •")
    edit(admin_client, provider, headers=f"{shown}\r\nX-New: value: with colon")
    provider.refresh_from_db()
    assert provider.revealed_headers() == {"X-Team-Token": "header-secret", "X-New": "value: with colon"}


def test_a_header_line_that_is_gone_is_removed(admin_client, provider):
    edit(admin_client, provider, headers="")
    provider.refresh_from_db()
    assert provider.revealed_headers() == {}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("no colon", "Write each header as Name: value"),
        ("Bad Name: x", "Write each header as Name: value"),
        ("Content-Length: 5", "is set by the gateway itself"),
        ("X-New: ••••••••", "has no stored value"),
        ("X-New: naïve", "cannot carry"),
    ],
)
def test_a_wrong_header_is_said(admin_client, provider, headers, said):
    response = edit(admin_client, provider, headers=headers)
    assert said in str(errors(response)["headers"])
    assert b"header-secret" not in response.content


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('{"stopp": "local"}', "Did you mean stop?"),
        ('{"stop": "never"}', "use native, local or drop"),
        ('{"stop": ', "This is not JSON: Expecting value in line 1"),
        ("[1]", "Profile options are a JSON object"),
    ],
)
def test_wrong_options_are_said_in_sentences(admin_client, provider, options, said):
    assert said in str(errors(edit(admin_client, provider, options=options))["options"].data)


def test_right_options_are_kept_and_an_empty_box_is_none(admin_client, provider):
    edit(admin_client, provider, options='{"stop": "native"}')
    provider.refresh_from_db()
    assert provider.options == {"stop": "native"}
    edit(admin_client, provider, options="")
    provider.refresh_from_db()
    assert provider.options == {}


def test_without_an_encryption_key_the_form_says_so_instead_of_failing(admin_client, monkeypatch):
    monkeypatch.setattr("gateway.models.base.gateway_conf", lambda: GatewayConf())
    response = add(admin_client, credential=CREDENTIAL)
    assert "FIELD_ENCRYPTION_KEYS is empty" in str(inline_errors(response))
    assert b"very-secret" not in response.content


def test_a_credential_that_no_key_opens_is_said_and_can_be_entered_again(admin_client, provider):
    Provider.objects.update(headers=Sealed("gibberish"))
    ProviderCredential.objects.update(value=Sealed("gibberish"))
    assert (
        b"no key in FIELD_ENCRYPTION_KEYS opens it" in admin_client.get(url("provider", "changelist")).content
    )
    edit(admin_client, provider, headers="X-A: b", **{"credentials-0-value": CREDENTIAL})
    provider.refresh_from_db()
    assert credential(provider) == CREDENTIAL
    assert provider.revealed_headers() == {"X-A": "b"}


def test_saving_a_provider_without_a_mapping_says_what_is_next(admin_client):
    response = add(admin_client, credential=CREDENTIAL)
    [message] = [str(m) for m in get_messages(response.wsgi_request) if "mapping" in str(m)]
    assert "No mapping leads to New yet" in message


def test_hostile_text_is_shown_as_text(admin_client, provider):
    Provider.objects.update(name=HOSTILE)
    for page in (url("provider", "changelist"), url("provider", "change", provider.pk)):
        text = admin_client.get(page).content.decode()
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text


def test_a_provider_with_mappings_is_not_deleted(admin_client, mapping):
    admin_client.post(url("provider", "delete", mapping.targets.get().provider_id), {"post": "yes"})
    assert Provider.objects.exists()


# --- records of the environment and the demo --------------------------------------


def test_the_environment_s_provider_is_read_only_with_that_remark(admin_client, environment):
    page = admin_client.get(url("provider", "change", environment.pk))
    text = page.content.decode()
    assert "kept in step with the environment (.env)" in text
    assert "from the environment (OPENAI_API_KEY)" in text
    assert "X-ENV (from CUSTOM_HEADER_*)" in text
    assert 'name="_save"' not in text
    assert "env-secret" not in text
    assert "sk-from-the" not in text
    response = admin_client.post(url("provider", "change", environment.pk), {"name": "x"})
    assert response.status_code == 403
    assert admin_client.post(url("provider", "delete", environment.pk), {"post": "yes"}).status_code == 403


def test_taking_over_copies_the_secrets_and_makes_the_records_the_admin_s(admin_client, environment):
    response = admin_client.post(url("provider", "take_over", environment.pk), follow=True)
    environment.refresh_from_db()
    assert environment.origin == Origin.ADMIN
    assert credential(environment) == "sk-from-the-environment-1234"
    assert environment.revealed_headers() == {"X-ENV": "env-secret"}
    assert not ModelMapping.objects.exclude(origin=Origin.ADMIN).exists()
    assert "Taken over from the environment." in [said_of(entry) for entry in LogEntry.objects.all()]
    assert 'name="_save"' in response.content.decode()
    assert "sk-from-the" not in response.content.decode() + everything_stored()


def test_looking_at_the_take_over_address_changes_nothing(admin_client, environment):
    admin_client.get(url("provider", "take_over", environment.pk))
    environment.refresh_from_db()
    assert environment.origin == Origin.ENVIRONMENT


def test_taking_over_needs_the_right_to_change(clerk, environment):
    clerk("view_provider").post(url("provider", "take_over", environment.pk))
    environment.refresh_from_db()
    assert environment.origin == Origin.ENVIRONMENT


def test_taking_over_without_an_encryption_key_says_so(admin_client, environment, monkeypatch):
    monkeypatch.setattr("gateway.models.base.gateway_conf", lambda: GatewayConf())
    response = admin_client.post(url("provider", "take_over", environment.pk), follow=True)
    assert b"FIELD_ENCRYPTION_KEYS is empty" in response.content
    environment.refresh_from_db()
    assert environment.origin == Origin.ENVIRONMENT


def test_taking_over_a_record_twice_is_harmless(admin_client, environment):
    adopt_env_records.take_over_provider(environment, ENVIRONMENT)
    entries = LogEntry.objects.count()
    admin_client.post(url("provider", "take_over", environment.pk))
    assert LogEntry.objects.count() == entries


def test_the_demo_says_that_it_is_one(admin_client, db):
    sync_environment(GatewayConf())
    demo = Provider.objects.get()
    text = admin_client.get(url("provider", "change", demo.pk)).content.decode()
    assert "This is the built-in demo." in text
    assert admin_client.post(url("provider", "change", demo.pk), {"base_url": "http://x"}).status_code == 403


def test_the_list_does_not_ask_the_database_once_per_row(admin_client, django_assert_max_num_queries):
    for number in range(15):
        make_provider(f"P{number}", f"p{number}", credential="x")
    with django_assert_max_num_queries(10):
        admin_client.get(url("provider", "changelist"))


# --- what is set aside ---------------------------------------------------------------------


@pytest.fixture
def aside(environment):
    """The environment's provider, its credential refused and one of its targets cooling."""
    environment.credentials.get().set_aside(401, "refused <b>")
    now = timezone.now()
    SetAsideTarget.objects.create(
        process="here/1", provider=environment.slug, upstream_model="m", since=now, until=now, reason="full"
    )
    return environment


def test_the_page_shows_what_is_set_aside_and_the_button_brings_it_back(admin_client, aside):
    page = url("provider", "change", aside.pk)
    text = admin_client.get(page).content.decode()
    for part in ("OPENAI_API_KEY is set aside since", "401: refused &lt;b&gt;", "about to be probed", "full"):
        assert part in text
    response = admin_client.post(url("provider", "bring_back", aside.pk), follow=True)
    assert "is used again" in response.content.decode()
    assert "about to be probed" not in response.content.decode()
    aside.refresh_from_db()
    assert (aside.credentials.get().is_set_aside, aside.brought_back_at is not None) == (False, True)
    assert not SetAsideTarget.objects.exists()


def test_it_is_brought_back_from_the_list_too(admin_client, aside):
    data = {"action": "bring_back", "_selected_action": [aside.pk]}
    admin_client.post(url("provider", "changelist"), data)
    assert not aside.credentials.get().is_set_aside


def test_looking_brings_nothing_back_and_neither_does_somebody_without_the_right(clerk, aside):
    client = clerk("view_provider")
    assert "bring-back" not in client.get(url("provider", "change", aside.pk)).content.decode()
    client.post(url("provider", "bring_back", aside.pk))
    client.get(url("provider", "bring_back", aside.pk))
    assert aside.credentials.get().is_set_aside


def test_a_chosen_protocol_fills_in_the_service_s_own_endpoint_for_it(admin_client, db):
    answer = add(admin_client, preset="deepseek", protocol="anthropic", credential="sk-native-secret")
    assert answer.status_code == 302
    made = Provider.objects.get()
    assert (made.base_url, made.auth) == ("https://api.deepseek.com/anthropic", "x-api-key")
    assert made.options == {"protocol": "anthropic"}


def test_the_protocol_of_the_preset_is_no_option(admin_client, db):
    add(admin_client, preset="deepseek", protocol="chat", credential="sk-native-secret")
    made = Provider.objects.get()
    assert (made.base_url, made.auth, made.options) == ("https://api.deepseek.com", "bearer", {})


def test_the_page_shows_the_stored_protocol_and_saving_keeps_it(admin_client, provider):
    Provider.objects.update(options={"protocol": "responses", "stop": "local"})
    page = admin_client.get(url("provider", "change", provider.pk))
    assert '<option value="responses" selected>' in page.content.decode()
    edit(admin_client, provider, name="Renamed")
    provider.refresh_from_db()
    assert provider.options == {"protocol": "responses", "stop": "local"}
    edit(admin_client, provider, protocol="")
    provider.refresh_from_db()
    assert provider.options == {"stop": "local"}


def test_a_protocol_written_into_the_options_counts_as_chosen(admin_client, db):
    add(admin_client, preset="deepseek", options='{"protocol": "anthropic"}', credential="sk-native-secret")
    assert Provider.objects.get().base_url == "https://api.deepseek.com/anthropic"


def test_a_place_in_the_base_url_is_asked_for(admin_client, db):
    page = add(admin_client, preset="bedrock-mantle", protocol="anthropic", credential="sk-native-secret")
    assert "https://bedrock-mantle.{region}.api.aws/anthropic" in str(errors(page))


def test_a_retired_service_is_not_offered_and_its_url_says_why(admin_client, db):
    page = add(admin_client, preset="generic", base_url="https://models.github.ai/inference")
    assert "retired" in str(errors(page))
    assert "github-models" not in admin_client.get(url("provider", "add")).content.decode()


def test_the_list_says_what_failed_lately(admin_client, provider):
    write(
        [
            outcome(number, started_at=timezone.now(), provider="main", state=state, first_byte_ms=300)
            for number, state in enumerate(["ok", "error", "ok"])
        ]
    )
    text = admin_client.get(url("provider", "changelist")).content.decode()
    assert ">1 / 3</span>" in text and "provider=main&amp;state=failed&amp;range=24h" in text


def test_a_list_is_named_in_the_title_of_the_browser(admin_client, provider):
    text = admin_client.get(url("provider", "changelist")).content.decode()
    assert "Providers" in text.split("<title>")[1].split("</title>")[0]
    assert '<main id="content"' in text and 'href="#content"' in text


def test_disabling_a_provider_says_what_becomes_of_its_mappings(admin_client):
    add(admin_client, credential=CREDENTIAL)
    provider = Provider.objects.get()
    other = Provider.objects.create(name="Other", slug="other", base_url="https://other.test/v1")
    alone, both = (ModelMapping.objects.create(pattern=name) for name in ("alone", "both"))
    alone.lead_to(provider, "m")
    both.lead_to(provider, "m")
    both.lead_to(other, "m")
    page = admin_client.get(url("provider", "change", provider.pk))
    data = form_data(page, enabled=None)
    said = admin_client.post(url("provider", "change", provider.pk), data, follow=True).content.decode()
    assert "These mappings lead nowhere now, and their requests are refused: alone." in said
    assert f"targets__provider__id__exact={provider.pk}" in said
    assert "These mappings go on with their next target: both." in said
    page = admin_client.get(url("provider", "delete", provider.pk)).content.decode()
    assert "so it cannot be deleted" in page and f"targets__provider__id__exact={provider.pk}" in page


def test_presets_are_grouped_by_kind_and_each_stands_once(admin_client):
    page = admin_client.get(url("provider", "add"))
    groups = dict(page.context["adminform"].form.fields["preset"].choices)
    assert {"openai", "deepseek"} <= set(dict(groups["Cloud"]))
    assert set(dict(groups["Gateways"])) == {"openrouter", "huggingface"}
    assert "ollama" in dict(groups["On machines of your own"])
    assert set(dict(groups["Others"])) == {"generic", "generic-anthropic"}
    every = [slug for group in groups.values() for slug, _label in group]
    assert len(every) == len(set(every)) == len(page.context["presets"])
    assert "<optgroup" in page.content.decode() and "gw-preset-search" in page.content.decode()


def test_the_list_says_what_is_set_aside_and_the_newest_error(admin_client, provider):
    now = timezone.now()
    for message, age in (("older", 3), ("connection <refused>", 1), ("of the day before", 25)):
        at = now - timedelta(hours=age)
        Problem.objects.create(
            fingerprint=message, provider=provider.slug, error_type="api_error", message=message,
            first_at=at, last_at=at, times=3,
        )  # fmt: skip
    SetAsideTarget.objects.create(
        process="p", provider=provider.slug, upstream_model="u", since=now, until=now, failures=3
    )
    page = admin_client.get(url("provider", "changelist"))
    text = page.content.decode()
    newest = Problem.objects.get(message="connection <refused>")
    assert f'href="/admin/gateway/problem/{newest.pk}/change/"' in text
    assert "api_error: connection &lt;refused&gt;" in text and "api_error: older" not in text
    assert ">set aside<" in text
