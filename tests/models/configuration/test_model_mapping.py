import pytest
from django.core.exceptions import ValidationError

from gateway.models import MappingTarget, ModelMapping
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    return make_provider()


def problems(**values):
    mapping = ModelMapping(**{"pattern": "a*", **values})
    try:
        mapping.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def test_a_plain_mapping_is_valid():
    assert problems(public_names=["claude-x"]) == {}


def test_a_star_upstream_needs_one_in_the_pattern(provider):
    MappingTarget(mapping=make_mapping("a*", provider), provider=provider, upstream_model="x-*").full_clean()
    with pytest.raises(ValidationError, match="the pattern has none"):
        MappingTarget(
            mapping=make_mapping("a", provider), provider=provider, upstream_model="x-*"
        ).full_clean()


def test_targets_come_in_order_of_position_and_new_ones_last(provider):
    mapping = make_mapping("a", provider, "first")
    mapping.lead_to(provider, "second")
    mapping.lead_to(provider, "before", position=-1)
    assert [target.upstream_model for target in mapping.targets.all()] == ["before", "first", "second"]


@pytest.mark.parametrize("names", [{}, "x", [1], [""]])
def test_public_names_are_a_list_of_names(names):
    assert "public_names" in problems(public_names=names)


def test_the_least_output_is_not_over_the_largest():
    assert "min_output_tokens" in problems(min_output_tokens=9, max_output_tokens=8)


def test_mappings_come_in_order_of_position(provider):
    for position, pattern in ((2, "b"), (1, "c"), (2, "a")):
        make_mapping(pattern, provider, position=position)
    assert [mapping.pattern for mapping in ModelMapping.objects.all()] == ["c", "b", "a"]
