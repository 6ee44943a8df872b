"""The configuration as a file: out, compared, in again."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from gateway.config.changes import source_of
from gateway.config.document import Unusable, as_text, exported, imported, load, read
from gateway.models import (
    ClientKey,
    ConfigStamp,
    MappingTarget,
    ModelMapping,
    ModelPrice,
    Origin,
    Provider,
    SecretPattern,
)

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
