from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.utils import timezone

from gateway.models import ConfigStamp, Provider, RequestLog
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    return make_provider()


def test_extra_headers_are_sealed_and_come_back(provider):
    provider.set_headers({"X-Secret": "hush"})
    provider.save()
    provider.refresh_from_db()
    assert "hush" not in provider.headers.token
    assert provider.revealed_headers() == {"X-Secret": "hush"}


def test_no_extra_headers_is_an_empty_dictionary(provider):
    provider.refresh_from_db()
    assert provider.revealed_headers() == {}


def test_the_slug_may_change_before_any_request_used_it(provider):
    provider.slug = "q"
    provider.full_clean()


def test_the_slug_may_not_change_once_the_history_names_it(provider):
    RequestLog.objects.create(request_id="req_1", provider="p")
    provider.slug = "q"
    with pytest.raises(ValidationError, match="The history has requests of p"):
        provider.full_clean()


@pytest.mark.parametrize("url", ["", "api.example.com/v1", "ftp://x/v1", "javascript:alert(1)", "https:// x"])
def test_a_base_url_that_is_no_web_address_is_refused(provider, url):
    provider.base_url = url
    with pytest.raises(ValidationError):
        provider.full_clean()


@pytest.mark.parametrize("query", [[], {"a": 1}, "x"])
def test_query_parameters_are_an_object_of_texts(provider, query):
    provider.query = query
    with pytest.raises(ValidationError, match="JSON object"):
        provider.full_clean()


def test_a_provider_with_mappings_cannot_be_deleted(provider):
    make_mapping("*", provider)
    with pytest.raises(ProtectedError):
        provider.delete()


def test_a_credential_is_sealed_and_in_no_repr(provider):
    record = provider.add_credential("sk-hidden", "first")
    record.refresh_from_db()
    assert "sk-hidden" not in record.value.token + repr(record) + str(vars(record))
    assert record.revealed() == "sk-hidden"


def test_a_credential_without_a_label_is_named_by_its_number(provider):
    assert provider.add_credential("x").shown_label == f"credential {provider.credentials.get().pk}"


def test_setting_aside_and_bringing_back_reach_every_process_by_the_stamp(provider):
    record = provider.add_credential("x")
    before = ConfigStamp.current()
    record.set_aside(403, "r" * 1000)
    assert record.is_set_aside
    assert ConfigStamp.current() == before + 1
    record.bring_back()
    assert not record.is_set_aside
    assert ConfigStamp.current() == before + 2


def test_each_time_a_provider_is_brought_back_is_later_than_the_last(provider, monkeypatch):
    """Also when the clock was set back: processes tell what is forgiven by it."""
    provider.bring_back()
    first = provider.brought_back_at
    monkeypatch.setattr(timezone, "now", lambda: first - timedelta(hours=1))
    stale = Provider.objects.get(pk=provider.pk)
    provider.bring_back()
    stale.bring_back()
    assert first < provider.brought_back_at < stale.brought_back_at < first + timedelta(seconds=1)


def test_a_credential_that_is_set_aside_for_a_time_comes_back_by_itself(provider):
    record = provider.add_credential("x")
    record.set_aside(429, "slow", until=timezone.now() - timedelta(seconds=1))
    assert not record.is_set_aside
