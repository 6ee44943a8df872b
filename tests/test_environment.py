"""The environment's list, its example file, and the first start's secrets."""

import os
import re
import stat
from pathlib import Path

import pytest

from ccproxy_site import environment, first_secrets
from ccproxy_site.places import PROJECT_DIR

EXAMPLE = Path(PROJECT_DIR / ".env.example").read_text()


def example_names():
    return re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)


def test_the_example_lists_every_variable_in_the_order_of_the_settings():
    assert example_names() == list(environment.SCHEME)


def test_the_example_shows_each_default():
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    for name, (kind, default) in environment.SCHEME.items():
        shown = ",".join(default) if kind is list else str(default).lower() if kind is bool else str(default)
        assert values[name] == shown.removesuffix(".0"), name


def test_every_variable_of_the_example_has_a_line_of_explanation_above_it():
    lines = EXAMPLE.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[A-Z_]+=", line):
            assert lines[number - 1].startswith("# "), line


def test_custom_headers_are_named_with_dashes(monkeypatch):
    monkeypatch.setenv("CUSTOM_HEADER_X_API_KEY", "v")
    monkeypatch.setenv("CUSTOM_HEADER_", "nothing")
    assert environment.custom_headers() == {"X-API-KEY": "v"}


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / ".env"
    monkeypatch.setattr(first_secrets, "ENV_FILE", path)
    return path


def test_the_first_start_makes_both_secrets_in_a_file_that_only_its_owner_reads(env_file):
    first_secrets.main()
    text = env_file.read_text()
    assert re.search(r"^SECRET_KEY=\S{40,}$", text, re.MULTILINE)
    assert re.search(r"^FIELD_ENCRYPTION_KEYS=\S{44}$", text, re.MULTILINE)
    assert stat.S_IMODE(os.stat(env_file).st_mode) == 0o600


def test_a_second_start_changes_nothing(env_file):
    first_secrets.main()
    text = env_file.read_text()
    first_secrets.main()
    assert env_file.read_text() == text


def test_an_existing_file_keeps_its_lines_and_gets_only_what_is_missing(env_file):
    env_file.write_text("OPENAI_API_KEY=sk-1\nSECRET_KEY=mine")
    first_secrets.main()
    text = env_file.read_text()
    assert text.startswith("OPENAI_API_KEY=sk-1\nSECRET_KEY=mine\n#")
    assert text.count("SECRET_KEY=") == 1
    assert "FIELD_ENCRYPTION_KEYS=" in text


def test_a_secret_in_the_real_environment_is_not_made_again(env_file, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "there")
    first_secrets.main()
    assert "SECRET_KEY" not in env_file.read_text()


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SECRET_KEY", "DATABASE_URL"])
def test_the_line_end_of_a_file_is_no_part_of_the_secret_in_it(tmp_path, monkeypatch, name, end):
    file = tmp_path / "secret"
    file.write_bytes(b" sk-1 " + end.encode())
    monkeypatch.setenv(name + "_FILE", str(file))
    # each keeps what it has read
    monkeypatch.setattr(environment.Environment, "ENVIRON", environment._Files())
    assert environment.Environment(**environment.SCHEME)(name) == " sk-1 "


def test_a_list_in_a_file_may_end_in_a_line_end(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text("one,two\n")
    monkeypatch.setenv("FIELD_ENCRYPTION_KEYS_FILE", str(file))
    monkeypatch.setattr(environment.Environment, "ENVIRON", environment._Files())
    assert environment.Environment(**environment.SCHEME)("FIELD_ENCRYPTION_KEYS") == ["one", "two"]


def test_the_public_address_gives_a_host_and_an_origin():
    urls = [
        "https://ccproxy.example.org:8443/sub",
        "http://[::1]:80",
        "ccproxy.example.org",
        "",
        "https://[",
        "x://",
    ]
    assert environment.hosts(urls) == ["ccproxy.example.org", "[::1]"]
    assert environment.origins(urls) == ["https://ccproxy.example.org:8443", "http://[::1]:80"]
