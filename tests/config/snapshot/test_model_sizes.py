import pytest

from gateway.config.snapshot.loader import load
from gateway.config.snapshot.model_sizes import keep_listed, listed_sizes
from gateway.models import ConfigStamp, ListedModel, Provider
from gateway.routing.resolve import resolve
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def test_the_sizes_of_a_list_are_in_force_for_its_provider_alone():
    provider, other = make_provider(slug="one"), make_provider(slug="two")
    make_mapping("a", provider, "big")
    make_mapping("b", other, "big")
    assert (
        keep_listed(provider, [("big", 128_000, 8_000), ("small", 32_000, None), ("dumb", None, None)]) == 2
    )
    snapshot = load()
    profile = resolve(snapshot, "a").route.profile
    assert (profile.context_window, profile.max_output_tokens) == (128_000, 8_000)
    assert resolve(snapshot, "b").route.profile.max_output_tokens is None


def test_the_next_list_takes_the_place_of_the_last_and_the_same_moves_no_stamp():
    provider = make_provider(slug="one")
    keep_listed(provider, [("big", 128_000, 8_000), ("gone", 1_000, None)])
    stamp = ConfigStamp.current()
    keep_listed(provider, [("gone", 1_000, None), ("big", 128_000, 8_000)])
    assert ConfigStamp.current() == stamp
    keep_listed(provider, [("big", 64_000, None)])
    assert ConfigStamp.current() > stamp
    assert listed_sizes() == {("one", "big"): {"context_window": 64_000}}


def test_a_list_that_tells_nothing_forgets_nothing():
    provider = make_provider(slug="one")
    keep_listed(provider, [("big", 128_000, None)])
    assert keep_listed(provider, []) == 0
    assert keep_listed(provider, [("big", None, None)]) == 0
    assert ListedModel.objects.count() == 1


def test_what_no_column_holds_is_left_out():
    provider = make_provider(slug="one")
    assert keep_listed(provider, [("n" * 201, 1_000, None), ("", 1, 1), ("big", 10**12, 5)]) == 1
    assert listed_sizes() == {("one", "big"): {"max_output_tokens": 5}}


def test_the_sizes_go_with_their_provider():
    provider = make_provider(slug="one")
    keep_listed(provider, [("big", 128_000, None)])
    Provider.objects.get(pk=provider.pk).delete()
    assert not ListedModel.objects.exists()


def test_a_name_that_no_database_takes_is_left_out():
    provider = make_provider()
    assert keep_listed(provider, [("a\x00b", 1000, None), ("c", 1000, None)]) == 1
