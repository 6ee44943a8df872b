import pytest
from django.core.exceptions import ValidationError

from gateway.models import ModelMapping, Provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    return Provider.objects.create(name="P", slug="p", base_url="http://p/v1")


def problems(provider, **values):
    mapping = ModelMapping(**{"pattern": "a*", "provider": provider, **values})
    try:
        mapping.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def test_a_plain_mapping_is_valid(provider):
    assert problems(provider, upstream_model="x-*", public_names=["claude-x"]) == {}


def test_a_star_upstream_needs_one_in_the_pattern(provider):
    assert "upstream_model" in problems(provider, pattern="a", upstream_model="x-*")


@pytest.mark.parametrize("names", [{}, "x", [1], [""]])
def test_public_names_are_a_list_of_names(provider, names):
    assert "public_names" in problems(provider, public_names=names)


def test_the_least_output_is_not_over_the_largest(provider):
    assert "min_output_tokens" in problems(provider, min_output_tokens=9, max_output_tokens=8)


def test_mappings_come_in_order_of_position(provider):
    for position, pattern in ((2, "b"), (1, "c"), (2, "a")):
        ModelMapping.objects.create(position=position, pattern=pattern, provider=provider)
    assert [mapping.pattern for mapping in ModelMapping.objects.all()] == ["c", "b", "a"]
