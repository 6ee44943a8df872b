"""Every environment variable, and the values that this process has of them.

`.env` (its place: places.py) is read if it exists and never overrides the real environment. A value that
cannot be read is a problem with a sentence of its own, and its default counts meanwhile: the start checks
say all of them (gateway/checks.py), and nothing is served.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import environ
from environ.fileaware_mapping import FileAwareMapping

from ccproxy_site import env_file
from ccproxy_site.places import ENV_FILE
from gateway.conf import DJANGO, GATEWAY, LIMITS, PROVIDER, SERVER, gateway_variables
from gateway.variables import UnusablePath, Variable, WrongValue, is_one_word, text_of_file


def _is_database(text: str) -> bool:
    try:
        return urlsplit(text).scheme in environ.Env.DB_SCHEMES and bool(environ.Env.db_url_config(text))
    except Exception:  # whatever the library raises about an address
        return False


def _is_mail_server(text: str) -> bool:
    try:
        url = urlsplit(text)
        read = bool(environ.Env.email_url_config(text)) and url.port != 0
    except Exception:  # whatever the library raises about an address
        return False
    return read and (bool(url.hostname) or not url.scheme.startswith("smtp"))


def _is_mail_address(text: str) -> bool:
    """Whether a text is an address, or a name with one in angle brackets."""
    person, _at, host = parseaddr(text)[1].partition("@")
    return bool(person and host) and "@" not in host and text.isprintable() and is_one_word(person + host)


def _is_redis(text: str) -> bool:
    try:
        url = urlsplit(text)
        return is_one_word(text) and url.scheme in ("redis", "rediss", "unix") and url.port != 0
    except ValueError:
        return False


def _is_host_pattern(name: str) -> bool:
    """Whether Django compares a name with it: without scheme, path and port."""
    address = name.startswith("[") and name.endswith("]")
    return "/" not in name and is_one_word(name) and (":" not in name or address)


def _is_language(text: str) -> bool:
    # Django knows more of them, and ends with a traceback for some, like zh-CN
    return text.lower() in ("en", "en-us", "en-gb", "zh-hans")


def _is_time_zone(text: str) -> bool:
    try:
        return bool(ZoneInfo(text))
    except (ValueError, OSError, LookupError):
        return False


# what the gateway's own settings do not have
SITE_VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        name="LOG_LEVEL",
        kind="word",
        default="WARNING",
        meaning="DEBUG, INFO, WARNING or ERROR; at INFO each request leaves one line.",
        group=SERVER.title,
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ),
    Variable(
        name="UVLOOP",
        kind="switch",
        default=True,
        meaning="false: asyncio's own event loop, also where uvloop is installed.",
        group=GATEWAY.title,
    ),
    Variable(
        name="SECRET_KEY",
        kind="text",
        default="",
        meaning="Signs sessions; made by `make run` at the first start.",
        group=DJANGO.title,
        secret=True,
    ),
    Variable(
        name="SECRET_KEY_FALLBACKS",
        kind="list",
        default=(),
        meaning="Earlier values of SECRET_KEY, comma-separated: what they signed stays valid.",
        group=DJANGO.title,
        secret=True,
    ),
    Variable(
        name="DATABASE_URL",
        kind="text",
        default="",
        meaning="Database; empty: SQLite in DATA_DIR. Example: postgres://user:password@host/name",
        group=DJANGO.title,
        check=_is_database,
        example="postgres://user:password@host/name",
        secret=True,
    ),
    Variable(
        name="DATABASE_POOL",
        kind="whole",
        default=12,
        meaning="PostgreSQL only. Most connections that a process holds in its pool; 0: no pool.",
        group=DJANGO.title,
    ),
    Variable(
        name="SQLITE_SYNCHRONOUS",
        kind="word",
        default="NORMAL",
        meaning="SQLite only. NORMAL: what is committed survives the end of the process; FULL: a power "
        "failure, too (slower).",
        group=DJANGO.title,
        choices=("OFF", "NORMAL", "FULL", "EXTRA"),
    ),
    Variable(
        name="REDIS_URL",
        kind="text",
        default="",
        meaning="Redis, through which several processes share the cache and the live tail; empty: each has "
        "its own. Example: redis://host:6379/0",
        group=DJANGO.title,
        check=_is_redis,
        example="redis://host:6379/0",
        secret=True,
    ),
    Variable(
        name="DATA_DIR",
        kind="text",
        default="",
        meaning="Folder of the database and the collected static files; empty: data beside manage.py.",
        group=DJANGO.title,
    ),
    Variable(
        name="EMAIL_URL",
        kind="text",
        default="",
        meaning="How notifications are mailed; empty: not at all. "
        "Example: smtp+tls://user:password@mail.example.com:587",
        group=DJANGO.title,
        check=_is_mail_server,
        example="smtp+tls://user:password@mail.example.com:587",
        secret=True,
    ),
    Variable(
        name="EMAIL_FROM",
        kind="text",
        default="ccproxy@localhost",
        meaning="From whom they are mailed.",
        group=DJANGO.title,
        check=_is_mail_address,
        example="ccproxy@example.com",
    ),
    Variable(
        name="DEBUG",
        kind="switch",
        default=False,
        meaning="true: Django's debug pages in the admin. Never on a shared machine.",
        group=DJANGO.title,
    ),
    Variable(
        name="ALLOWED_HOSTS",
        kind="list",
        default=("localhost", "127.0.0.1", "[::1]"),
        meaning="Host names the admin may be reached by, comma-separated.",
        group=DJANGO.title,
        check=lambda names: all(map(_is_host_pattern, names)),
        example="localhost,ccproxy.example.org",
    ),
    Variable(
        name="CSRF_TRUSTED_ORIGINS",
        kind="list",
        default=(),
        meaning="Origins of the admin behind a TLS proxy, comma-separated. "
        "Example: https://ccproxy.example.org",
        group=DJANGO.title,
        check=lambda urls: all(is_one_word(url) and origins([url]) for url in urls),
        example="https://ccproxy.example.org",
    ),
    Variable(
        name="SECURE_COOKIES",
        kind="switch",
        default=False,
        meaning="true: admin cookies over HTTPS only.",
        group=DJANGO.title,
    ),
    Variable(
        name="LANGUAGE_CODE",
        kind="text",
        default="en",
        meaning="Language of the admin.",
        group=DJANGO.title,
        check=_is_language,
        example="en or zh-hans",
    ),
    Variable(
        name="TIME_ZONE",
        kind="text",
        default="UTC",
        meaning="Time zone of the admin.",
        group=DJANGO.title,
        check=_is_time_zone,
        example="Europe/Berlin",
    ),
)
GROUPS: Final = (PROVIDER, SERVER, LIMITS, GATEWAY, DJANGO)
# in the order of .env.example
VARIABLES: Final[dict[str, Variable]] = {
    variable.name: variable
    for group in GROUPS
    for variable in (*gateway_variables(), *SITE_VARIABLES)
    if variable.group == group.title
}
# CUSTOM_HEADER_NAME_OF_HEADER becomes the request header NAME-OF-HEADER
CUSTOM_HEADER_PREFIX: Final = "CUSTOM_HEADER_"


class _Files(FileAwareMapping):
    """The environment, in which NAME_FILE names a file with the value of NAME. Raises UnusablePath."""

    def __getitem__(self, key: str) -> str:
        name = f"{key}_FILE"
        path = self.env.get(name)
        return text_of_file(name, path) if path else str(self.env[key]).rstrip("\r\n")


class Environment(environ.FileAwareEnv):
    """Texts of the environment and of files that it names."""

    ENVIRON = _Files()


class Values:
    """The values of all variables.

    `wrong`: what is to be said about those that cannot be read. `of_file`: the names that .env added.
    `custom_headers`: CUSTOM_HEADER_X_API_KEY=v as {"X-API-KEY": "v"}.
    """

    of_file: frozenset[str]
    custom_headers: dict[str, str]

    def __init__(self, environment: Environment, of_file: frozenset[str] = frozenset()) -> None:
        self.of_file = of_file
        self.wrong: list[WrongValue | UnusablePath] = []
        self._values = {name: self._read(variable, environment) for name, variable in VARIABLES.items()}
        self.custom_headers = self._headers(environment)

    def __call__(self, name: str) -> Any:
        return self._values[name]

    def gateway(self) -> dict[str, Any]:
        """Those of the gateway's own settings, under the names of their fields."""
        return {variable.name.lower(): self(variable.name) for variable in gateway_variables()}

    def _read(self, variable: Variable, environment: Environment) -> Any:
        try:
            text = environment.get_value(variable.name, cast=str, default=_UNSET)
            return variable.default if text is _UNSET else variable.read(text)
        except (UnusablePath, WrongValue) as wrong:
            self.wrong.append(wrong)
        return variable.default

    def _headers(self, environment: Environment) -> dict[str, str]:
        start = len(CUSTOM_HEADER_PREFIX)
        names = {name.removesuffix("_FILE") for name in os.environ if name.startswith(CUSTOM_HEADER_PREFIX)}
        found = {}
        for name in sorted(name for name in names if len(name) > start):
            try:
                found[name[start:].replace("_", "-")] = environment.ENVIRON[name]
            except UnusablePath as wrong:
                self.wrong.append(wrong)
        return found


_UNSET: Final = object()


def read() -> Values:
    """The environment with .env behind it; NAME_FILE reads a value from a file."""
    environment = Environment()
    of_file = env_file.load(ENV_FILE) if ENV_FILE.is_file() else frozenset()
    return Values(environment, of_file)


def for_other_programs(of_file: frozenset[str]) -> dict[str, str]:
    """The environment for a program that is not the gateway: without what .env added, and without secrets.

    `of_file`: the names that .env added. A secret that the shell itself has is left out as well, because
    the program may run commands that anybody wrote.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in of_file and not _is_private(name, value)
    }


def _is_private(name: str, value: str) -> bool:
    """Whether a variable is the gateway's own and no other program's business."""
    if name.startswith(CUSTOM_HEADER_PREFIX) or name == "CCPROXY_ENV_FILE":
        return True
    if name == "DJANGO_SETTINGS_MODULE":
        return value == "ccproxy_site.settings"
    variable = VARIABLES.get(name.removesuffix("_FILE"))
    return variable is not None and variable.secret


def origins(urls: Iterable[str]) -> list[str]:
    """Scheme, host and port of web addresses, as browsers write an Origin; anything else is left out."""
    usual = {"http": ":80", "https": ":443"}
    return [
        f"{url.scheme}://{url.netloc.lower().removesuffix(usual.get(url.scheme, ' '))}"
        for url in _web_addresses(urls)
    ]


def hosts(urls: Iterable[str]) -> list[str]:
    """The host names of web addresses, as ALLOWED_HOSTS takes them."""
    names = [url.hostname or "" for url in _web_addresses(urls)]
    return [f"[{name}]" if ":" in name else name for name in names]


def _web_addresses(urls: Iterable[str]) -> list[SplitResult]:
    found = []
    for text in urls:
        # gateway/conf.py refuses an unreadable one with a sentence
        with suppress(ValueError):
            url = urlsplit(text)
            if url.scheme and url.hostname:
                found.append(url)
    return found
