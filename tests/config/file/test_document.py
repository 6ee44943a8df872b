"""The configuration as a file: out, compared, in again."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.change_entries import source_of
from gateway.config.file.document import as_text, exported, imported, load, read
from gateway.config.file.fields import Unusable
from gateway.config.ramps import finish, roll_back
from gateway.models import (
    ClientKey,
    ConfigStamp,
    MappingTarget,
    ModelMapping,
    ModelPrice,
    Origin,
    Provider,
    Ramp,
    SecretPattern,
    Shadow,
)
from gateway.security.client_keys import digest
from tests.examples import examples

pytestmark = pytest.mark.django_db


@pytest.fixture
def configured():
    acme = Provider.objects.create(
        name="Acme", slug="acme", base_url="https://acme.test/v1", query={"v": "1"}, options={}
    )
    acme.add_credential("sk-acme-secret", "main")
    acme.add_credential("sk-acme-other", "other")
    Provider.objects.create(name="Env", slug="env", base_url="https://env.test/v1", origin=Origin.ENVIRONMENT)
    mapping = ModelMapping.objects.create(pattern="*", position=3, public_names=["claude-x"])
    MappingTarget.objects.create(mapping=mapping, provider=acme, upstream_model="u-1")
    ClientKey.issue("ada", owner="ada@example.com", requests_per_minute=7)
    ModelPrice.objects.create(provider=acme, model="u-1", input="1.5", output="6")
    SecretPattern.objects.create(name="badge", pattern=r"EMP-\d+", literal="EMP-")
    return acme


def cleared():
    for model in (ModelMapping, ModelPrice, Provider, SecretPattern, ClientKey):
        model.objects.all().delete()


def test_no_secret_and_nothing_of_the_environment_is_in_the_file(configured):
    text = as_text(exported())
    assert "sk-acme" not in text and ClientKey.objects.get().digest not in text
    assert '"slug": "env"' not in text
    assert '"env": "ACME_KEY_2"' in text


def test_the_same_configuration_makes_the_same_text(configured):
    assert as_text(exported()) == as_text(exported())


def test_taking_its_own_file_in_changes_nothing_not_even_the_stamp(configured):
    document, stamp = json.loads(as_text(exported())), ConfigStamp.current()
    assert imported(document) == []
    assert ConfigStamp.current() == stamp


def test_a_new_server_gets_the_same_configuration_with_secrets_from_its_environment(configured, monkeypatch):
    document = json.loads(as_text(exported()))
    document["keys"][0]["key"] = {"env": "ADA"}
    cleared()
    for name, value in (("ACME_KEY", "sk-1"), ("ACME_KEY_2", "sk-2"), ("ADA", "ccp_adas-own-key-0123456789")):
        monkeypatch.setenv(name, value)
    imported(document)
    document["keys"][0].pop("key")
    assert json.loads(as_text(exported())) == document
    acme = Provider.objects.get()
    assert [one.revealed() for one in acme.credentials.all()] == ["sk-1", "sk-2"]
    assert source_of(LogEntry.objects.latest("pk")) == "file"


def test_a_dry_run_says_each_difference_and_changes_nothing(configured):
    document = json.loads(as_text(exported()))
    document["providers"][0]["enabled"] = False
    document["mappings"][0]["targets"][0]["upstream_model"] = "u-2"
    document["mappings"].append({"pattern": "new-*", "targets": [{"provider": "acme"}]})
    before, entries = as_text(exported()), LogEntry.objects.count()
    lines = imported(document, dry_run=True)
    assert "~ provider Acme: enabled: true -> false" in lines
    assert any('upstream_model: "u-1" -> "u-2"' in line for line in lines)
    assert any(line.startswith("+ model mapping new-*") for line in lines)
    assert as_text(exported()) == before
    assert LogEntry.objects.count() == entries


def test_what_the_file_does_not_have_stays_unless_it_is_to_go(configured):
    document = json.loads(as_text(exported()))
    document["mappings"], document["keys"], document["secret_patterns"] = [], [], []
    assert imported(document) == []
    imported(document, remove=True)
    assert not ModelMapping.objects.exists() and not SecretPattern.objects.exists()
    assert ClientKey.objects.get().state() == "revoked"
    assert Provider.objects.filter(slug="env").exists()


def test_a_missing_section_is_left_alone(configured):
    imported({"ccproxy": 1}, remove=True)
    assert Provider.objects.filter(slug="acme").exists()


def test_a_key_that_is_not_here_is_told_of(configured):
    assert "! key bob: not here" in imported({"ccproxy": 1, "keys": [{"name": "bob"}]})[0]


@pytest.mark.parametrize(
    ("section", "item", "problem"),
    [
        ("providers", {"slug": "x", "name": "X", "base_url": "ftp://x"}, "providers[0]: base_url"),
        ("providers", {"name": "X"}, "'slug' is missing"),
        ("providers", {"slug": "acme", "colour": "red"}, "'colour' is no field"),
        (
            "providers",
            {"slug": "acme", "credentials": [{"label": "main", "value": "sk-1"}]},
            "a secret stands",
        ),
        ("mappings", {"pattern": "a", "targets": [{"provider": "nobody"}]}, "no provider 'nobody'"),
        ("mappings", "a", "must be an object"),
        ("prices", {"model": "m", "input": "much", "output": "1"}, "prices[0]"),
    ],
)
def test_a_wrong_file_says_where_and_changes_nothing(configured, section, item, problem):
    before = as_text(exported())
    good = {"slug": "good", "name": "Good", "base_url": "https://good.test"}
    document = {"ccproxy": 1, "providers": [good], section: [item]}
    with pytest.raises(Unusable) as told:
        imported(document)
    assert problem in str(told.value)
    assert as_text(exported()) == before


def test_commands_write_read_and_compare(configured, tmp_path, capsys):
    file = tmp_path / "config.json"
    call_command("exportconfig", str(file))
    assert read(file)["ccproxy"] == 1
    file.write_text(file.read_text().replace('"Acme"', '"Acme Ltd"'))
    call_command("importconfig", str(file), dry_run=True)
    assert "1 change would be made" in capsys.readouterr().out
    assert load(file) == 1
    assert Provider.objects.get(slug="acme").name == "Acme Ltd"
    for text in ("{", "[]", '{"ccproxy": 99}'):
        file.write_text(text)
        with pytest.raises(CommandError):
            call_command("importconfig", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("importconfig", str(tmp_path / "none.json"))


def test_a_key_with_an_owner_and_one_that_was_rotated_are_exported(configured, django_user_model):
    user = django_user_model.objects.create_user("ann")
    key, _ = ClientKey.issue("anns", user=user)
    key.rotate(timedelta(days=1))
    document = json.loads(as_text(exported()))
    assert [one.get("user") for one in document["keys"]] == [None, "ann", "ann"]
    assert imported(document) == []
    document["keys"][1]["user"] = "nobody"
    with pytest.raises(Unusable, match="no user 'nobody'"):
        imported(document)


def test_what_an_admin_did_to_a_key_meanwhile_does_not_stop_the_file(configured, monkeypatch):
    monkeypatch.setenv("BOBS", "ccp_bobs-own-key-0123456789")
    document = {"ccproxy": 1, "keys": [{"name": "bob", "key": {"env": "BOBS"}}]}
    imported(document)
    record = ClientKey.objects.get(name="bob")
    record.name = "robert"
    record.save()
    imported(document)
    assert ClientKey.objects.get(pk=record.pk).name == "bob"
    record.revoke()
    assert "left as it is" in imported(document)[0]
    assert ClientKey.objects.get(pk=record.pk).state() == "revoked"


def test_credentials_positions_and_headers_are_taken_over(configured, monkeypatch):
    configured.set_headers({"X-Team": "team-secret"})
    configured.save()
    document = json.loads(as_text(exported()))
    assert document["providers"][0]["headers"] == {"X-Team": {"env": "ACME_HEADER_1"}}
    assert imported(document) == []
    first, second = document["providers"][0]["credentials"]
    first["enabled"], second["position"] = False, 7
    imported(document)
    assert [(one.label, one.enabled, one.position) for one in configured.credentials.all()] == [
        ("main", False, 0), ("other", True, 7),
    ]  # fmt: skip
    del document["providers"][0]["credentials"][0]
    imported(document, remove=True)
    assert [one.revealed() for one in configured.credentials.all()] == ["sk-acme-other"]
    monkeypatch.setenv("ACME_HEADER_1", "another")
    imported(document)
    configured.refresh_from_db()
    assert configured.revealed_headers() == {"X-Team": "another"}


def test_numbers_of_json_are_taken_for_decimals(configured):
    imported(
        {
            "ccproxy": 1,
            "keys": [{"name": "ada", "spend_budget": 12.99}],
            "prices": [{"provider": "acme", "model": "u-1", "input": 0.1, "output": 1.3}],
        }
    )
    price = ModelPrice.objects.get()
    assert (str(ClientKey.objects.get().spend_budget), f"{price.input:f} {price.output:f}") == (
        "12.99", "0.100000 1.300000",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("section", "item"),
    [
        ("keys", {"name": "ada", "allowed_models": "claude-haiku*"}),
        ("keys", {"name": "ada", "requests_per_minute": "many"}),
        ("keys", {"name": "ada", "requests_per_minute": 1.5}),
        ("keys", {"name": "ada", "capture": 3}),
        ("keys", {"name": "ada", "token_budget": 10**40}),
        ("mappings", {"pattern": "*", "public_names": "claude"}),
        ("mappings", {"pattern": "*", "enabled": "no"}),
        ("providers", {"slug": "acme", "options": []}),
        ("providers", {"slug": "acme", "enabled": 0}),
        ("providers", {"slug": "env", "base_url": "https://evil.test"}),
        ("providers", {"slug": "acme", "name": "a\x00b"}),
        ("prices", {"model": "m", "input": True, "output": 1}),
    ],
)
def test_a_value_of_another_kind_is_refused(configured, section, item):
    before = as_text(exported())
    with pytest.raises(Unusable):
        imported({"ccproxy": 1, section: [item]})
    assert as_text(exported()) == before


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", categories=("L", "N", "P")),
    min_size=1,
    max_size=12,
)


@st.composite
def configurations(draw):
    """Records as admins make them: with names that occur twice, and all parts that may be missing."""
    slugs = draw(st.lists(st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), unique=True, max_size=3))
    providers = [
        {
            "slug": slug,
            "name": draw(NAMES),
            "enabled": draw(st.booleans()),
            "credentials": draw(
                st.lists(
                    st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 3), st.booleans()), max_size=3
                )
            ),
            "headers": draw(
                st.lists(st.from_regex(r"X-[A-Z]{1,3}", fullmatch=True), unique=True, max_size=2)
            ),
        }
        for slug in slugs
    ]
    mappings = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["*", "a*", "b"]),
                st.integers(0, 2),
                st.lists(st.sampled_from(slugs), max_size=2) if slugs else st.just([]),
            ),
            max_size=4,
        )
    )
    prices = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["m", "n*"]),
                st.decimals(0, 100, places=4),
                st.none()
                | st.datetimes(
                    timezones=st.just(UTC), min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)
                ),
            ),
            max_size=3,
        )
    )
    return providers, mappings, prices


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configurations())
def test_what_is_exported_and_imported_is_exported_again_as_the_same_bytes(configuration):
    providers, mappings, prices = configuration
    cleared()
    for one in providers:
        record = Provider(
            slug=one["slug"], name=one["name"], enabled=one["enabled"], base_url="https://a.test/v1"
        )
        record.set_headers({name: f"value of {name}" for name in one["headers"]})
        record.save()
        for number, (label, position, enabled) in enumerate(one["credentials"]):
            record.add_credential(f"sk-{number}", label, position=position, enabled=enabled)
    for pattern, position, targets in mappings:
        mapping = ModelMapping.objects.create(pattern=pattern, position=position)
        for slug in targets:
            mapping.lead_to(Provider.objects.get(slug=slug), "u")
    for model, rate, since in prices:
        ModelPrice.objects.create(model=model, input=rate, output=rate, valid_from=since)
    text = as_text(exported())
    stamp = ConfigStamp.current()
    assert imported(json.loads(text)) == []
    assert (as_text(exported()), ConfigStamp.current()) == (text, stamp)
    cleared()
    with pytest.MonkeyPatch.context() as environment:
        for name in re.findall(r'"env": "(\w+)"', text):
            environment.setenv(name, f"secret of {name}")
        imported(json.loads(text))
    assert as_text(exported()) == text


def test_names_of_variables_collide_neither_with_each_other_nor_with_our_settings(db, settings):
    for slug in ("secret", "a-b", "a_b", "a_b-key", "field-encryption"):
        provider = Provider.objects.create(name=slug, slug=slug, base_url="https://acme.test/v1")
        provider.add_credential("one", "a")
        provider.add_credential("two", "b")
    text = as_text(exported())
    names = re.findall(r'"env": "([^"]+)"', text)
    assert len(names) == len(set(names)) == 10
    assert not settings.ENVIRONMENT_NAMES.intersection(names)
    assert imported(json.loads(text)) == []


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL"])
def test_a_file_sends_no_setting_of_ours_to_a_provider(db, name):
    credential = {"label": "a", "value": {"env": name}}
    provider = {"slug": "p", "name": "P", "base_url": "https://p.test/v1", "credentials": [credential]}
    with pytest.raises(Unusable, match="is a setting of the gateway"):
        imported({"ccproxy": 1, "providers": [provider]})
    assert not Provider.objects.exists()


@pytest.mark.parametrize("meanwhile", ["owner gone", "provider of the environment", "credential unreadable"])
def test_what_an_admin_did_meanwhile_stops_no_start_and_an_import_as_a_whole(
    configured, tmp_path, django_user_model, caplog, meanwhile
):
    file = tmp_path / "file.json"
    document = exported()
    if meanwhile == "owner gone":
        document["keys"][0]["user"] = "gone"
    elif meanwhile == "provider of the environment":
        Provider.objects.filter(slug="acme").update(origin=Origin.ENVIRONMENT)
    else:
        document["mappings"][0]["targets"][0]["provider"] = "removed"
    document["secret_patterns"].append({"name": "new", "pattern": "NEW-[0-9]+"})
    file.write_text(as_text(document))

    with pytest.raises(CommandError):
        call_command("importconfig", str(file))
    assert not SecretPattern.objects.filter(name="new").exists()

    load(file)
    assert SecretPattern.objects.filter(name="new").exists()
    assert "the configuration file" in caplog.text


@pytest.mark.parametrize(("key", "warned"), [("secret", True), ("x" * 15, True), ("x" * 16, False)])
def test_a_short_key_that_somebody_made_is_warned_about(db, monkeypatch, admin_client, key, warned):
    monkeypatch.setenv("HAND_MADE", key)
    said = imported({"ccproxy": 1, "keys": [{"name": "k", "key": {"env": "HAND_MADE"}}]})
    assert any("can be guessed" in line for line in said) is warned
    assert ("can be guessed" in admin_client.get("/admin/gateway/clientkey/").content.decode()) is warned


def test_the_conditions_of_a_mapping_stand_under_when(configured):
    when = {"class": ["subagent", "auxiliary"]}
    document = exported()
    assert document["mappings"][0]["when"] == {}
    document["mappings"][0]["when"] = when
    imported(document)
    assert ModelMapping.objects.get().when == when
    assert exported()["mappings"][0]["when"] == when
    document["mappings"][0]["when"] = {"class": ["dreaming"]}
    with pytest.raises(Unusable, match="class is a list of these"):
        imported(document)


def test_conditions_of_mappings_stand_in_the_file_and_come_back_as_they_are(configured):
    when = {"class": ["subagent", "auxiliary"], "input_tokens": {"from": 60000}, "images": True}
    ModelMapping.objects.update(when=when, skips_blind=True)
    document = exported()
    assert document["mappings"][0]["when"] == when
    ModelMapping.objects.update(when={}, skips_blind=False)
    assert any("when" in line for line in imported(json.loads(as_text(document))))
    mapping = ModelMapping.objects.get()
    assert (mapping.when, mapping.skips_blind) == (when, True)
    assert imported(document) == []


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"moon": "full"}, "moon is no condition; there are: class, agent_type"),
        ({"input_tokens": {"from": 2, "to": 1}}, "input_tokens: the range ends before it begins"),
        ({"header": {"authorization": ["x"]}}, "header: authorization may carry a credential"),
    ],
)
def test_a_condition_that_is_wrong_is_refused_with_the_place_where_it_stands(configured, when, said):
    with pytest.raises(Unusable, match=rf"mappings\[0\]: when: {re.escape(said)}"):
        imported({"ccproxy": 1, "mappings": [{"pattern": "m", "when": when}]})


def test_a_key_is_taken_in_by_its_digest_and_a_wrong_digest_is_refused(db):
    digest = "0" * 64
    imported({"ccproxy": 1, "keys": [{"name": "moved", "key": {"sha256": digest.upper()}}]})
    assert ClientKey.objects.get(name="moved").digest == digest
    for wrong in ("x" * 64, "0" * 63, "", None, 3):
        with pytest.raises(Unusable, match="64 hexadecimal digits"):
            imported({"ccproxy": 1, "keys": [{"name": "other", "key": {"sha256": wrong}}]})


def test_shares_stand_under_weight_and_go_in_again_with_the_salt_that_keeps_sessions_in_place(configured):
    mapping = ModelMapping.objects.get()
    mapping.targets.update(weight=90)
    mapping.lead_to(configured, "u-2", weight=10)
    document = exported()
    assert [one["weight"] for one in document["mappings"][0]["targets"]] == [90, 10]
    assert document["mappings"][0]["salt"] == mapping.salt
    imported(document, remove=True)
    assert imported(document, remove=True) == []
    mapping.delete()
    imported(document)
    again = ModelMapping.objects.get()
    assert again.salt == mapping.salt
    assert list(again.targets.values_list("weight", flat=True)) == [90, 10]


@pytest.mark.parametrize("weight", [0, -1, 1e300, "ten", True])
def test_a_weight_that_is_none_is_refused(configured, weight):
    document = exported()
    document["mappings"][0]["targets"][0]["weight"] = weight
    with pytest.raises(Unusable, match="weight"):
        imported(document)


def test_a_file_without_salts_divides_sessions_alike_wherever_it_is_taken_in(configured):
    document = exported()
    del document["mappings"][0]["salt"]
    salts = set()
    for _ in range(2):
        ModelMapping.objects.all().delete()
        imported(json.loads(json.dumps(document)))
        salts.add(ModelMapping.objects.get().salt)
    assert len(salts) == 1 and salts != {""}


@pytest.fixture
def shadowed(configured):
    mapping = ModelMapping.objects.get()
    return Shadow.objects.create(
        mapping=mapping, provider=configured, upstream_model="u-2", share=5, daily_cap=2, released=True
    )


def test_a_shadow_stands_with_its_mapping_and_comes_back(shadowed):
    document = json.loads(as_text(exported()))
    shadow = document["mappings"][0]["shadow"]
    assert (shadow["provider"], shadow["upstream_model"], shadow["share"]) == (
        shadowed.provider.slug, "u-2", 5.0,
    )  # fmt: skip
    assert imported(document) == []
    ModelMapping.objects.all().delete()
    imported(document)
    again = Shadow.objects.get()
    assert (again.provider, again.share, again.daily_cap, again.released) == (shadowed.provider, 5, 2, True)


def test_a_file_that_says_nothing_of_a_shadow_leaves_it_and_null_takes_it_away(shadowed):
    document = json.loads(as_text(exported()))
    entry = document["mappings"][0]
    del entry["shadow"]
    assert imported(document) == [] and Shadow.objects.exists()
    entry["shadow"] = None
    assert imported(document, dry_run=True) and Shadow.objects.exists()
    assert imported(document)
    assert not Shadow.objects.exists()
    assert imported(document) == []


@pytest.mark.parametrize(
    ("shadow", "said"),
    [
        ("acme", "shadow must be an object"),
        ({"provider": "nobody", "upstream_model": "u", "share": 5, "daily_cap": 1}, "shadow: there is no"),
        ({"upstream_model": "u", "share": 5, "daily_cap": 1}, "shadow: there is no provider"),
        ({"provider": None, "share": 500, "upstream_model": "u", "daily_cap": 1}, ""),
        ({"provider": None, "share": 5, "upstream_model": "u", "daily_cap": 1, "step": 3}, "no field"),
    ],
)
def test_a_shadow_that_cannot_be_is_refused_with_its_reason(configured, shadow, said):
    document = json.loads(as_text(exported()))
    if isinstance(shadow, dict) and "provider" in shadow and shadow["provider"] is None:
        shadow = {**shadow, "provider": configured.slug}
    document["mappings"][0]["shadow"] = shadow
    with pytest.raises(Unusable) as refused:
        imported(document)
    assert said in str(refused.value)
    assert not Shadow.objects.exists()


@pytest.fixture
def ramped(configured):
    mapping = ModelMapping.objects.get()
    target = mapping.lead_to(configured, "u-2")
    steps = [{"share": 10, "seconds": 3600}, {"share": 100}]
    starts_at = datetime(2027, 1, 1, 18, tzinfo=UTC)
    return Ramp.objects.create(
        mapping=mapping, target=target, steps=steps, starts_at=starts_at, guard_errors=5
    )


def test_a_ramp_stands_with_its_mapping_and_begins_anew_where_it_is_not_known(ramped):
    document = json.loads(as_text(exported()))
    ramp = document["mappings"][0]["ramp"]
    assert (ramp["target"], ramp["steps"], ramp["guard_errors"]) == (1, ramped.steps, 5)
    assert "state" not in ramp and "figures" not in ramp
    assert imported(document) == []
    ModelMapping.objects.all().delete()
    imported(document)
    again = Ramp.objects.get()
    assert (again.state, again.steps, again.starts_at) == ("waiting", ramped.steps, ramped.starts_at)
    assert again.target.upstream_model == "u-2"


def test_a_file_that_is_loaded_at_each_start_does_not_begin_a_ramp_again_that_ended(ramped):
    document = json.loads(as_text(exported()))
    for end in (finish, roll_back):
        Ramp.objects.update(state="running", step=1, step_since=ramped.starts_at)
        end(Ramp.objects.get(), ramped.starts_at)
        weights = list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True))
        assert weights.count(100) == 1
        assert imported(document) == []
        assert list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True)) == weights


@pytest.mark.parametrize(
    "starts_at",
    ["2027-01-01T18:00:00Z", "2027-01-01T18:00:00+00:00", "2027-01-01T19:00+01:00", "2027-01-01 18:00"],
)
@pytest.mark.parametrize("state", ["running", "done", "rolled_back"])
def test_a_ramp_is_known_however_the_file_writes_it(ramped, starts_at, state):
    document = json.loads(as_text(exported()))
    entry = {"target": 1, "starts_at": starts_at, "steps": ramped.steps, "guard_errors": 5}
    document["mappings"][0]["ramp"] = entry
    Ramp.objects.update(state="running", step=1, step_since=ramped.starts_at)
    for end in {"done": [finish], "rolled_back": [roll_back]}.get(state, []):
        end(Ramp.objects.get(), ramped.starts_at)
    weights = list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True))
    assert imported(document) == []
    assert Ramp.objects.get().state == state
    assert list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True)) == weights


def test_a_ramp_is_known_beside_a_later_one_of_an_admin(ramped):
    document = json.loads(as_text(exported()))
    Ramp.objects.update(state="running", step=1, step_since=ramped.starts_at)
    roll_back(Ramp.objects.get(), ramped.starts_at)
    Ramp.objects.create(mapping=ramped.mapping, target=ramped.target, steps=[{"share": 3}])
    weights = list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True))
    assert imported(document) == []
    assert sorted(Ramp.objects.values_list("state", flat=True)) == ["rolled_back", "waiting"]
    assert list(MappingTarget.objects.order_by("pk").values_list("weight", flat=True)) == weights


def test_another_secret_in_the_variable_of_a_key_replaces_the_former(configured, monkeypatch):
    document = {**exported(), "keys": [{"name": "ci", "key": {"env": "CI_KEY"}}]}
    monkeypatch.setenv("CI_KEY", "a-long-secret-that-leaked")
    imported(document)
    made = ClientKey.objects.get(name="ci")
    monkeypatch.setenv("CI_KEY", "a-long-secret-that-nobody-knows")
    imported(document)
    assert ClientKey.objects.get(name="ci").pk == made.pk
    assert ClientKey.objects.get(name="ci").digest == digest("a-long-secret-that-nobody-knows")
    stamp = ConfigStamp.current()
    imported(document)
    assert ConfigStamp.current() == stamp


def test_a_digest_alone_does_not_take_the_secret_of_a_key_with_the_same_name(configured):
    before = ClientKey.objects.get().digest
    document = {**exported(), "keys": [{"name": "ada", "key": {"sha256": digest("of another gateway")}}]}
    assert any("another secret" in line for line in imported(document, skip=True))
    assert ClientKey.objects.get().digest == before


def test_loading_a_time_without_a_zone_again_changes_nothing(configured):
    ClientKey.issue("k")
    document = {**exported(), "keys": [{"name": "k", "expires_at": "2027-01-01T18:00"}]}
    imported(document)
    stamp = ConfigStamp.current()
    imported(document)
    assert ConfigStamp.current() == stamp


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"target": 7}, "from 0 on"), ({"target": 0}, "gets all sessions already"),
     ({"steps": []}, "1 to 20 steps"), ({"steps": "x"}, "a list"), ({"state": "done"}, "is no field")],
)  # fmt: skip
def test_a_ramp_that_makes_no_sense_is_refused(ramped, change, problem):
    document = json.loads(as_text(exported()))
    document["mappings"][0]["ramp"].update(change)
    with pytest.raises(Unusable, match=problem):
        imported(document)


@pytest.fixture
def _ada_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("ADA_FILE", str(tmp_path / "ada"))
    monkeypatch.setenv("ADA", "not this one, as with the gateway's own settings")


@pytest.mark.usefixtures("_ada_in_a_file")
def test_a_secret_is_read_from_the_file_that_its_variable_names(db, tmp_path):
    (tmp_path / "ada").write_text("ccp_adas-own-key-0123456789\r\n")
    imported({"ccproxy": 1, "keys": [{"name": "ada", "key": {"env": "ADA"}}]})
    expected = ClientKey(name="expected")
    expected.set_key("ccp_adas-own-key-0123456789")
    assert ClientKey.objects.get(name="ada").digest == expected.digest


@pytest.mark.usefixtures("_ada_in_a_file")
@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_of_a_secret_that_cannot_be_read_is_told_with_its_variable(db, tmp_path, content):
    if content is not None:
        (tmp_path / "ada").write_bytes(content)
    with pytest.raises(Unusable, match="ADA_FILE names a file or folder that cannot be used"):
        imported({"ccproxy": 1, "keys": [{"name": "ada", "key": {"env": "ADA"}}]})
    assert not ClientKey.objects.exists()
