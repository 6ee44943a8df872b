import dataclasses

import pytest

from gateway.conf import GatewayConf
from gateway.config import loader
from gateway.config.loader import load
from gateway.models import ClientKey, ConfigStamp, ModelMapping, Origin, Provider, Sealed
from gateway.routing.resolve import resolve

pytestmark = pytest.mark.django_db

CONF = GatewayConf(openai_api_key="sk-env", custom_headers={"X-ENV": "1"}, request_timeout=77)


def make_provider(**values):
    return Provider.objects.create(**{"name": "P", "slug": "p", "base_url": "http://p/v1/", **values})


def test_an_empty_database_is_an_empty_snapshot():
    snapshot = load(CONF)
    assert (dict(snapshot.providers), snapshot.rules, dict(snapshot.keys), snapshot.stamp) == ({}, (), {}, 0)


def test_a_provider_arrives_with_its_preset_and_clear_secrets():
    provider = make_provider(
        preset="openai-chat", credential="sk-1", query={"a": "b"}, options={"stop": "native"}
    )
    provider.set_headers({"X-H": "h"})
    provider.save()
    config = load(CONF).providers["p"]
    assert config.credentials == ("sk-1",)
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
    make_provider(origin=Origin.ENVIRONMENT)
    config = load(CONF).providers["p"]
    assert config.credentials == ("sk-env",)
    assert config.headers == {"X-ENV": "1"}


def test_a_mapping_arrives_as_a_rule_with_one_target():
    ModelMapping.objects.create(
        pattern="a*", provider=make_provider(), upstream_model="u", model_family="f", public_names=["n"],
        options={"stop": "local"}, context_window=5, note="why",
    )  # fmt: skip
    [rule] = load(CONF).rules
    assert [dataclasses.astuple(target) for target in rule.targets] == [("p", "u", "f")]
    assert (rule.exact, rule.public_names, dict(rule.options)) == (False, ("n",), {"stop": "local"})
    assert (rule.context_window, rule.note) == (5, "why")
    assert rule.regex.fullmatch("ABC")


def test_rules_stand_in_order_of_position():
    provider = make_provider()
    for position, pattern in ((3, "c"), (1, "a"), (2, "b")):
        ModelMapping.objects.create(position=position, pattern=pattern, provider=provider)
    assert [rule.pattern for rule in load(CONF).rules] == ["a", "b", "c"]


def test_options_from_another_version_do_not_stop_the_gateway(caplog):
    provider = make_provider(options={"from_the_future": True})
    ModelMapping.objects.create(pattern="m", provider=provider, options={"stop": "??", "pdf": "file"})
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
        (GatewayConf(host="0.0.0.0"), False, False),
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
    ModelMapping.objects.create(position=9, pattern="*", provider=demo, origin=Origin.DEMO)
    assert [rule.enabled for rule in load(CONF).rules] == [True]
    assert load(CONF).providers["demo"].demo
    ModelMapping.objects.create(pattern="m", provider=make_provider())
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
            ModelMapping.objects.create(pattern="late", provider=provider)
        return snapshot

    monkeypatch.setattr(loader, "_read", changed_meanwhile)
    snapshot = load(CONF)
    assert [rule.pattern for rule in snapshot.rules] == ["late"]
    assert snapshot.stamp == ConfigStamp.current()


def test_loading_takes_the_same_number_of_queries_for_many_records(django_assert_num_queries):
    for number in range(20):
        ModelMapping.objects.create(pattern=f"m{number}", provider=make_provider(slug=f"p{number}"))
    with django_assert_num_queries(5):
        load(CONF)
