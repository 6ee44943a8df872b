"""explainroute: where a model goes, and why."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gateway.models import ClientKey, Provider, RequestLog, SetAsideTarget
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def mapping():
    mapping = make_mapping("claude-*", make_provider("First", "first", credentials=("a", "b")), "one")
    mapping.lead_to(make_provider("Second", "second"), "two")
    return mapping


def said(*arguments):
    out = StringIO()
    call_command("explainroute", *arguments, stdout=out)
    return out.getvalue()


def cool(model, **fields):
    now = timezone.now()
    facts = {"since": now, "until": now + timedelta(minutes=1), "reason": "full", "failures": 3, **fields}
    SetAsideTarget.objects.create(process="here/1", upstream_model=model, **facts)


def test_the_winner_its_targets_in_order_and_the_losers_are_named(mapping):
    make_mapping("*", Provider.objects.get(slug="second"), position=9)
    assert said("claude-x") == (
        "claude-x matches the mapping claude-*.\n"
        "  It is the first enabled rule where the pattern claude-* on claude-x matches.\n"
        "Its targets, in order:\n"
        "  1. one @ First (http://p/v1)  <- asked first\n"
        "     nothing speaks against it\n"
        "  2. two @ Second (http://p/v1)\n"
        "     nothing speaks against it\n"
        "Other mappings that match:\n"
        "  *: Here the pattern * on claude-x matches too, but another rule comes first.\n"
    )


def test_a_target_that_is_set_aside_is_passed_over_and_says_why(mapping):
    cool("one", provider="first")
    text = said("claude-x")
    assert "2. two @ Second (http://p/v1)  <- asked first" in text
    assert "set aside since" in text
    assert "(failures: 3)" in text
    assert "(here/1): full" in text


def test_a_refused_credential_is_named_and_the_other_one_serves(mapping):
    first, second = Provider.objects.get(slug="first").credentials.all()
    first.set_aside(401, "no such key")
    text = said("claude-x")
    assert "the provider said 401: no such key" in text
    assert "1. one @ First (http://p/v1)  <- asked first" in text
    second.set_aside(402, "no money")
    assert "2. two @ Second (http://p/v1)  <- asked first" in said("claude-x")


def test_a_limit_that_is_over_is_not_told(mapping):
    cool("one", provider="first", credential="c", until=timezone.now() - timedelta(seconds=1))
    assert "limit" not in said("claude-x")
    SetAsideTarget.objects.update(until=timezone.now() + timedelta(minutes=1))
    assert "credential c is at its limit until" in said("claude-x")


def test_when_everything_is_set_aside_the_first_is_still_asked(mapping):
    cool("one", provider="first")
    cool("two", provider="second")
    assert "1. one @ First (http://p/v1)  <- asked first" in said("claude-x")


def test_what_is_wrong_is_said_with_the_next_step_and_a_failing_exit():
    with pytest.raises(CommandError, match=r"No enabled mapping matches\. Add one"):
        said("claude-x")


def test_a_disabled_provider_is_named(mapping):
    Provider.objects.update(enabled=False)
    with pytest.raises(CommandError, match=r"its provider is disabled.*told 529"):
        said("claude-x")


def test_a_key_may_be_the_reason(mapping):
    key, _ = ClientKey.issue("Ann", allowed_models=["other"])
    with pytest.raises(CommandError, match="Ann may not ask for this model; the client is told 403"):
        said("claude-x", "--key", "Ann")
    key.revoke()
    with pytest.raises(CommandError, match="Ann is revoked; the client is told 401"):
        said("claude-x", "--key", "Ann")
    with pytest.raises(CommandError, match="There is no client key Bob"):
        said("claude-x", "--key", "Bob")


def test_the_class_decides_between_mappings_and_the_loser_says_so(mapping):
    second = Provider.objects.get(slug="second")
    make_mapping("claude-*", second, "small", position=-1, when={"class": ["auxiliary"]})
    assert "1. small @ Second" in said("claude-x", "--class", "classifier")
    text = said("claude-x", "--class", "main")
    assert "1. one @ First" in text
    assert "the request is not as its condition asks: purpose" in text


def test_facts_are_given_one_by_one_or_taken_from_a_request(mapping):
    second = Provider.objects.get(slug="second")
    when = {"input_tokens": {"from": 60000}, "header": {"x-team": ["red"]}}
    make_mapping("claude-*", second, "large", position=-1, when=when)
    given = ("--fact", "input_tokens=60000", "--fact", "header.x-team=red")
    assert "1. large @ Second" in said("claude-x", *given)
    assert "1. one @ First" in said("claude-x", "--fact", "input_tokens=60000")
    RequestLog.objects.create(
        request_id="req_1", asked_model="claude-x", facts={"input_tokens": 70000, "header": {"x-team": "red"}}
    )
    text = said("--request", "req_1")
    assert "1. large @ Second" in text and "input_tokens=70000" in text
    assert "1. one @ First" in said("--request", "req_1", "--fact", "header.x-team=blue")


@pytest.mark.parametrize(
    ("time", "model"),
    [("2026-11-30T17:00+00:00", "late"), ("2026-11-30T17:00 00:00", "late"),
     ("2026-11-30 16:59+00:00", "one"),
     ("2026-11-30 18:00:00+01:00", "late"), ("2026-11-28T18:00+01:00", "one")],
)  # fmt: skip
def test_a_time_may_have_an_offset(mapping, time, model):
    when = {"time": {"days": ["mon"], "from": "18:00", "to": "23:00", "zone": "Europe/Berlin"}}
    make_mapping("claude-*", Provider.objects.get(slug="second"), "late", position=-1, when=when)
    assert f"1. {model} @" in said("claude-x", "--fact", f"time={time}")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["m", "--fact", "moon=full"], "moon is no fact; there are: class, input_tokens"),
        (["m", "--fact", "tools=many"], "tools: many is no whole number"),
        (["m", "--fact", "images=perhaps"], "images is true or false"),
        (["m", "--fact", "class=dreaming"], "class: dreaming is none of these"),
        (["m", "--fact", "time=soon"], "time: write 2026-11-30 18:00"),
        (["--request", "req_none"], "The history has no request req_none"),
        ([], "Name a model"),
    ],
)
def test_what_is_wrong_with_a_fact_is_said(db, arguments, problem):
    with pytest.raises(CommandError, match=problem):
        said(*arguments)
