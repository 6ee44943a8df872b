"""Sign-ins by the device flow: every way it can go, and every way somebody may try."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from gateway.client_protocol import sign_in as protocol
from gateway.config import sign_in
from gateway.config.change_entries import source_of
from gateway.config.file.document import exported
from gateway.config.snapshot.loader import load
from gateway.limits.meters import Subject
from gateway.models import ClientKey, DeviceGrant, Origin, RefreshToken
from gateway.security.access_tokens import new_access_token, read_access_token

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
KEYS = (b"k" * 32, b"old" * 11)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def everything(_pk):
    return True


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", email="ada@example.com", is_staff=True)


def signed_in(user, now=NOW):
    begun = sign_in.begin("10.0.0.7", "claude-code/2.1.332", now)
    key = sign_in.approve(sign_in.waiting(begun.user_code, now), user, now)
    return key, sign_in.poll(begun.device_code, now, KEYS, everything)


def refused(code, work, *arguments):
    with pytest.raises(sign_in.SignInRefused) as problem:
        work(*arguments)
    assert problem.value.code == code
    return problem.value


def test_a_machine_that_its_person_lets_in_gets_tokens_once(ada):
    begun = sign_in.begin("10.0.0.7", "claude-code/2.1.332 (x)", NOW)
    refused("authorization_pending", sign_in.poll, begun.device_code, NOW, KEYS, everything)
    grant = sign_in.waiting(begun.user_code.lower().replace("-", " "), NOW)
    key = sign_in.approve(grant, ada, later(1))
    assert (key.origin, key.user, key.state(NOW)) == (Origin.SIGN_IN, ada, "active")
    # not before this process serves it, or its next request would be refused
    refused("authorization_pending", sign_in.poll, begun.device_code, later(5), KEYS, lambda _pk: False)
    tokens = sign_in.poll(begun.device_code, later(10), KEYS, everything)
    assert tokens.account == "ada@example.com"
    assert read_access_token(tokens.access_token, KEYS) == (key.pk, int(NOW.timestamp()) + 10 + 3600)
    refused("expired_token", sign_in.poll, begun.device_code, later(20), KEYS, everything)


def test_no_secret_is_stored(ada):
    begun = sign_in.begin("10.0.0.7", "c", NOW)
    sign_in.approve(sign_in.waiting(begun.user_code, NOW), ada, NOW)
    tokens = sign_in.poll(begun.device_code, NOW, KEYS, everything)
    stored = str([list(model.objects.values()) for model in (DeviceGrant, RefreshToken, ClientKey)])
    for secret in (begun.device_code, tokens.access_token, tokens.refresh_token):
        assert secret not in stored


def test_polling_too_fast_is_slowed_down(ada):
    begun = sign_in.begin("a", "c", NOW)
    refused("authorization_pending", sign_in.poll, begun.device_code, NOW, KEYS, everything)
    refused("slow_down", sign_in.poll, begun.device_code, later(1), KEYS, everything)
    refused("slow_down", sign_in.poll, begun.device_code, later(7), KEYS, everything)
    refused("authorization_pending", sign_in.poll, begun.device_code, later(30), KEYS, everything)


def test_a_denied_an_expired_and_an_unknown_code_are_told_apart(ada):
    begun = sign_in.begin("a", "c", NOW)
    assert sign_in.deny(sign_in.waiting(begun.user_code, NOW), ada, NOW)
    refused("access_denied", sign_in.poll, begun.device_code, later(5), KEYS, everything)
    begun = sign_in.begin("a", "c", NOW)
    grant = sign_in.waiting(begun.user_code, NOW)
    assert sign_in.waiting(begun.user_code, later(601)) is None
    assert sign_in.approve(grant, ada, later(601)) is None
    refused("expired_token", sign_in.poll, begun.device_code, later(601), KEYS, everything)
    refused("expired_token", sign_in.poll, "made-up", NOW, KEYS, everything)


def test_a_code_is_confirmed_once_and_by_one_person(ada):
    eve = get_user_model().objects.create_user("eve")
    begun = sign_in.begin("a", "c", NOW)
    grant = sign_in.waiting(begun.user_code, NOW)
    assert sign_in.approve(grant, ada, NOW) is not None
    assert sign_in.approve(grant, eve, NOW) is None
    assert not sign_in.deny(grant, eve, NOW)
    assert sign_in.waiting(begun.user_code, NOW) is None
    assert ClientKey.objects.get().user == ada


def test_nobody_inactive_lets_a_machine_in(ada):
    ada.is_active = False
    begun = sign_in.begin("a", "c", NOW)
    assert sign_in.approve(sign_in.waiting(begun.user_code, NOW), ada, NOW) is None
    assert not ClientKey.objects.exists()


def test_an_address_begins_only_so_many_sign_ins(ada):
    for _ in range(sign_in.MOST_STARTS):
        sign_in.begin("10.0.0.7", "c", NOW)
    assert refused("slow_down", sign_in.begin, "10.0.0.7", "c", NOW).status == 429
    sign_in.begin("10.0.0.8", "c", NOW)
    sign_in.begin("10.0.0.7", "c", later(601))


def test_all_addresses_of_an_ipv6_client_begin_only_so_many_sign_ins_together(ada):
    for number in range(sign_in.MOST_STARTS):
        sign_in.begin(f"2001:db8::{number:x}", "c", NOW)
    assert refused("slow_down", sign_in.begin, "2001:db8::ffff", "c", NOW).status == 429
    sign_in.begin("2001:db8:0:1::1", "c", NOW)
    assert {grant.address for grant in DeviceGrant.objects.all()} == {"2001:db8::/64", "2001:db8:0:1::/64"}


@pytest.mark.parametrize(
    "typed", ["", "BCDF", "BCDF-GHJKL", "AAAA-EEEE", "B" * 500, "\x00", "ＢＣＤＦＧＨＪＫ"]
)
def test_what_is_no_code_finds_nothing(typed):
    assert sign_in.waiting(typed, NOW) is None


LIMITS = {
    "allowed_models": ["small"],
    "capture": "none",
    "requests_per_minute": 9,
    "concurrent_requests": 2,
    "budget_period": "day",
    "spend_budget": 5,
}


def test_a_new_sign_in_takes_over_the_limits_of_the_one_before_and_what_it_used(ada):
    first, _tokens = signed_in(ada)
    assert load().sign_ins[first.pk].allowed_models == ()
    ClientKey.objects.filter(pk=first.pk).update(**LIMITS)
    first.revoke()
    ClientKey.issue("wide and newer", user=ada)
    second, _tokens = signed_in(ada, later(60))
    third, _tokens = signed_in(ada, later(90))
    before, after = (load().sign_ins[key.pk] for key in (first, third))
    assert (after.allowed_models, after.capture, after.limits) == (("small",), "none", before.limits)
    assert Subject.of(after) == Subject.of(before) == Subject.of(load().sign_ins[second.pk])


def test_who_has_a_key_signs_in_with_its_limits(ada):
    key, _secret = ClientKey.issue("hers", user=ada, **LIMITS)
    ClientKey.issue("of somebody else")
    signed, _tokens = signed_in(ada)
    assert load().sign_ins[signed.pk].allowed_models == ("small",)
    assert signed.lineage == key.pk


def test_an_expired_key_gives_a_sign_in_no_limits(ada):
    key, _secret = ClientKey.issue("in service", user=ada, allowed_models=["small"], expires_at=later(60))
    ClientKey.issue("newer, for a trial", user=ada, allowed_models=["large"], expires_at=NOW)
    signed, _tokens = signed_in(ada)
    assert (signed.allowed_models, signed.lineage) == (["small"], key.pk)


def test_the_first_sign_in_of_a_person_may_ask_for_what_the_environment_says(ada, monkeypatch):
    changed = dataclasses.replace(sign_in.gateway_conf(), sign_in_models=("claude-haiku-*",))
    monkeypatch.setattr(sign_in, "gateway_conf", lambda: changed)
    key, _tokens = signed_in(ada)
    assert load().sign_ins[key.pk].allowed_models == ("claude-haiku-*",)


def test_three_processes_that_renew_with_the_same_token_all_go_on(ada):
    _key, tokens = signed_in(ada)
    renewed = [sign_in.renew(tokens.refresh_token, later(second), KEYS) for second in (0, 1, 29)]
    assert len({one.refresh_token for one in renewed}) == 3
    for one in renewed:
        sign_in.renew(one.refresh_token, later(3000), KEYS)


def test_a_token_that_is_used_again_after_its_successor_ends_the_sign_in(ada):
    key, tokens = signed_in(ada)
    next_one = sign_in.renew(tokens.refresh_token, NOW, KEYS)
    last = sign_in.renew(next_one.refresh_token, later(3300), KEYS)
    problem = refused("invalid_grant", sign_in.renew, tokens.refresh_token, later(3400), KEYS)
    assert problem.status == 401
    key.refresh_from_db()
    assert key.revoked_at is not None
    refused("invalid_grant", sign_in.renew, last.refresh_token, later(3401), KEYS)


def test_machines_whose_answer_was_lost_renew_with_their_old_token(ada):
    _key, tokens = signed_in(ada)
    for second in (0, 31, 8 * 3600):
        sign_in.renew(tokens.refresh_token, later(second), KEYS)
    # its processes wake up together
    woken = [sign_in.renew(tokens.refresh_token, later(8 * 3600 + second), KEYS) for second in (1, 2)]
    for one in woken:
        sign_in.renew(one.refresh_token, later(12 * 3600), KEYS)


def test_a_stolen_old_token_is_found_out_by_the_machine_that_has_its_successor(ada):
    key, tokens = signed_in(ada)
    theirs = sign_in.renew(tokens.refresh_token, NOW, KEYS)
    thiefs = sign_in.renew(tokens.refresh_token, later(60), KEYS)
    refused("invalid_grant", sign_in.renew, theirs.refresh_token, later(3300), KEYS)
    key.refresh_from_db()
    assert key.revoked_at is not None
    refused("invalid_grant", sign_in.renew, thiefs.refresh_token, later(3301), KEYS)


def renewed_by_the_release_before(token, now):
    """A renewal as it was stored before tokens named their predecessor."""
    renewed = sign_in.renew(token, now, KEYS)
    RefreshToken.objects.filter(issued_at=now).update(predecessor=None)
    return renewed.refresh_token


def test_a_token_that_the_release_before_renewed_ends_the_sign_in(ada):
    key, tokens = signed_in(ada)
    next_one = renewed_by_the_release_before(tokens.refresh_token, later(10))
    # the machine goes on with this release, and then somebody comes with the token of days ago
    last = sign_in.renew(next_one, later(3300), KEYS)
    refused("invalid_grant", sign_in.renew, tokens.refresh_token, later(3 * 86400), KEYS)
    key.refresh_from_db()
    assert key.revoked_at is not None
    refused("invalid_grant", sign_in.renew, last.refresh_token, later(3 * 86400), KEYS)


@pytest.mark.parametrize("release_before_comes", [1, 2])
def test_processes_that_renew_around_an_upgrade_go_on_and_the_token_is_then_spent(ada, release_before_comes):
    key, tokens = signed_in(ada)
    renewals = [sign_in.renew, sign_in.renew]
    renewals[release_before_comes - 1] = lambda token, now, _keys: renewed_by_the_release_before(token, now)
    for second, renewal in zip((10, 25), renewals, strict=True):
        renewal(tokens.refresh_token, later(second), KEYS)
    assert key.state(NOW) == "active"
    refused("invalid_grant", sign_in.renew, tokens.refresh_token, later(60), KEYS)


def test_a_token_of_the_release_before_that_was_not_spent_is_renewed_as_any_other(ada):
    _key, tokens = signed_in(ada)
    unspent = renewed_by_the_release_before(tokens.refresh_token, later(10))
    for second in (3300, 3310, 8 * 3600):
        renewed = sign_in.renew(unspent, later(second), KEYS)
    sign_in.renew(renewed.refresh_token, later(9 * 3600), KEYS)


@pytest.mark.parametrize("how", ["inactive", "revoked", "old", "unknown"])
def test_who_may_not_come_in_any_more_renews_nothing(ada, how):
    key, tokens = signed_in(ada)
    token, now = tokens.refresh_token, later(60)
    if how == "inactive":
        get_user_model().objects.update(is_active=False)
    elif how == "revoked":
        key.revoke()
    elif how == "old":
        now = NOW + sign_in.REFRESH_LIFETIME
    else:
        token = "ccr_nothing"
    refused("invalid_grant", sign_in.renew, token, now, KEYS)


@pytest.mark.parametrize("by", ["access_token", "refresh_token"])
def test_signing_out_ends_the_whole_sign_in(ada, by):
    key, tokens = signed_in(ada)
    sign_in.end("nonsense", KEYS)
    sign_in.end(getattr(tokens, by), KEYS)
    key.refresh_from_db()
    assert key.revoked_at is not None
    refused("invalid_grant", sign_in.renew, tokens.refresh_token, NOW, KEYS)


def test_a_token_of_a_key_of_another_kind_ends_nothing(ada):
    record, _key = ClientKey.issue("other")
    sign_in.end(new_access_token(record.pk, 2**40, KEYS), KEYS)
    record.refresh_from_db()
    assert record.revoked_at is None


def test_the_configuration_serves_the_sign_in_and_its_file_does_not_have_it(ada):
    key, _tokens = signed_in(ada)
    snapshot = load()
    assert snapshot.sign_ins[key.pk].owner_id == ada.pk
    assert exported()["keys"] == []


def test_the_commands_do_what_the_pages_do_and_are_logged(ada, capsys):
    begun = sign_in.begin("a", "c", datetime.now(UTC))
    call_command("approvesignin", begun.user_code, "--user", "ada")
    assert ClientKey.objects.get().user == ada
    with pytest.raises(CommandError):
        call_command("approvesignin", begun.user_code, "--user", "ada")
    with pytest.raises(CommandError):
        call_command("approvesignin", "BCDF-GHJK", "--user", "nobody")
    call_command("disableuser", "ada")
    ada.refresh_from_db()
    assert not ada.is_active
    entry = LogEntry.objects.first()
    assert (entry.object_repr, source_of(entry)) == ("ada", "command")
    call_command("enableuser", "ada")
    ada.refresh_from_db()
    assert ada.is_active
    with pytest.raises(CommandError):
        call_command("disableuser", "nobody")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "cca_",
        "cca_1.2.3",
        "cca_1.2.3.4",
        "ccp_x",
        "cca_" + "a" * 500,
        "cca_é.1.1.1",
        "cca_zz.1.x." + "0" * 64,
    ],
)
def test_what_we_did_not_sign_is_no_token(token):
    assert read_access_token(token, KEYS) is None


def test_a_changed_token_is_none_and_an_older_key_is_still_good():
    token = new_access_token(7, 1000, KEYS[1:])
    assert read_access_token(token, KEYS) == (7, 1000)
    assert read_access_token(token, KEYS[:1]) is None
    for place in range(4, len(token)):
        other = token[:place] + ("0" if token[place] != "0" else "1") + token[place + 1 :]
        assert read_access_token(other, KEYS) is None


def test_discovery_names_endpoints_of_one_origin():
    document = protocol.discovery("https://gw.example/sub")
    for name in ("device_authorization_endpoint", "token_endpoint", "revocation_endpoint"):
        assert document[name].startswith("https://gw.example/sub/oauth/")
