"""One settings file; the environment is the difference between installations.

What the machine decides (address, database, secret keys, log level) is in the environment; what admins
change is in the database.
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import Any

import environ

from ccproxy_site import env_file, environment
from ccproxy_site.first_secrets import keep_from_others
from ccproxy_site.places import DEFAULT_DATA_DIR, ENV_FILE, IS_CLONE
from gateway.conf import path_of

env = environment.read()

DATA_DIR = Path(env("DATA_DIR") or DEFAULT_DATA_DIR)

# --- Django -----------------------------------------------------------------

DEBUG: bool = env("DEBUG")
DEFAULT_EXCEPTION_REPORTER_FILTER = "ccproxy_site.pages.debug_pages.NothingSecret"
# Without a key, sessions end with the process; the system check gateway.W001 says so.
SECRET_KEY: str = env("SECRET_KEY") or secrets.token_urlsafe(50)
SECRET_KEY_IS_TEMPORARY = not env("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = list(env("SECRET_KEY_FALLBACKS"))
PUBLIC_URL: str = env("PUBLIC_URL").strip().rstrip("/")
PUBLIC_PATH: str = path_of(PUBLIC_URL)
# naming the public address allows what it needs
ALLOWED_HOSTS: list[str] = [*env("ALLOWED_HOSTS"), *environment.hosts([PUBLIC_URL])]
CSRF_TRUSTED_ORIGINS: list[str] = environment.origins([*env("CSRF_TRUSTED_ORIGINS"), PUBLIC_URL])

# a URL as django-environ reads it: smtp+tls://user:password@mail.example.com:587
MAIL_CONFIGURED = bool(env("EMAIL_URL"))
if MAIL_CONFIGURED:
    vars().update(environ.Env.email_url_config(env("EMAIL_URL")))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("EMAIL_FROM")

INSTALLED_APPS = [
    # before staticfiles: the first runserver wins
    "gateway",
    # the admin's theme, before the admin; gateway/admin/ui/base.py alone imports it
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    # not discovered until a person asks for it
    "ccproxy_site.lazy_admin.LateAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
]

# The admin's stack. The API's paths go through server/handler.py, which has none of it.
MIDDLEWARE = [
    "ccproxy_site.pages.compression.CompressedPages",
    "django.middleware.security.SecurityMiddleware",
    "ccproxy_site.pages.content_security.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "ccproxy_site.logins.session_ends",
    "django.middleware.locale.LocaleMiddleware",
    "gateway.admin.ui.time_zone.reading_zone",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "gateway.admin.ui.actor_middleware.acting_user",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# the first one only slows down guessing
AUTHENTICATION_BACKENDS = ["ccproxy_site.logins.LoginPause", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
ROOT_URLCONF = "ccproxy_site.urls"
ASGI_APPLICATION = "ccproxy_site.asgi.application"
# the server class of runserver and serve
GATEWAY_SERVER = "ccproxy_site.server.daphne_server.GatewayServer"
# watches over the several processes of serve
GATEWAY_PROCESSES = "ccproxy_site.server.processes.ServerProcesses"
GATEWAY_FAMILY = "ccproxy_site.server.family.Family"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

SQLITE_OPTIONS: dict[str, Any] = {
    # one writer at a time, readers never wait for it
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={env('SQLITE_SYNCHRONOUS')};",
}


def database(url: str) -> dict[str, Any]:
    """DATABASE_URL as Django's settings; empty = SQLite in DATA_DIR, with WAL."""
    if not url:
        # the history is private
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings: dict[str, Any] = environ.Env.db_url_config(url or f"sqlite:///{DATA_DIR / 'ccproxy.sqlite3'}")
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        for name in ("", "-wal", "-shm"):
            keep_from_others(Path(f"{settings['NAME']}{name}"))
        settings["OPTIONS"] = {**SQLITE_OPTIONS, **settings.get("OPTIONS", {})}
    elif settings["ENGINE"] == "django.db.backends.postgresql":
        settings["OPTIONS"] = {**postgresql_options(env("DATABASE_POOL")), **settings.get("OPTIONS", {})}
        # so that a pooled connection that the server has closed meanwhile is not handed out
        settings["CONN_HEALTH_CHECKS"] = True
    # persistent connections do not work with async views, and a pool does without them
    settings["CONN_MAX_AGE"] = 0
    return settings


def postgresql_options(pool: int) -> dict[str, Any]:
    """A pool of at most `pool` connections (0: none), and short waits for an unreachable server.

    The pool doubles the pauses between its attempts to connect until `reconnect_timeout` has passed, and
    starts again with the next request for a connection: a server that is back is found in seconds.
    """
    waits = {"timeout": 10, "reconnect_timeout": 4}
    pooled = {"pool": {"min_size": 1, "max_size": pool, **waits}} if pool else {}
    return {"connect_timeout": 5, **pooled}


def caches(redis_url: str) -> dict[str, Any]:
    """REDIS_URL as Django's cache; empty = in the process's memory."""
    if not redis_url:
        # the number of failed-login counts that are kept, among others
        options = {"MAX_ENTRIES": 10_000}
        return {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": options}}
    return {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}}


def channel_layers(redis_url: str) -> dict[str, Any]:
    """REDIS_URL as the channel layer; empty = in the process's memory."""
    if not redis_url:
        return {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    layer = "channels_redis.core.RedisChannelLayer"
    # the layer waits 5 seconds for a message, as long as the client waits for an answer by itself
    host = {"address": redis_url, "socket_timeout": 20, "socket_connect_timeout": 5}
    return {"default": {"BACKEND": layer, "CONFIG": {"hosts": [host]}}}


DATABASES = {"default": database(env("DATABASE_URL"))}
# for commands that open a second database
DATABASE_OF_URL = database
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "gateway.security.passwords.GuessablePasswordValidator"},
]

# tells what stands in .env; asked at start (gateway/checks.py)
ENVIRONMENT_FILE = partial(env_file.looked_at, ENV_FILE)
# for `code`, which starts a program that is not ours
ENVIRONMENT_FOR_OTHERS = partial(environment.for_other_programs, env.of_file)
# names that a configuration file gives to no secret
ENVIRONMENT_NAMES = frozenset(environment.VARIABLES)
LANGUAGE_CODE: str = env("LANGUAGE_CODE")
TIME_ZONE: str = env("TIME_ZONE")
USE_TZ = True

LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
# a person's choice lasts for a year, and takes precedence over what the browser asks for
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
# English dates as everybody reads them, and as the charts and exact times show them
FORMAT_MODULE_PATH = ["ccproxy_site.formats"]
# the theme's words, which it does not bring in Chinese; ours are in gateway/locale
LOCALE_PATHS = [Path(__file__).parent / "locale"]

# The theme's settings: names and callables of ours, nothing of the theme's own.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "ccproxy",
    "SITE_HEADER": "ccproxy",
    "SITE_SYMBOL": "swap_calls",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "ccproxy_site.theme.favicon"}],
    "STYLES": ["ccproxy_site.theme.stylesheet"],
    "SCRIPTS": ["ccproxy_site.theme.script"],
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "COMMAND": {"search_models": False, "search_callback": "gateway.admin.oversight.palette.found"},
    "SIDEBAR": {"show_search": False, "navigation": "gateway.admin.ui.navigation.sidebar"},
    "COLORS": {"primary": "ccproxy_site.theme.palette"},
}

STATIC_URL = f"{PUBLIC_PATH}/static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "ccproxy_site.pages.static_files.CollectedFiles"},
}
# told at the start
SETTINGS_FILE = ENV_FILE
# whether the pages' files may change without a new release
FILES_MAY_CHANGE = IS_CLONE

REDIS_URL: str = env("REDIS_URL")
CACHES = caches(REDIS_URL)
CHANNEL_LAYERS = channel_layers(REDIS_URL)

SECURE_COOKIES: bool = env("SECURE_COOKIES")
SESSION_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SECURE = SECURE_COOKIES
LANGUAGE_COOKIE_SECURE = SECURE_COOKIES
# other sites of the host have cookies of the same names
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{PUBLIC_PATH}/"
SESSION_COOKIE_HTTPONLY = True
# gateway/security/sessions.py ends a session this long after its login, and sooner when it is idle
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# A proxy that terminates TLS redirects; Claude Code takes any redirect of the API for a failure.
SECURE_SSL_REDIRECT = False
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]

# The admin's forms; the API has its own limit (MAX_BODY_MB).
DATA_UPLOAD_MAX_MEMORY_SIZE = env("MAX_BODY_MB") * 1024 * 1024

LOG_LEVEL: str = env("LOG_LEVEL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "gateway.telemetry.logs.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # the relay logs one line per exchange; the server's per-request lines would double it
        "daphne": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
    },
}

# --- gateway ------------------------------------------------------------------

# said at start, one sentence each; with one of them nothing is served
WRONG_VARIABLES = tuple(env.wrong)
GATEWAY: dict[str, Any] = {
    **env.gateway(),
    "public_url": PUBLIC_URL,
    # sockets take an IPv6 address without the brackets that it has in URLs
    "host": env("HOST").strip("[]"),
    "custom_headers": env.custom_headers,
    "names": (*ALLOWED_HOSTS, *environment.hosts(CSRF_TRUSTED_ORIGINS)),
    "limits_store": env("LIMITS_STORE") or ("cache" if REDIS_URL else "database"),
    "metrics_token": env("METRICS_TOKEN").strip(),
    "spool_folder": DATA_DIR / "spool",
}
