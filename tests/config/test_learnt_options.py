"""Learnt options as records: proposals, confirmed for every process, refused for good."""

import pytest
from django.contrib.admin.models import LogEntry

from gateway.config.change_entries import source_of
from gateway.config.health_records import StandingRecords
from gateway.config.learnt_options import of_mapping, settings_against, write_taught
from gateway.config.snapshot.loader import load
from gateway.models import ConfigStamp, Decision, LearntOption, TokenFactor
from gateway.routing.learnt_options import Taught
from gateway.routing.resolve import resolve
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def taught(**fields):
    facts = {
        "provider": "p",
        "upstream_model": "up",
        "option": "max_tokens_field",
        "old": "max_tokens",
        "new": "max_completion_tokens",
        "words": "Unsupported parameter: 'max_tokens'",
        "mapping_pk": 7,
        **fields,
    }
    return Taught(**facts)


@pytest.fixture
def mapping():
    return make_mapping("m", make_provider(credential="sk-1"), "up")


def profile():
    return resolve(load(), "m").route.profile


def test_a_proposal_holds_what_was_learnt_and_waits(mapping):
    write_taught(taught())
    record = LearntOption.objects.get()
    assert (record.old, record.new, record.decision) == ("max_tokens", "max_completion_tokens", "proposed")
    assert (record.words, record.times, record.mapping_pk) == ("Unsupported parameter: 'max_tokens'", 1, 7)
    assert profile().max_tokens_field == "max_tokens"


def test_the_log_says_that_no_person_proposed_it(mapping):
    write_taught(taught())
    assert source_of(LogEntry.objects.filter(content_type__model="learntoption").get()) == "learnt"


def test_learnt_again_it_is_counted_and_moves_no_stamp(mapping):
    write_taught(taught())
    before = ConfigStamp.current()
    write_taught(taught(words="again"))
    record = LearntOption.objects.get()
    assert (record.times, record.words) == (2, "again")
    assert ConfigStamp.current() == before


def test_confirmed_it_is_in_force_everywhere_beside_the_token_factor(mapping):
    TokenFactor.objects.create(provider="p", upstream_model="up", factor=2.0, requests=50, error=0.1)
    write_taught(taught())
    LearntOption.objects.get().decide(Decision.CONFIRMED)
    assert profile().max_tokens_field == "max_completion_tokens"
    assert profile().token_factor == 2.0


def test_refused_it_is_not_in_force_and_not_proposed_again(mapping):
    write_taught(taught())
    LearntOption.objects.get().decide(Decision.REFUSED)
    write_taught(taught(new="other"))
    snapshot = load()
    assert LearntOption.objects.get().decision == "refused"
    assert snapshot.refused_options == {("p", "up"): frozenset({"max_tokens_field"})}
    assert profile().max_tokens_field == "max_tokens"


def test_deleted_it_may_be_learnt_again(mapping):
    write_taught(taught())
    LearntOption.objects.get().decide(Decision.REFUSED)
    LearntOption.objects.all().delete()
    write_taught(taught())
    assert load().refused_options == {}
    assert LearntOption.objects.get().decision == "proposed"


def test_a_later_value_overtakes_a_proposal_but_stands_beside_a_confirmed_one(mapping):
    write_taught(taught(option="efforts", old=None, new=["low", "high"]))
    write_taught(taught(option="efforts", old=None, new=["low"]))
    assert [record.new for record in LearntOption.objects.all()] == [["low"]]
    LearntOption.objects.get().decide(Decision.CONFIRMED)
    write_taught(taught(option="efforts", old=["low"], new=[]))
    assert profile().efforts == ("low",)
    LearntOption.objects.get(decision="proposed").decide(Decision.CONFIRMED)
    assert profile().efforts == ()
    assert LearntOption.objects.count() == 1


def test_the_setting_of_a_mapping_goes_before_a_confirmed_value_and_is_named(mapping):
    write_taught(taught())
    record = LearntOption.objects.get()
    assert settings_against(record) == []
    mapping.options = {"max_tokens_field": "max_tokens"}
    mapping.save()
    record.decide(Decision.CONFIRMED)
    assert profile().max_tokens_field == "max_tokens"
    assert settings_against(record) == ["m"]


def test_a_size_of_a_mapping_goes_before_a_learnt_one(mapping):
    write_taught(taught(option="max_output_tokens", old=100, new=64))
    mapping.max_output_tokens = 100
    mapping.save()
    assert settings_against(LearntOption.objects.get()) == ["m"]


def test_a_mapping_finds_what_concerns_its_targets(mapping):
    other = make_mapping("n", mapping.targets.get().provider, "else")
    write_taught(taught(mapping_pk=None))
    assert [record.option for record in of_mapping(mapping)] == ["max_tokens_field"]
    assert list(of_mapping(other)) == []


def test_a_value_that_is_too_long_is_left_out(mapping):
    write_taught(taught(new=["x" * 400]))
    assert not LearntOption.objects.exists()


def test_an_option_that_no_longer_exists_is_left_out(mapping):
    write_taught(taught(option="gone"))
    LearntOption.objects.get().decide(Decision.CONFIRMED)
    assert load().learnt == {}


@pytest.mark.django_db(transaction=True)
def test_the_thread_beside_the_requests_writes_it():
    records = StandingRecords("here")
    records.note(taught())
    records.stop()
    assert LearntOption.objects.get().option == "max_tokens_field"
