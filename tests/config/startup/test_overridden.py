"""Who wins, the environment, a file or an admin, and that it is said."""

import json
import logging

import pytest

from gateway.config.file import document
from gateway.config.startup.environment import sync_environment, take_over_mapping, take_over_provider
from gateway.config.startup.overridden import overridden
from gateway.models import ClientKey, ModelMapping, Origin, Provider
from tests.config.startup.test_environment import CONF, EMPTY, KEYED, changed
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def test_nothing_is_said_while_both_say_the_same():
    sync_environment(KEYED)
    assert list(overridden(KEYED)) == []
    take_over_mapping(ModelMapping.objects.get(pattern="*opus*"))
    assert list(overridden(KEYED)) == []
    sync_environment(EMPTY)
    assert list(overridden(EMPTY)) == []


def test_a_provider_taken_over_is_said_once_and_not_for_each_of_its_mappings():
    sync_environment(CONF)
    take_over_provider(Provider.objects.get(), CONF)
    other = changed(big_model="other", small_model="other")
    sync_environment(other)
    [line] = overridden(other)
    assert "OpenAI was taken over in the admin" in line
    assert list(overridden(EMPTY)) == []


def test_a_mapping_taken_over_is_said_where_it_leads_elsewhere_than_the_variable():
    sync_environment(CONF)
    take_over_mapping(ModelMapping.objects.get(pattern="*opus*"))
    take_over_mapping(ModelMapping.objects.get(pattern="*haiku*"))
    other = changed(big_model="other")
    sync_environment(other)
    [line] = overridden(other)
    assert "*opus* was taken over in the admin and leads to big; BIG_MODEL in .env" in line


def test_a_key_of_the_environment_that_was_revoked_is_said_without_its_value():
    sync_environment(KEYED)
    ClientKey.objects.get().revoke()
    sync_environment(KEYED)
    [line] = overridden(KEYED)
    assert "ANTHROPIC_API_KEY in .env is refused" in line and KEYED.anthropic_api_key not in line


def test_what_an_admin_set_for_the_environment_s_key_outlives_starts_and_other_values():
    sync_environment(KEYED)
    ClientKey.objects.update(requests_per_minute=7, allowed_models=["a"], name="ours", capture="none")
    for conf in (KEYED, changed(anthropic_api_key="another-secret-of-the-team")):
        sync_environment(conf)
        record = ClientKey.objects.get()
        assert (record.requests_per_minute, record.allowed_models, record.name, record.capture) == (
            7, ["a"], "ours", "none",
        )  # fmt: skip


def test_an_admin_s_own_records_are_nobody_else_s():
    provider = make_provider("Mine", "mine")
    mapping = make_mapping("*opus*", provider)
    key, _secret = ClientKey.issue("Ann")
    before = [vars(type(one).objects.get(pk=one.pk)) for one in (provider, mapping, key)]
    for conf in (KEYED, changed(big_model="x"), EMPTY):
        sync_environment(conf)
    after = [vars(type(one).objects.get(pk=one.pk)) for one in (provider, mapping, key)]
    for one, other in zip(before, after, strict=True):
        assert {k: v for k, v in one.items() if k != "_state"} == {
            k: v for k, v in other.items() if k != "_state"
        }


@pytest.fixture
def file(tmp_path):
    """file(): the configuration of now as a file, with what it is."""

    def written():
        path = tmp_path / "configuration.json"
        path.write_text(json.dumps(document.exported(), default=str))
        return path

    return written


def test_a_file_decides_at_each_start_what_it_names_and_the_log_says_what_it_changed(file, caplog):
    provider = make_provider("Mine", "mine")
    make_mapping("*opus*", provider)
    path = file()
    Provider.objects.filter(pk=provider.pk).update(max_retries=9)
    other = make_provider("Other", "other")
    with caplog.at_level(logging.WARNING):
        document.load(path)
    provider.refresh_from_db()
    assert provider.max_retries != 9 and Provider.objects.filter(pk=other.pk).exists()
    [said] = [record for record in caplog.records if "configuration file" in record.message]
    assert said.changes == 1 and "9" in said.first
    caplog.clear()
    document.load(path)
    assert not caplog.records


def test_a_file_does_not_change_what_the_environment_keeps(file, caplog):
    sync_environment(CONF)
    kept = Provider.objects.get()
    Provider.objects.update(origin=Origin.ADMIN)
    path = file()
    Provider.objects.update(origin=Origin.ENVIRONMENT)
    text = path.read_text().replace('"OpenAI"', '"Changed"')
    path.write_text(text)
    document.load(path)
    assert Provider.objects.get(pk=kept.pk).name == "OpenAI"
    assert any("kept by the environment" in record.problem for record in caplog.records)
