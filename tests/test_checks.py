"""What is said at start about the settings."""

import pytest
from django.core.checks import run_checks

from gateway import checks
from gateway.conf import GatewayConf

KEY = "dGVzdHMtb25seS1rZXktb2YtMzItYnl0ZXMtbG9uZyE="


def ids(messages):
    return [message.id for message in messages]


def test_the_checks_are_registered_and_the_test_settings_pass_them(settings):
    assert [message for message in run_checks(tags=["gateway"]) if message.id != "gateway.W001"] == []


def test_a_temporary_secret_key_is_said(settings):
    settings.SECRET_KEY_IS_TEMPORARY = True
    assert ids(checks.secret_key_problems()) == ["gateway.W001"]


def test_a_missing_encryption_key_is_said_with_the_way_to_make_one():
    [message] = checks.encryption_problems(GatewayConf())
    assert (message.id, "python -c" in message.hint) == ("gateway.W002", True)


def test_an_encryption_key_of_the_wrong_form_stops_the_start_without_being_shown():
    [message] = checks.encryption_problems(GatewayConf(field_encryption_keys=(KEY, "hunter2")))
    assert message.id == "gateway.E002"
    assert "hunter2" not in str(message)


def test_a_usable_encryption_key_is_silent():
    assert checks.encryption_problems(GatewayConf(field_encryption_keys=(KEY,))) == []


def test_atomic_requests_stop_the_start(settings):
    settings.DATABASES = {"default": {**settings.DATABASES["default"], "ATOMIC_REQUESTS": True}}
    assert ids(checks.database_problems()) == ["gateway.E003"]


@pytest.mark.parametrize(
    ("host", "anonymous", "said"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", False, False),
        ("0.0.0.0", True, True),
        ("10.0.0.5", True, True),
    ],
)
def test_an_open_relay_is_said(host, anonymous, said):
    found = checks.access_problems(GatewayConf(host=host, allow_anonymous=anonymous))
    assert ids(found) == (["gateway.W003"] if said else [])


def test_limits_that_contradict_each_other_stop_the_start():
    found = checks.limit_problems(GatewayConf(min_tokens_limit=10, max_tokens_limit=5))
    assert ids(found) == ["gateway.E004"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://api.openai.com/v1", False),
        ("localhost:8000/v1", False),
        ("", False),
        ("ftp://x/v1", True),
        ("http://x:port/v1", True),
    ],
)
def test_a_base_url_that_is_none_stops_the_start(url, said):
    assert ids(checks.address_problems(GatewayConf(openai_base_url=url))) == (
        ["gateway.E005"] if said else []
    )


def test_a_setting_that_cannot_be_read_is_an_error_and_no_traceback(settings, monkeypatch):
    monkeypatch.setattr(checks, "gateway_conf", lambda: GatewayConf(capture_bodies="some"))
    [message] = checks.check_gateway()
    assert (message.id, "CAPTURE_BODIES" in message.msg) == ("gateway.E001", True)


def test_limits_are_not_counted_in_a_cache_of_one_process(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    problems = checks.store_problems(GatewayConf(limits_store="cache"))
    assert [problem.id for problem in problems] == ["gateway.E006"]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    assert checks.store_problems(GatewayConf(limits_store="cache")) == []


def test_limits_in_memory_are_for_one_process():
    assert [p.id for p in checks.store_problems(GatewayConf(limits_store="memory", processes=4))] == [
        "gateway.W006"
    ]
    assert checks.store_problems(GatewayConf(limits_store="memory", processes=1)) == []


@pytest.mark.parametrize(
    ("engine", "processes", "redis", "said"),
    [
        ("postgresql", 4, "", True),
        ("postgresql", 4, "redis://127.0.0.1:6379/0", False),
        ("postgresql", 1, "", False),
        ("sqlite3", 2, "", True),
        ("sqlite3", 0, "", False),
    ],
)
def test_several_processes_without_redis_are_said(settings, engine, processes, redis, said):
    settings.REDIS_URL = redis
    engine = f"django.db.backends.{engine}"
    settings.DATABASES = {"default": {**settings.DATABASES["default"], "ENGINE": engine}}
    found = checks.process_problems(GatewayConf(processes=processes))
    assert ids(found) == (["gateway.W007"] if said else [])


def test_as_many_processes_as_fit_may_be_several(settings, monkeypatch):
    settings.REDIS_URL = ""
    database = {**settings.DATABASES["default"], "ENGINE": "django.db.backends.postgresql"}
    settings.DATABASES = {"default": database}
    for cores, said in ((1, []), (8, ["gateway.W007"])):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert ids(checks.process_problems(GatewayConf())) == said


@pytest.mark.parametrize(
    ("host", "debug", "said"),
    [("127.0.0.1", True, False), ("0.0.0.0", False, False), ("0.0.0.0", True, True)],
)
def test_debug_pages_on_a_public_address_are_said(settings, host, debug, said):
    settings.DEBUG = debug
    assert (ids(checks.debug_problems(GatewayConf(host=host))) == ["gateway.W008"]) is said


def test_a_variable_that_names_no_usable_proxy_is_said_by_its_name(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "SOCKS4://127.0.0.1:9")
    found = checks.proxy_problems()
    assert ["ALL_PROXY" in one.msg and "HTTPS_PROXY" not in one.msg for one in found] == [True]
    monkeypatch.setenv("ALL_PROXY", "SOCKS5h://127.0.0.1:9")
    assert checks.proxy_problems() == []
