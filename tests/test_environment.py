"""The environment's list, its example file, and the first start's secrets."""

import os
import re
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from ccproxy_site import env_example, environment, first_secrets
from ccproxy_site.env_file import looked_at
from ccproxy_site.places import PROJECT_DIR
from gateway import checks
from gateway.conf import GatewayConf, gateway_conf
from gateway.variables import WrongValue

EXAMPLE = Path(PROJECT_DIR / ".env.example").read_text()


def test_the_example_file_is_what_the_declarations_say():
    assert env_example.example() == EXAMPLE, "python -m ccproxy_site.env_example > .env.example"


def test_the_values_that_the_example_shows_are_the_defaults():
    shown = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name: one.read(shown[name]) for name, one in environment.VARIABLES.items()} == {
        name: one.default for name, one in environment.VARIABLES.items()
    }


def values(monkeypatch, **texts):
    """What the environment comes to with these variables in it, and nothing from a file."""
    for name in environment.VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, text in texts.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(environment, "ENV_FILE", Path(os.devnull))
    # each keeps what it has read
    monkeypatch.setattr(environment.Environment, "ENVIRON", environment._Files())
    return environment.read()


def test_without_any_variable_the_settings_are_those_of_the_class(monkeypatch):
    assert GatewayConf(**values(monkeypatch).gateway()) == GatewayConf()


WRONG = {
    "PORT": ("80a", "70000", "-1", "8082.5", "1e3"),
    "PROCESSES": ("-1", "two"),
    "REQUEST_TIMEOUT": ("0", "nan", "inf", "-1", "10s", "1,5"),
    "MAX_BODY_MB": ("0", "32MB"),
    "MAX_CONNECTIONS": ("0", "-5", "many"),
    "MAX_TOKENS_LIMIT": ("0", "4k"),
    "QUEUE_WAIT": ("-0.1", "nan"),
    "KEYS_REQUIRED": ("ture", "2", "none"),
    "ALLOW_ANONYMOUS": ("maybe",),
    "CAPTURE_BODIES": ("some", "FULL"),
    "LIMITS_STORE": ("redis",),
    "UPSTREAM_TRANSPORT": ("aiohttp",),
    "LOG_LEVEL": ("LOUD", "3"),
    "SQLITE_SYNCHRONOUS": ("NORMAL;DROP", "sometimes"),
    "TIME_ZONE": ("Mars/Olympus", "../etc/passwd"),
    "DATABASE_URL": ("no address", "oracel://hush@x"),
    "REDIS_URL": ("hush@127.0.0.1",),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_is_one_sentence_and_its_default_counts_meanwhile(monkeypatch, name, text):
    found = values(monkeypatch, **{name: text})
    [wrong] = found.wrong
    assert str(wrong).startswith(f"{name} ") and "\n" not in str(wrong)
    assert environment.VARIABLES[name].secret is (text.lower() not in str(wrong).lower())
    assert found(name) == environment.VARIABLES[name].default


def test_each_wrong_value_is_said_at_start_and_nothing_is_served(monkeypatch, settings):
    found = values(monkeypatch, PORT="80a", KEYS_REQUIRED="ture", QUEUE_WAIT="long")
    settings.WRONG_VARIABLES = tuple(found.wrong)
    said = checks.check_gateway()
    assert [(one.id, one.msg.split(" ")[0]) for one in said] == [
        ("gateway.E001", name) for name in ("PORT", "KEYS_REQUIRED", "QUEUE_WAIT")
    ]
    with pytest.raises(ImproperlyConfigured, match="PORT is '80a'"):
        gateway_conf.__wrapped__()


def test_a_file_that_a_variable_names_and_that_is_not_there_is_a_sentence(monkeypatch):
    found = values(monkeypatch, SECRET_KEY_FILE="/nowhere/key")
    [wrong] = found.wrong
    assert str(wrong).startswith("SECRET_KEY_FILE names a file") and "/nowhere/key" in str(wrong)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("PORT", " 80 ", 80),
        ("PORT", "", 8082),
        ("REQUEST_TIMEOUT", "1.5", 1.5),
        ("REQUEST_TIMEOUT", "", 90.0),
        ("MAX_CONNECTIONS", "", None),
        ("KEYS_REQUIRED", "Yes", True),
        ("OWNERS_READ_CONTENT", "", False),
        ("UVLOOP", "0", False),
        ("LOG_LEVEL", "info # for now", "INFO"),
        ("LOG_LEVEL", " ", "WARNING"),
        ("SQLITE_SYNCHRONOUS", "full", "FULL"),
        ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8,", ("127.0.0.1", "10.0.0.0/8")),
        ("ALLOWED_HOSTS", "", ()),
        ("SECRET_KEY", " kept as it is ", " kept as it is "),
    ],
)
def test_a_right_value_is_read(monkeypatch, name, text, value):
    found = values(monkeypatch, **{name: text})
    assert (found.wrong, found(name)) == ([], value)


@given(st.sampled_from(sorted(environment.VARIABLES)), st.text(max_size=20))
def test_any_text_is_a_value_or_a_sentence(name, text):
    variable = environment.VARIABLES[name]
    try:
        variable.allow(variable.read(text))
    except WrongValue as wrong:
        assert str(wrong).startswith(name)


def test_custom_headers_are_named_with_dashes(monkeypatch):
    monkeypatch.setenv("CUSTOM_HEADER_X_API_KEY", "v")
    monkeypatch.setenv("CUSTOM_HEADER_", "nothing")
    assert environment.read().custom_headers == {"X-API-KEY": "v"}


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
@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SECRET_KEY", "METRICS_TOKEN"])
def test_the_line_end_of_a_file_is_no_part_of_the_secret_in_it(tmp_path, monkeypatch, name, end):
    file = tmp_path / "secret"
    file.write_bytes(b" sk-1 " + end.encode())
    assert values(monkeypatch, **{name + "_FILE": str(file)})(name) == " sk-1 "


def test_a_list_in_a_file_may_end_in_a_line_end(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text("one,two\n")
    found = values(monkeypatch, FIELD_ENCRYPTION_KEYS_FILE=str(file))
    assert found("FIELD_ENCRYPTION_KEYS") == ("one", "two")


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
    assert environment.origins(urls) == ["https://ccproxy.example.org:8443", "http://[::1]"]


# .env files with one fault each, and the beginning of what the start says of it
FAULTS = {
    "PORT=abc": "PORT is 'abc'; it is a whole number from 1 to 65535",
    "PORT=70000": "PORT is '70000'; it is a whole number from 1 to 65535",
    "PORT=8082.5": "PORT is '8082.5'; it is a whole number from 1 to 65535",
    "HOST=no such host": "HOST is 'no such host'; it looks like 127.0.0.1, 0.0.0.0, :: or the name of a host",
    "HOST=0.0.0.0:8082": "HOST is '0.0.0.0:8082'; it looks like 127.0.0.1, 0.0.0.0",
    "HOST=http://0.0.0.0": "HOST is 'http://0.0.0.0'; it looks like",
    "PROCESSES=-1": "PROCESSES is '-1'; it is a whole number from 0 to 256",
    "PROCESSES=two": "PROCESSES is 'two'; it is a whole number from 0 to 256",
    "PROCESSES=100000": "PROCESSES is '100000'; it is a whole number from 0 to 256",
    "LOG_LEVEL=LOUD": "LOG_LEVEL is 'LOUD'; use one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
    "REQUEST_TIMEOUT=0": "REQUEST_TIMEOUT is '0.0'; it is a number greater than 0",
    "REQUEST_TIMEOUT=10s": "REQUEST_TIMEOUT is '10s'; it is a number greater than 0",
    "REQUEST_TIMEOUT=nan": "REQUEST_TIMEOUT is 'nan'; it is a number greater than 0",
    "MAX_RETRIES=-1": "MAX_RETRIES is '-1'; it is a whole number from 0 to 100",
    "RETRY_BUDGET=-5": "RETRY_BUDGET is '-5.0'; it is a number, at least 0",
    "MAX_TOKENS_LIMIT=4k": "MAX_TOKENS_LIMIT is '4k'; it is a whole number, at least 1",
    "MIN_TOKENS_LIMIT=9\nMAX_TOKENS_LIMIT=8": "MIN_TOKENS_LIMIT (9) is more than MAX_TOKENS_LIMIT (8).",
    "OPENAI_BASE_URL=htp:/foo": "OPENAI_BASE_URL is 'htp:/foo', which is not a web address.",
    "OPENAI_BASE_URL=http://host:port/v1": "OPENAI_BASE_URL is 'http://host:port/v1', which is not a web",
    "PUBLIC_URL=ccproxy.example.org": "PUBLIC_URL is 'ccproxy.example.org'; it looks like https://ccproxy",
    "TRUSTED_PROXIES=10.0.0.0/99": "TRUSTED_PROXIES has '10.0.0.0/99', which is no address and no network",
    "TELEMETRY_COLLECTOR=collector:4318": "TELEMETRY_COLLECTOR is 'collector:4318'; it looks like http://",
    "KEYS_REQUIRED=ture": "KEYS_REQUIRED is 'ture'; it is either true or false",
    "DEBUG=perhaps": "DEBUG is 'perhaps'; it is either true or false",
    "CAPTURE_BODIES=some": "CAPTURE_BODIES is 'some'; use one of none, full",
    "LIMITS_STORE=redis": "LIMITS_STORE is 'redis'; use one of database, cache, memory",
    "LIMITS_STORE=cache": "LIMITS_STORE is cache, but the cache cannot count for several processes.",
    "UPSTREAM_TRANSPORT=aiohttp": "UPSTREAM_TRANSPORT is 'aiohttp'; use one of lean, httpx",
    "MAX_BODY_MB=32MB": "MAX_BODY_MB is '32MB'; it is a whole number, at least 1",
    "MAX_CONNECTIONS=0": "MAX_CONNECTIONS is '0'; it is a whole number, at least 1",
    "MAX_REQUESTS=0": "MAX_REQUESTS is '0'; it is a whole number, at least 1",
    "STREAM_LIMIT=0": "STREAM_LIMIT is '0.0'; it is a number greater than 0",
    "STOP_GRACE=forever": "STOP_GRACE is 'forever'; it is a number, at least 0",
    "DATABASE_URL=oracel://x": "DATABASE_URL cannot be read; it looks like postgres://user:password@host/name",
    "REDIS_URL=localhost:6379": "REDIS_URL cannot be read; it looks like redis://host:6379/0",
    "EMAIL_URL=mail.example.com": "EMAIL_URL cannot be read; it looks like smtp+tls://",
    "LANGUAGE_CODE=zh-CN": "LANGUAGE_CODE is 'zh-CN'; it looks like en or zh-hans",
    "TIME_ZONE=Beijing": "TIME_ZONE is 'Beijing'; it looks like Europe/Berlin",
    "FIELD_ENCRYPTION_KEYS=short": "Key 1 in FIELD_ENCRYPTION_KEYS is not 32 bytes in url-safe base64.",
    "OPENAI_API_KEY_FILE=/nowhere/key": "OPENAI_API_KEY_FILE names a file or folder that cannot be used:",
    "CONFIG_FILE=/nowhere.json": "CONFIG_FILE is '/nowhere.json', and there is no such file.",
    "ALLOWED_HOSTS=https://x.example": "ALLOWED_HOSTS is 'https://x.example'; it looks like localhost,ccp",
    "CSRF_TRUSTED_ORIGINS=x.example": "CSRF_TRUSTED_ORIGINS is 'x.example'; it looks like https://",
    "PORT=0": "PORT is '0'; it is a whole number from 1 to 65535",
    "HOST=999.1.1.1": "HOST is '999.1.1.1'; it looks like 127.0.0.1",
    "MAX_TOKENS_LIMIT=9999999999999999999999999": "MAX_TOKENS_LIMIT is '9999999999999999999999999'; it is at "
    "most 2147483647",
    "MAX_RETRIES=99999": "MAX_RETRIES is '99999'; it is a whole number from 0 to 100",
    "HISTORY_PATIENCE=1e300": "HISTORY_PATIENCE is '1e+300'; it is at most 2147483647",
    "DATABASE_POOL=1000000000000": "DATABASE_POOL is '1000000000000'; it is at most 2147483647",
    "EMAIL_URL=smtp+tls://alerts@x.com:s3cr3t/Pass@mail.example.com:587": "EMAIL_URL cannot be read;",
    "EMAIL_URL=smtp://host:99999": "EMAIL_URL cannot be read; it looks like",
    "EMAIL_URL=smtp://[host": "EMAIL_URL cannot be read; it looks like",
    "EMAIL_URL=smtp://": "EMAIL_URL cannot be read; it looks like",
    "EMAIL_FROM=not an address": "EMAIL_FROM is 'not an address'; it looks like ccproxy@example.com",
    "OPENAI_BASE_URL=https://api.x.com/v1 /foo": "OPENAI_BASE_URL is 'https://api.x.com/v1 /foo', which is",
    "OPENAI_BASE_URL=foo bar": "OPENAI_BASE_URL is 'foo bar', which is not a web address.",
    "TELEMETRY_COLLECTOR=http://x y": "TELEMETRY_COLLECTOR is 'http://x y'; it looks like http://",
    "REDIS_URL=redis://:p/x@host": "REDIS_URL cannot be read; it looks like redis://host:6379/0",
    "ALLOWED_HOSTS=x.example:443": "ALLOWED_HOSTS is 'x.example:443'; it looks like localhost,ccproxy",
    "CUSTOM_HEADER_X_KEY_FILE=/nowhere/key": "CUSTOM_HEADER_X_KEY_FILE names a file or folder that cannot be",
    "OPENAI_APIKEY=sk": "OPENAI_APIKEY is no variable of ccproxy and has no effect; OPENAI_API_KEY is one.",
    "BIGMODEL=x": "BIGMODEL is no variable of ccproxy and has no effect; BIG_MODEL is one.",
    "just words": "Line 1 of ",
}


def said_of(text, tmp_path, monkeypatch, settings):
    """What the start says of a .env with this text."""
    for name in environment.VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    path = tmp_path / ".env"
    path.write_text(text)
    for line in text.splitlines():
        # the file writes into the environment; the test's end takes it out again
        monkeypatch.setenv(line.partition("=")[0] or "-", "")
        monkeypatch.delenv(line.partition("=")[0] or "-")
    monkeypatch.setattr(environment, "ENV_FILE", path)
    monkeypatch.setattr(environment.Environment, "ENVIRON", environment._Files())
    found = environment.read()
    settings.WRONG_VARIABLES = tuple(found.wrong)
    settings.GATEWAY = found.gateway()
    settings.ENVIRONMENT_FILE = lambda: looked_at(path)
    settings.REDIS_URL = found("REDIS_URL")
    monkeypatch.setattr(checks, "gateway_conf", gateway_conf.__wrapped__)
    return [str(one.msg) for one in checks.check_gateway()]


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: text.partition("\n")[0])
def test_one_fault_in_env_is_one_sentence_that_names_it(text, tmp_path, monkeypatch, settings):
    said = said_of(text, tmp_path, monkeypatch, settings)
    about = [sentence for sentence in said if sentence.startswith(FAULTS[text])]
    assert len(about) == 1, said
    assert "\n" not in about[0]


def test_several_faults_are_said_together(tmp_path, monkeypatch, settings):
    text = "PORT=abc\nHOST=no such host\nBIGMODEL=x\n"
    said = said_of(text, tmp_path, monkeypatch, settings)
    assert [sentence.split(" ")[0] for sentence in said] == ["HOST", "PORT", "BIGMODEL"]


SECRETS = sorted(name for name, variable in environment.VARIABLES.items() if variable.secret)


@pytest.mark.parametrize("name", [*SECRETS, "CUSTOM_HEADER_X_KEY"])
@pytest.mark.parametrize("text", ["", "\n", " \r\n", "\ufeff"])
def test_an_empty_file_for_a_secret_is_refused(monkeypatch, tmp_path, name, text):
    file = tmp_path / "secret"
    file.write_text(text, "utf-8")
    [wrong] = values(monkeypatch, **{f"{name}_FILE": str(file)}).wrong
    assert str(wrong) == f"{name}_FILE names a file or folder that cannot be used: {file} is empty"


def test_a_header_is_read_from_the_file_that_its_variable_names(monkeypatch, tmp_path):
    file = tmp_path / "secret"
    file.write_text("of the file\n", "utf-8-sig")
    found = values(monkeypatch, CUSTOM_HEADER_X_KEY_FILE=str(file), CUSTOM_HEADER_X_KEY="of the variable")
    assert found.custom_headers == {"X-KEY": "of the file"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("EMAIL_URL", "smtp+tls://user:pass%2Fword@mail.example.com:587"),
        ("EMAIL_URL", "smtp://mail.example.com"),
        ("EMAIL_URL", "consolemail://"),
        ("EMAIL_FROM", "The gateway <ccproxy@mail>"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("REDIS_URL", "rediss://:secret@redis.example:6380/1"),
        ("ALLOWED_HOSTS", "*,.example.org,[::1]"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.org,https://x.example/"),
        ("HOST", "[::1]"),
        ("HOST", "node-7.internal"),
    ],
)
def test_what_is_fine_is_not_refused(monkeypatch, name, text):
    assert values(monkeypatch, **{name: text}).wrong == []


def test_an_origin_is_written_as_browsers_write_it():
    urls = ["https://Ccproxy.example.org/", "https://x.example:443", "http://x.example:8080/admin"]
    assert environment.origins(urls) == [
        "https://ccproxy.example.org",
        "https://x.example",
        "http://x.example:8080",
    ]
