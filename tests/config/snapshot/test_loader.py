import dataclasses
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group

from gateway.conf import GatewayConf
from gateway.config.snapshot import loader
from gateway.config.snapshot.loader import load
from gateway.models import ClientKey, ConfigStamp, Origin, Sealed
from gateway.pricing.price import Tokens
from gateway.routing.resolve import resolve
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db

CONF = GatewayConf(openai_api_key="sk-env", custom_headers={"X-ENV": "1"}, request_timeout=77)


def test_an_empty_database_is_an_empty_snapshot():
    snapshot = load(CONF)
    assert (dict(snapshot.providers), snapshot.rules, dict(snapshot.keys), snapshot.stamp) == ({}, (), {}, 0)


def test_a_provider_arrives_with_its_preset_and_clear_secrets():
    provider = make_provider(
        base_url="http://p/v1/",
        preset="openai-chat",
        credential="sk-1",
        query={"a": "b"},
        options={"stop": "native"},
    )
    provider.set_headers({"X-H": "h"})
    provider.save()
    config = load(CONF).providers["p"]
    assert [credential.value for credential in config.credentials] == ["sk-1"]
    assert config.headers == {"X-H": "h"}
    assert config.query == {"a": "b"}
    assert config.base_url == "http://p/v1"
    assert config.preset_options["max_tokens_field"] == "max_completion_tokens"
    assert config.model_rules
    assert config.options == {"stop": "native"}


def test_no_secret_is_in_the_snapshot_s_repr():
    provider = make_provider(credential="sk-hidden")
    provider.set_headers({"X-H": "hush"})
    provider.save()
    shown = repr(load(CONF))
    assert "sk-hidden" not in shown
    assert "hush" not in shown
    assert "sk-env" not in shown


def test_empty_timeouts_leave_the_silence_to_the_profile_and_the_first_byte_to_the_client():
    make_provider()
    config = load(CONF).providers["p"]
    assert (config.silence_timeout, config.first_byte_timeout) == (None, None)


def test_a_credential_that_no_key_opens_is_flagged_and_everything_else_loads(caplog):
    make_provider(credential=Sealed("gibberish"))
    make_provider(slug="q", credential="sk")
    snapshot = load(CONF)
    assert snapshot.providers["p"].credential_unreadable
    assert snapshot.providers["p"].credentials == ()
    assert not snapshot.providers["q"].credential_unreadable
    assert "enter the secret again" in caplog.text


def test_a_provider_of_the_environment_takes_its_secrets_from_there():
    base_url = "https://api.openai.com/v1"
    provider = make_provider(origin=Origin.ENVIRONMENT, base_url=base_url)
    provider.credentials.create(origin=Origin.ENVIRONMENT)
    config = load(CONF).providers["p"]
    assert [(c.label, c.value) for c in config.credentials] == [("OPENAI_API_KEY", "sk-env")]
    assert config.headers == {"X-ENV": "1"}


def test_a_mapping_arrives_as_a_rule_with_one_target():
    make_mapping(
        "a*", make_provider(), "u", model_family="f", public_names=["n"],
        options={"stop": "local"}, context_window=5, note="why",
    )  # fmt: skip
    [rule] = load(CONF).rules
    assert [dataclasses.astuple(target) for target in rule.targets] == [("p", "u", "f", True, None)]
    assert (rule.exact, rule.public_names, dict(rule.options)) == (False, ("n",), {"stop": "local"})
    assert (rule.context_window, rule.note) == (5, "why")
    assert rule.regex.fullmatch("ABC")


def test_targets_arrive_in_their_order_with_those_that_are_switched_off():
    first, second = make_provider(), make_provider(slug="q")
    mapping = make_mapping("a", first, "u")
    mapping.lead_to(second, "v", position=-1)
    mapping.lead_to(first, "w", enabled=False)
    [rule] = load(CONF).rules
    assert [(t.provider, t.upstream_model, t.enabled) for t in rule.targets] == [
        ("q", "v", True),
        ("p", "u", True),
        ("p", "w", False),
    ]
    assert [route.upstream_model for route in resolve(load(CONF), "a").routes] == ["v", "u"]


def test_credentials_arrive_in_their_order_with_what_sets_them_aside():
    provider = make_provider(credentials=("sk-1", "sk-2", "sk-3"))
    first, second, third = provider.credentials.all()
    first.position = 9
    first.save()
    second.set_aside(401, "refused")
    third.enabled = False
    third.save()
    refused, plain = load(CONF).providers["p"].credentials
    assert (refused.value, refused.set_aside.status, refused.set_aside.reason) == ("sk-2", 401, "refused")
    assert (refused.set_aside.until, plain.value, plain.set_aside) == (None, "sk-1", None)
    second.bring_back()
    assert load(CONF).providers["p"].credentials[0].set_aside is None


def test_one_credential_that_cannot_be_opened_leaves_the_others_in_use():
    provider = make_provider(credential="sk-1")
    provider.add_credential(Sealed("gibberish"))
    config = load(CONF).providers["p"]
    assert [credential.value for credential in config.credentials] == ["sk-1"]
    assert not config.credential_unreadable


def test_rules_stand_in_order_of_position():
    provider = make_provider()
    for position, pattern in ((3, "c"), (1, "a"), (2, "b")):
        make_mapping(pattern, provider, position=position)
    assert [rule.pattern for rule in load(CONF).rules] == ["a", "b", "c"]


def test_options_from_another_version_do_not_stop_the_gateway(caplog):
    provider = make_provider(options={"from_the_future": True})
    make_mapping("m", provider, options={"stop": "??", "pdf": "file"})
    snapshot = load(CONF)
    assert resolve(snapshot, "m").route.profile.pdf == "file"
    assert "open and save it" in caplog.text


def test_keys_are_found_by_their_digest():
    record, _ = ClientKey.issue("Ann", owner="o", allowed_models=["a*"], capture="none")
    entry = load(CONF).keys[record.digest]
    assert (entry.name, entry.owner, entry.allowed_models, entry.capture) == ("Ann", "o", ("a*",), "none")
    assert (entry.expires_at, entry.revoked) == (None, False)


@pytest.mark.parametrize(
    ("conf", "with_key", "allowed"),
    [
        (GatewayConf(), False, True),
        (GatewayConf(), True, False),
        (GatewayConf(host="0.0.0.0"), False, True),
        (GatewayConf(host="0.0.0.0"), True, False),
        (GatewayConf(keys_required=True), False, False),
        (GatewayConf(public_url="https://ccproxy.example.org"), False, False),
        (GatewayConf(public_url="http://127.0.0.1:8082/sub"), False, True),
        (GatewayConf(trusted_proxies=("127.0.0.1",)), False, False),
        (GatewayConf(names=("localhost", "127.0.0.1", "[::1]")), False, True),
        (GatewayConf(names=("localhost", "ccproxy.example.org")), False, False),
        (GatewayConf(names=("*",)), False, False),
        (GatewayConf(names=("ccproxy.example.org",), allow_anonymous=True), False, True),
        (GatewayConf(host="0.0.0.0", allow_anonymous=True), False, True),
        (GatewayConf(allow_anonymous=True), True, True),
        (GatewayConf(host="localhost"), False, True),
        (GatewayConf(host="::1"), False, True),
    ],
)
def test_who_may_come_without_a_key(conf, with_key, allowed):
    if with_key:
        ClientKey.issue("Ann")
    assert load(conf).anonymous_allowed is allowed


def test_a_revoked_last_key_does_not_open_the_gateway_to_everyone():
    record, _ = ClientKey.issue("Ann")
    record.revoke()
    assert load(GatewayConf()).anonymous_allowed is False


def test_the_demo_s_mapping_steps_back_as_soon_as_a_real_one_serves():
    demo = make_provider(slug="demo", origin=Origin.DEMO)
    make_mapping("*", demo, position=9, origin=Origin.DEMO)
    assert [rule.enabled for rule in load(CONF).rules] == [True]
    assert load(CONF).providers["demo"].demo
    make_mapping("m", make_provider())
    assert [rule.enabled for rule in load(CONF).rules] == [True, False]


def test_the_snapshot_is_frozen():
    make_provider()
    snapshot = load(CONF)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.stamp = 5
    with pytest.raises(TypeError):
        snapshot.providers["x"] = None
    with pytest.raises(TypeError):
        snapshot.providers["p"].headers["x"] = "y"
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.providers["p"].enabled = False


def test_a_change_between_the_reads_is_not_seen_by_half(monkeypatch):
    provider = make_provider()
    read = loader._read
    reads = []

    def changed_meanwhile(stamp, conf):
        snapshot = read(stamp, conf)
        reads.append(stamp)
        if len(reads) == 1:
            make_mapping("late", provider)
        return snapshot

    monkeypatch.setattr(loader, "_read", changed_meanwhile)
    snapshot = load(CONF)
    assert [rule.pattern for rule in snapshot.rules] == ["late"]
    assert snapshot.stamp == ConfigStamp.current()


def test_loading_takes_the_same_number_of_queries_for_many_records(django_assert_num_queries):
    for number in range(20):
        make_mapping(f"m{number}", make_provider(slug=f"p{number}"))
    with django_assert_num_queries(21):
        load(CONF)


def test_the_demo_costs_nothing():
    make_provider(slug="demo", origin=Origin.DEMO)
    make_provider(slug="real")
    prices, now = load(CONF).prices, datetime(2026, 1, 1, tzinfo=UTC)
    assert prices.cost(Tokens(1000, 1000), "demo", "demo", now).amount == 0
    assert prices.cost(Tokens(1000, 1000), "real", "no-such-model", now) is None


def test_only_groups_that_a_rule_names_are_read_and_a_change_of_members_moves_the_stamp(django_user_model):
    red, blue = (Group.objects.create(name=name) for name in ("Red team", "Blue"))
    ann = django_user_model.objects.create_user("ann")
    ann.groups.add(red, blue)
    assert load(CONF).group_names == {}
    make_mapping("*", make_provider(), "m", when={"group": ["red*"]})
    assert load(CONF).group_names == {ann.pk: frozenset({"Red team"})}
    before = ConfigStamp.current()
    ann.groups.remove(red)
    assert ConfigStamp.current() > before
    assert load(CONF).group_names == {}


def test_a_condition_that_cannot_be_read_makes_its_rule_take_nothing_and_is_told_in_the_log(caplog):
    mapping = make_mapping("*", make_provider(), "m")
    type(mapping).objects.update(when={"moon": "full"})
    [rule] = load(CONF).rules
    assert rule.condition.flaw is not None and not rule.condition.always
    assert "mapping *: takes no request" in caplog.text
