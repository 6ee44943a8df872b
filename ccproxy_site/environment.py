"""Every environment variable, its type and its default, in the order of .env.example.

`.env` (its place: places.py) is read if it exists and never overrides the real environment. A test holds
this list equal to .env.example.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import environ
from environ.fileaware_mapping import FileAwareMapping

from ccproxy_site import env_file
from ccproxy_site.places import ENV_FILE

SCHEME: Final[dict[str, tuple[Any, Any]]] = {
    # the original proxy's
    "OPENAI_API_KEY": (str, ""),
    "OPENAI_BASE_URL": (str, "https://api.openai.com/v1"),
    "AZURE_API_VERSION": (str, ""),
    "BIG_MODEL": (str, "gpt-4o"),
    "MIDDLE_MODEL": (str, ""),
    "SMALL_MODEL": (str, "gpt-4o-mini"),
    "ANTHROPIC_API_KEY": (str, ""),
    "HOST": (str, "127.0.0.1"),
    "PORT": (int, 8082),
    "PROCESSES": (int, 0),
    "LOG_LEVEL": (str, "WARNING"),
    "MAX_TOKENS_LIMIT": (str, ""),
    "MIN_TOKENS_LIMIT": (str, ""),
    "REQUEST_TIMEOUT": (float, 90.0),
    "MAX_RETRIES": (int, 2),
    "RETRY_BUDGET": (float, 30.0),
    # the gateway's own
    "ALLOW_ANONYMOUS": (bool, False),
    "KEYS_REQUIRED": (bool, False),
    "PUBLIC_URL": (str, ""),
    "TRUSTED_PROXIES": (list, []),
    "ALLOW_LINK_LOCAL": (bool, False),
    "CAPTURE_BODIES": (str, "full"),
    "OWNERS_READ_CONTENT": (bool, True),
    "CONFIG_FILE": (str, ""),
    "HISTORY_PATIENCE": (float, 0.05),
    "PING_INTERVAL": (float, 10.0),
    "COMMIT_AFTER": (float, 10.0),
    "STOP_GRACE": (float, 30.0),
    "MAX_BODY_MB": (int, 32),
    "MAX_CONNECTIONS": (str, ""),
    "MAX_CONNECTIONS_PER_ADDRESS": (str, ""),
    "MAX_REQUESTS": (str, ""),
    "QUEUE_WAIT": (float, 10.0),
    "STREAM_LIMIT": (float, 3600.0),
    "LIMITS_STORE": (str, ""),
    "LIMITS_FAIL_CLOSED": (bool, False),
    "UNPRICED_SPEND": (str, "allow"),
    "METRICS_TOKEN": (str, ""),
    "UVLOOP": (bool, True),
    "UPSTREAM_TRANSPORT": (str, "lean"),
    # Django's
    "SECRET_KEY": (str, ""),
    "FIELD_ENCRYPTION_KEYS": (list, []),
    "DATABASE_URL": (str, ""),
    "DATABASE_POOL": (int, 12),
    "SQLITE_SYNCHRONOUS": (str, "NORMAL"),
    "REDIS_URL": (str, ""),
    "DATA_DIR": (str, ""),
    "DEBUG": (bool, False),
    "ALLOWED_HOSTS": (list, ["localhost", "127.0.0.1", "[::1]"]),
    "CSRF_TRUSTED_ORIGINS": (list, []),
    "SECURE_COOKIES": (bool, False),
    "LANGUAGE_CODE": (str, "en"),
    "TIME_ZONE": (str, "UTC"),
}
# CUSTOM_HEADER_NAME_OF_HEADER becomes the request header NAME-OF-HEADER
CUSTOM_HEADER_PREFIX: Final = "CUSTOM_HEADER_"


class _Files(FileAwareMapping):
    """The environment, in which NAME_FILE names a file with the value of NAME."""

    def __getitem__(self, key: str) -> str:
        # editors and most tools end a file with a newline, which is not part of a secret
        return str(super().__getitem__(key)).rstrip("\r\n")


class Environment(environ.FileAwareEnv):
    """Typed values from the environment and the files that it names."""

    ENVIRON = _Files()


def read() -> Environment:
    """The typed environment over .env; NAME_FILE reads a secret from a file."""
    env = Environment(**SCHEME)
    if ENV_FILE.is_file():
        env_file.load(ENV_FILE)
    return env


def custom_headers() -> dict[str, str]:
    """CUSTOM_HEADER_X_API_KEY=v becomes {"X-API-KEY": "v"}; empty names are left out."""
    start = len(CUSTOM_HEADER_PREFIX)
    return {
        name[start:].replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith(CUSTOM_HEADER_PREFIX) and len(name) > start
    }


def origins(urls: Iterable[str]) -> list[str]:
    """Scheme, host and port of web addresses, as browsers write an Origin; anything else is left out."""
    return [f"{url.scheme}://{url.netloc}".lower() for url in _web_addresses(urls)]


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
