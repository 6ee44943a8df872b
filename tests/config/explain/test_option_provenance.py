import pytest

from gateway.config.explain.option_provenance import OptionSource, options_of_mapping, options_of_name
from gateway.config.snapshot.model_sizes import keep_listed
from gateway.models import Decision, LearntOption
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def by_option(target):
    return {one.option: (one.value, one.source) for one in target.options}


def test_every_option_says_where_it_comes_from(django_user_model):
    provider = make_provider(slug="deep", preset="deepseek", options={"stop": "local"})
    mapping = make_mapping("m", provider, "deepseek-v4-pro", options={"top_k": "pass"})
    keep_listed(provider, [("deepseek-v4-pro", 128_000, None)])
    LearntOption.objects.create(
        provider="deep", upstream_model="deepseek-v4-pro", option="prefill", old_json='"prefix"',
        new_json='"reject"', decision=Decision.CONFIRMED, last_at="2026-01-01T00:00Z",
    )  # fmt: skip
    [target] = options_of_mapping(mapping.pk)
    assert target.target == f"deepseek-v4-pro @ {provider.name}"
    assert target.options[0] == OptionSource("context_window", "128000", "the provider's list of models")
    found = by_option(target)
    assert found["max_output_tokens"] == ("393216", "preset")
    assert found["images"] == ('"text"', "the preset's rule for this model")
    assert found["prefill"] == ('"reject"', "learnt from answers")
    assert found["stop"] == ('"local"', "set at the provider")
    assert found["top_k"] == ('"pass"', "set at the mapping")
    assert found["token_factor"] == ("1.05", "family of the model")
    assert "user_field" not in found and "provider" not in found


def test_a_size_that_nobody_knows_is_said_to_be_unknown():
    mapping = make_mapping("m", make_provider(slug="p", base_url="http://h/v1"), "some-model")
    [target] = options_of_mapping(mapping.pk)
    assert by_option(target)["context_window"] == ("", "")


def test_a_target_that_follows_the_asked_name_is_told_for_a_name():
    provider = make_provider(slug="p", preset="deepseek")
    mapping = make_mapping("deepseek-*", provider, "")
    assert options_of_mapping(mapping.pk)[0].options is None
    [target] = options_of_name("deepseek-v4-pro")
    assert by_option(target)["images"] == ('"text"', "the preset's rule for this model")
    assert options_of_name("nothing") == ()
