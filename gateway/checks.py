"""System checks: what would go wrong later is said at start, with the next step.

Only settings are looked at; no check touches the database. No model is imported,
so apps.py can import this module before the models are loaded.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.conf import GatewayConf, fitting_processes, gateway_conf
from gateway.security import encryption
from gateway.upstream.http1.proxies import ProxyVariables
from gateway.variables import is_one_word

# how alike a name must be to one of ours; in the environment of a process are many names of others
_ALIKE_IN_FILE: Final = 0.8
_ALIKE_AROUND: Final = 0.93
# of the original proxy and its kin: they would be taken for in force
_WITHOUT_EFFECT: Final = {
    "SSL_VERIFY": gettext_lazy(
        "certificates of providers are always checked; SSL_CERT_FILE names a file with your own CA"
    ),
    "SUPPORTS_PROMPT_CACHE": gettext_lazy("caching of prompts is an option of a provider, in the admin"),
    "OPENAI_HEADERS": gettext_lazy("name each header in a variable of its own, CUSTOM_HEADER_NAME=value"),
}


def register_checks() -> None:
    """Make `manage.py check` and every start run them."""
    register(check_gateway, "gateway")


def check_gateway(app_configs: Any = None, **__: Any) -> list[CheckMessage]:
    """All checks together; a setting that cannot be read at all is one Error."""
    if settings.WRONG_VARIABLES:
        return [*map(_unreadable, settings.WRONG_VARIABLES), *environment_remarks()]
    try:
        conf = gateway_conf()
    except (ImproperlyConfigured, TypeError, ValueError) as problem:
        return [_unreadable(problem)]
    return [
        *secret_key_problems(),
        *encryption_problems(conf),
        *database_problems(),
        *access_problems(conf),
        *debug_problems(conf),
        *limit_problems(conf),
        *store_problems(conf),
        *process_problems(conf),
        *address_problems(conf),
        *file_problems(conf),
        *proxy_problems(),
        *environment_remarks(),
    ]


def environment_remarks() -> list[CheckMessage]:
    """What is odd in .env, or nearly one of our variables, and has no effect."""
    file = settings.ENVIRONMENT_FILE()
    said = [
        _("Line %(number)d of %(path)s is left out: it is not NAME=value.")
        % {"number": number, "path": file.path}
        for number in file.unreadable
    ]
    around = [name for name in os.environ if name not in file.names]
    for name in (*file.names, *around):
        if name in settings.ENVIRONMENT_NAMES or name.removesuffix("_FILE") in settings.ENVIRONMENT_NAMES:
            continue
        if name in _WITHOUT_EFFECT:
            said.append(_("%(name)s has no effect: %(why)s.") % {"name": name, "why": _WITHOUT_EFFECT[name]})
            continue
        alike = _ALIKE_IN_FILE if name in file.names else _ALIKE_AROUND
        nearest = difflib.get_close_matches(name.upper(), settings.ENVIRONMENT_NAMES, n=1, cutoff=alike)
        if nearest and not name.startswith("CUSTOM_HEADER_"):
            said.append(
                _("%(name)s is no variable of ccproxy and has no effect; %(nearest)s is one.")
                % {"name": name, "nearest": nearest[0]}
            )
    hint = _("Correct it or take it out.")
    return [Warning(sentence, hint=hint, id="gateway.W010") for sentence in said]


def _unreadable(problem: Exception) -> CheckMessage:
    return Error(str(problem), hint=_("Correct the variable in .env and start again."), id="gateway.E001")


def secret_key_problems() -> list[CheckMessage]:
    if not getattr(settings, "SECRET_KEY_IS_TEMPORARY", False):
        return []
    return [
        Warning(
            _("SECRET_KEY is not set: a temporary one is used, and every restart logs admins out."),
            hint=_("Put a long random text into .env as SECRET_KEY; make run does it."),
            id="gateway.W001",
        )
    ]


def encryption_problems(conf: GatewayConf) -> list[CheckMessage]:
    if not conf.field_encryption_keys:
        return [
            Warning(
                _("FIELD_ENCRYPTION_KEYS is not set: credentials of providers cannot be saved in admin."),
                hint=_("Put a key into .env; make one with: %(command)s")
                % {"command": encryption.HOW_TO_MAKE_A_KEY},
                id="gateway.W002",
            )
        ]
    try:
        encryption.encrypt("", conf.field_encryption_keys)
    except encryption.UnusableKey as problem:
        return [Error(str(problem), id="gateway.E002")]
    return []


def database_problems() -> list[CheckMessage]:
    if not any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        return []
    return [
        Error(
            _("ATOMIC_REQUESTS is on: async views refuse it, and streams would hold a transaction open."),
            hint=_("Take ATOMIC_REQUESTS out of DATABASE_URL or the settings."),
            id="gateway.E003",
        )
    ]


def access_problems(conf: GatewayConf) -> list[CheckMessage]:
    if conf.listens_on_loopback or not conf.allow_anonymous:
        return []
    return [
        Warning(
            _("ALLOW_ANONYMOUS is on and HOST is %(host)s: whoever reaches the port spends your credit.")
            % {"host": conf.host},
            hint=_("Make client keys (manage.py createclientkey NAME) and take ALLOW_ANONYMOUS out of .env."),
            id="gateway.W003",
        )
    ]


def debug_problems(conf: GatewayConf) -> list[CheckMessage]:
    """Pages for developers are for this machine alone."""
    if not settings.DEBUG or conf.listens_on_loopback:
        return []
    return [
        Warning(
            _(
                "DEBUG is on and HOST is %(host)s: whoever reaches the port sees source code and paths in "
                "pages of errors."
            )
            % {"host": conf.host},
            hint=_("Take DEBUG out of .env."),
            id="gateway.W008",
        )
    ]


def limit_problems(conf: GatewayConf) -> list[CheckMessage]:
    least, most = conf.min_tokens_limit, conf.max_tokens_limit
    if least is None or most is None or least <= most:
        return []
    return [
        Error(
            _("MIN_TOKENS_LIMIT (%(least)d) is more than MAX_TOKENS_LIMIT (%(most)d).")
            % {"least": least, "most": most},
            hint=_("Lower the one or raise the other in .env."),
            id="gateway.E004",
        )
    ]


def store_problems(conf: GatewayConf) -> list[CheckMessage]:
    """Limits of client keys must be counted where all processes see them, each request once."""
    backend = str(settings.CACHES["default"]["BACKEND"])
    if conf.limits_store == "cache" and not backend.endswith("RedisCache"):
        return [
            Error(
                _("LIMITS_STORE is cache, but the cache cannot count for several processes."),
                hint=_("Set REDIS_URL, or take LIMITS_STORE out of .env."),
                id="gateway.E006",
            )
        ]
    if conf.limits_store == "memory" and conf.processes != 1:
        return [
            Warning(
                _("LIMITS_STORE is memory: each process counts the limits of client keys for itself."),
                hint=_("Set PROCESSES=1, or take LIMITS_STORE out of .env."),
                id="gateway.W006",
            )
        ]
    return []


def process_problems(conf: GatewayConf) -> list[CheckMessage]:
    """Several processes share what stands in Redis; the memory of one is not the others'."""
    vendor = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2].removesuffix("3")
    if settings.REDIS_URL or (conf.processes or fitting_processes(vendor)) == 1:
        return []
    return [
        Warning(
            "Several processes serve and REDIS_URL is not set: the live tail shows the requests of one.",
            hint="Set REDIS_URL, for example redis://127.0.0.1:6379/0, or PROCESSES=1.",
            id="gateway.W007",
        )
    ]


def proxy_problems() -> list[CheckMessage]:
    """Variables that name no proxy that the gateway can use: no provider is reached through them."""
    return [
        Warning(
            _("%(name)s names no proxy that the gateway can use, so it reaches no provider through it.")
            % {"name": name},
            hint=_(
                "Enter a URL like http://proxy.example.com:3128, https://, socks5:// or socks5h://, or take "
                "the variable out."
            ),
            id="gateway.W009",
        )
        for name, _problem in ProxyVariables().problems()
    ]


def address_problems(conf: GatewayConf) -> list[CheckMessage]:
    try:
        text = conf.openai_base_url.strip()
        url = urlsplit(text)
        # without a scheme it is taken for https
        readable = is_one_word(text) and (
            ":/" not in text or (url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0)
        )
    except ValueError:
        readable = False
    if readable:
        return []
    return [
        Error(
            _("OPENAI_BASE_URL is %(url)r, which is not a web address.") % {"url": conf.openai_base_url},
            hint=_("It looks like https://api.openai.com/v1 or http://127.0.0.1:11434/v1."),
            id="gateway.E005",
        )
    ]


def file_problems(conf: GatewayConf) -> list[CheckMessage]:
    if not conf.config_file or Path(conf.config_file).is_file():
        return []
    return [
        Error(
            _("CONFIG_FILE is %(path)r, and there is no such file.") % {"path": conf.config_file},
            hint=_("Write one with manage.py exportconfig, or take CONFIG_FILE out of .env."),
            id="gateway.E007",
        )
    ]
