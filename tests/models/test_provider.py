import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from gateway.models import ModelMapping, Provider, RequestLog

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    return Provider.objects.create(name="P", slug="p", base_url="http://p/v1")


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
    with pytest.raises(ValidationError, match="The history has requests of 'p'"):
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
    ModelMapping.objects.create(pattern="*", provider=provider)
    with pytest.raises(ProtectedError):
        provider.delete()
