"""`.env` as people write it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from ccproxy_site import env_file, first_secrets
from gateway import checks
from tests.server.conftest import CLEAN

ROOT = Path(__file__).parent.parent.parent
OURS = ("OPENAI_API_KEY", "BIG_MODEL", "MAX_RETRIES", "PORT", "HOST")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """written(text): a .env with it, and an environment with none of our names."""
    for name in (*OURS, "SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)

    def written(text, encoding="utf-8"):
        path = tmp_path / ".env"
        path.write_bytes(text.encode(encoding))
        return path

    yield written
    for name in OURS:
        os.environ.pop(name, None)


@pytest.fixture
def remarks(written, settings):
    """remarks(text): what the start checks say of a .env with it."""

    def remarks(text):
        settings.ENVIRONMENT_FILE = lambda: env_file.looked_at(written(text))
        return [str(warning.msg) for warning in checks.environment_remarks()]

    return remarks


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('BIG_MODEL="gpt-4o"    ', "gpt-4o"),
        ("BIG_MODEL='gpt-4o'", "gpt-4o"),
        ("BIG_MODEL=gpt-4o # the large one", "gpt-4o"),
        ('BIG_MODEL="gpt # 4o"', "gpt # 4o"),
        ("BIG_MODEL = gpt-4o", "gpt-4o"),
        ("export BIG_MODEL=gpt-4o", "gpt-4o"),
        ("  BIG_MODEL=gpt-4o", "gpt-4o"),
        ("PORT=8\nBIG_MODEL=model-${PORT}", "model-8"),
        ("BIG_MODEL='model-${NOWHERE_SET}'", "model-"),
        ("BIG_MODEL=pa$$word", "pa$$word"),
        ("BIG_MODEL=gpt-4o\r\nPORT=8\r\n", "gpt-4o"),
        ("BIG_MODEL=", ""),
    ],
)
def test_each_way_of_writing_a_value_means_what_it_means_to_python_dotenv(written, line, value):
    path = written(line)
    env_file.load(path)
    assert os.environ["BIG_MODEL"] == value == dotenv_values(path)["BIG_MODEL"]


def test_the_mark_that_windows_puts_first_is_no_part_of_the_first_name(written):
    env_file.load(written("BIG_MODEL=x\n", "utf-8-sig"))
    assert os.environ["BIG_MODEL"] == "x"


def test_the_names_that_a_file_adds_are_told(written, monkeypatch):
    monkeypatch.setenv("BIG_MODEL", "of the shell")
    assert env_file.load(written("BIG_MODEL=x\nPORT=8\n")) == {"PORT"}


def test_the_real_environment_goes_before_the_file(written, monkeypatch):
    monkeypatch.setenv("BIG_MODEL", "real")
    env_file.load(written("BIG_MODEL=file"))
    assert os.environ["BIG_MODEL"] == "real"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_a_sentence(written, encoding):
    with pytest.raises(ImproperlyConfigured, match="save it in that encoding"):
        env_file.load(written("BIG_MODEL=gütig", encoding))


@given(st.text(max_size=200))
def test_whatever_stands_in_it_is_read_or_told(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    before = dict(os.environ)
    try:
        env_file.load(path)
        env_file.looked_at(path)
    except ImproperlyConfigured as said:
        assert str(path) in str(said)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "OPENAI_APIKEY=sk",
            "OPENAI_APIKEY is no variable of ccproxy and has no effect; OPENAI_API_KEY is one.",
        ),
        ("Big_Model=x", "Big_Model is no variable of ccproxy and has no effect; BIG_MODEL is one."),
        ("SSL_VERIFY=false", "SSL_VERIFY has no effect: certificates of providers are always checked"),
        ("just words", "Line 1 of"),
    ],
)
def test_what_has_no_effect_is_told(remarks, line, said):
    [remark] = remarks(line)
    assert remark.startswith(said)
    assert "sk" not in remark.split()


@pytest.mark.parametrize(
    "line",
    ["BIG_MODEL=x", "CUSTOM_HEADER_X=1", "OPENAI_API_KEY_FILE=/x", "# PROT=1", "COMPOSE_PROJECT_NAME=x", ""],
)
def test_nothing_is_said_of_what_is_fine_or_of_another_program(remarks, line):
    assert remarks(line) == []


def test_a_name_around_must_be_nearer_than_one_in_the_file(remarks, monkeypatch):
    monkeypatch.setenv("OPENAI_API_BASE", "of another program")
    assert remarks("") == []
    monkeypatch.setenv("OPENAI_API_KEYS", "sk")
    assert len(remarks("")) == 1


def test_a_secret_that_is_quoted_or_commented_is_not_made_again(written, monkeypatch):
    path = written('# SECRET_KEY=no\nexport SECRET_KEY = "mine" # ours\n', "utf-8-sig")
    monkeypatch.setattr(first_secrets, "ENV_FILE", path)
    first_secrets.main()
    assert path.read_text("utf-8-sig").count("SECRET_KEY") == 2
    assert dotenv_values(path, encoding="utf-8-sig")["FIELD_ENCRYPTION_KEYS"]


# the traps of the original proxy's example: quotes, blanks behind them, comments behind values
ORIGINAL = """
# the provider
OPENAI_API_KEY="sk-of-the-provider"
{key}
OPENAI_BASE_URL="https://api.openai.com/v1"
BIG_MODEL="gpt-4o"
MIDDLE_MODEL="gpt-4o"   # sonnet
SMALL_MODEL="gpt-4o-mini"{blanks}

HOST="0.0.0.0"
PORT="8082"
LOG_LEVEL="INFO"{blanks}
MAX_TOKENS_LIMIT="4096"
MIN_TOKENS_LIMIT="4096"
REQUEST_TIMEOUT="90"
MAX_RETRIES="2"
SSL_VERIFY="true"
"""
SHOW = """
from django.conf import settings
g = settings.GATEWAY
print(repr([g["openai_api_key"], g["small_model"], g["middle_model"], g["host"], g["port"],
            settings.LOG_LEVEL, g["min_tokens_limit"], g["anthropic_api_key"]]))
"""


@pytest.mark.parametrize(
    ("key", "client"), [('ANTHROPIC_API_KEY="a key of ours"', "a key of ours"), ("", "")]
)
def test_the_original_proxys_file_works_as_it_is(tmp_path, key, client):
    (tmp_path / ".env").write_text(ORIGINAL.format(key=key, blanks="    "))
    kept = {name: value for name, value in os.environ.items() if name in CLEAN}
    env = {**kept, "CCPROXY_ENV_FILE": str(tmp_path / ".env"), "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", SHOW]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = ["sk-of-the-provider", "gpt-4o-mini", "gpt-4o", "0.0.0.0", 8082, "INFO", 4096, client]
    assert done.stdout.strip() == repr(shown)
