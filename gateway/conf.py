"""GatewayConf: the gateway's settings as one frozen value, read once from settings.GATEWAY."""

from __future__ import annotations

import ipaddress
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from gateway.variables import Group, Variable, WrongValue, is_web_address, variables_of

CAPTURE_POLICIES = ("none", "full")
# processes that serve when nobody says how many
MOST_BY_ITSELF = 4
# errors for what was interrupted, and two flushes of the history at their longest
SETTLING_SECONDS = 55.0
MEGABYTE = 1024 * 1024

_PLAIN = string.ascii_letters + string.digits + "-._~/"
# the first parts of the gateway's own paths: a sub-path that began with one could not be told from it
OWN_PATHS = frozenset({"admin", "api", "device", "health", "managed", "metrics", "oauth", "static", "v1"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROVIDER = Group("The provider and the models (as in the original proxy)")
SERVER = Group("The server")
LIMITS = Group("Limits")
GATEWAY = Group("The gateway")
DJANGO = Group("Django")


def _is_host(text: str) -> bool:
    """Whether a text can be an address or the name of a host, without a port; "": every address."""
    if not text:
        return True
    try:
        # an IPv6 address may have the brackets that it has in URLs
        ipaddress.ip_address(text[1:-1] if text[0] + text[-1] == "[]" and ":" in text else text)
    except ValueError:
        parts = text.split(".")
        # a name that ends in a number would be an IPv4 address
        return not parts[-1].isdecimal() and all(
            part and part.replace("-", "").replace("_", "").isalnum() for part in parts
        )
    return True


@dataclass(frozen=True, slots=True)
class GatewayConf:
    """Settings of the process, each with the environment variable that sets it. Secrets have no repr.

    Times are seconds. Raises ImproperlyConfigured for values that contradict their declaration or each other.
    """

    openai_api_key: str = PROVIDER.variable(
        "",
        "Key of the provider. With it set, a provider and its mappings are made from this file.",
        secret=True,
    )
    openai_base_url: str = PROVIDER.variable(
        "https://api.openai.com/v1",
        "Base URL of any OpenAI-compatible server; Azure's deployment and v1 URLs work too. One that ends in "
        "/chat/completions, /responses or /v1/messages (also https://api.anthropic.com) chooses that "
        "protocol.",
    )
    azure_api_version: str = PROVIDER.variable("", "Azure OpenAI: the api-version of a deployment URL.")
    big_model: str = PROVIDER.variable(
        "gpt-4o", "Upstream model for names with opus, and for every name that no other rule matches."
    )
    middle_model: str = PROVIDER.variable("", "Upstream model for names with sonnet; empty: BIG_MODEL.")
    small_model: str = PROVIDER.variable("gpt-4o-mini", "Upstream model for names with haiku.")
    anthropic_api_key: str = PROVIDER.variable(
        "",
        "The key that clients must show; empty and no client key in the admin: any key is accepted on this "
        "machine.",
        secret=True,
    )

    host: str = SERVER.variable(
        "127.0.0.1",
        "Address to listen on. On another one than 127.0.0.1, requests without a valid key are refused.",
        check=_is_host,
        example="127.0.0.1, 0.0.0.0, :: or the name of a host",
    )
    port: int = SERVER.variable(8082, "Port to listen on.", least=1, most=65535)
    processes: int = SERVER.variable(
        0, "Server processes on that port; 0: one with SQLite, else one a core, at most 4.", most=256
    )

    max_tokens_limit: int | None = LIMITS.variable(
        None, "Largest max_tokens sent to the provider; empty: as asked.", least=1
    )
    min_tokens_limit: int | None = LIMITS.variable(
        None, "Smallest max_tokens sent to the provider; empty: as asked."
    )
    request_timeout: float = LIMITS.variable(
        90.0, "Longest silence of the provider, in seconds.", above_zero=True
    )
    max_retries: int = LIMITS.variable(
        2, "How often a failed call is tried again before the first byte.", most=100
    )
    retry_budget: float = LIMITS.variable(
        30.0,
        "Seconds after the first attempt in which another one may begin. A stream also ends trying at "
        "COMMIT_AFTER.",
    )
    custom_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    allow_anonymous: bool = GATEWAY.variable(
        False, "true: serve everybody without a valid key. An open relay for your credit."
    )
    keys_required: bool = GATEWAY.variable(
        False,
        "true: nobody is served without a client key, not even this machine while there is no key yet.",
    )
    sign_in: bool = GATEWAY.variable(
        False, "true: users of the console may sign in from Claude Code (/login), without a key."
    )
    sign_in_models: tuple[str, ...] = GATEWAY.variable(
        (),
        "Models, or patterns with *, that the first sign-in of a person may ask for; a later one takes over "
        "the limits of the one before. Empty: all. Example: claude-haiku-*,small",
    )
    telemetry_collector: str = GATEWAY.variable(
        "",
        "Where the telemetry of signed-in clients is sent on to, by OTLP over HTTP. "
        "Example: http://127.0.0.1:4318",
        check=is_web_address,
        example="http://127.0.0.1:4318",
    )
    public_url: str = GATEWAY.variable(
        "",
        "How clients reach the gateway behind a proxy, for every line to copy. "
        "Example: https://ccproxy.example.org",
    )
    trusted_proxies: tuple[str, ...] = GATEWAY.variable(
        (),
        "Proxies that are believed who their client is, comma-separated. Example: 127.0.0.1,10.0.0.0/8",
    )
    # host names under which pages may be asked for
    names: tuple[str, ...] = ()
    allow_link_local: bool = GATEWAY.variable(
        False,
        "true: providers may be at link-local addresses (169.254.0.0/16, fe80::/10) and metadata services of "
        "clouds, which hand out credentials of the machine.",
    )
    capture_bodies: str = GATEWAY.variable(
        "full", "Which bodies the history keeps: full or none.", choices=CAPTURE_POLICIES
    )
    owners_read_content: bool = GATEWAY.variable(
        True, "false: the owner of a client key sees its requests, but not what was said in them."
    )
    help_contact: str = GATEWAY.variable(
        "", "Whom people ask whose client key is refused; empty: whoever runs the gateway."
    )
    config_file: str = GATEWAY.variable(
        "", "A file of `manage.py exportconfig`, taken in at each start; empty: none."
    )
    history_patience: float = GATEWAY.variable(
        0.05,
        "Seconds that the end of an answer waits for the database before its record goes to a file.",
    )
    ping_interval: float = GATEWAY.variable(
        10.0, "Seconds without an event after which a streaming client gets a ping.", above_zero=True
    )
    commit_after: float = GATEWAY.variable(
        10.0, "Seconds of silence of the provider after which a stream's status 200 is sent."
    )
    stop_grace: float = GATEWAY.variable(
        30.0, "Seconds that requests under way may go on when the process is told to stop."
    )
    max_body_mb: int = GATEWAY.variable(32, "Largest request body, in MiB.", least=1)
    max_connections: int | None = GATEWAY.variable(
        None,
        "Connections of clients that one process holds; empty: 4096, and at most half of the descriptors it "
        "may open.",
        least=1,
    )
    max_connections_per_address: int | None = GATEWAY.variable(
        None, "Of one client's address (IPv6: network); empty: half of those.", least=1
    )
    max_requests: int | None = GATEWAY.variable(
        None,
        "Requests that one process works on at the same time; empty: any number. Others wait their turn.",
        least=1,
    )
    queue_wait: float = GATEWAY.variable(
        10.0,
        "Seconds that a request waits for its turn; then it is told that the gateway is overloaded.",
    )
    stream_limit: float = GATEWAY.variable(
        3600.0, "Longest time of one answer, in seconds; then it ends with an error.", above_zero=True
    )
    limits_store: str = GATEWAY.variable(
        "",
        "Where limits and budgets of client keys are counted: database, cache (Redis), or memory (one "
        "process only). Empty: cache where REDIS_URL is set, else database.",
        choices=("database", "cache", "memory"),
    )
    limits_fail_closed: bool = GATEWAY.variable(
        False,
        "true: while they cannot be counted, requests of keys with limits are refused instead of served.",
    )
    unpriced_spend: str = GATEWAY.variable(
        "allow",
        "What a key with a spend budget may ask of a model without a price: allow or refuse.",
        choices=("allow", "refuse"),
    )
    metrics_token: str = GATEWAY.variable(
        "",
        "What Prometheus shows as `Authorization: Bearer ...` to read /metrics; empty: nobody may.",
        secret=True,
    )
    metrics_by_owner: bool = GATEWAY.variable(
        False, "Count tokens and cost by the owner of the client key, too: names of people in /metrics."
    )
    metrics_by_group: bool = GATEWAY.variable(
        False, "Count tokens and cost by each group of the client key's owner, too: their names in /metrics."
    )
    upstream_transport: str = GATEWAY.variable(
        "lean",
        "How providers are spoken to: lean (fast, HTTP/1.1), or httpx. Through a proxy it is always lean.",
        choices=("lean", "httpx"),
    )
    warm_connections: int = GATEWAY.variable(
        0,
        "How many idle TLS connections each process keeps open to every provider that was asked within ten "
        "minutes, so that a request after a pause does not wait for a handshake; 0: none.",
        least=0,
        most=16,
    )
    spool_folder: Path = Path("data/spool")

    field_encryption_keys: tuple[str, ...] = DJANGO.variable(
        (),
        "Encrypt provider credentials; newest first, comma-separated; made by `make run` at the first start.",
        secret=True,
    )

    def __post_init__(self) -> None:
        for variable in gateway_variables():
            try:
                variable.allow(getattr(self, variable.name.lower()))
            except WrongValue as wrong:
                raise ImproperlyConfigured(str(wrong)) from None
        # frozen is for those who use it
        object.__setattr__(self, "middle_model", self.middle_model or self.big_model)
        object.__setattr__(self, "limits_store", self.limits_store or "database")
        if self.keys_required and self.allow_anonymous:
            raise ImproperlyConfigured(
                _("KEYS_REQUIRED and ALLOW_ANONYMOUS are both on; take one of them out of .env")
            )
        if self.public_url and not _is_public_url(self.public_url):
            raise ImproperlyConfigured(
                _("PUBLIC_URL is %(value)r; it looks like https://ccproxy.example.org or .../sub/path")
                % {"value": self.public_url}
            )
        if self.public_path[1:].partition("/")[0] in OWN_PATHS:
            raise ImproperlyConfigured(
                _("PUBLIC_URL has the path %(value)r, which is one of the gateway's own; choose another")
                % {"value": self.public_path}
            )
        self.trusted_networks  # noqa: B018 - raises for what is no address

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_mb * MEGABYTE

    @property
    def longest_stop(self) -> float:
        """Seconds after which a process that was told to stop has surely stopped."""
        return self.stop_grace + SETTLING_SECONDS

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is to read anywhere."""
        own = (self.openai_api_key, self.anthropic_api_key, self.metrics_token, *self.field_encryption_keys)
        return (*own, *self.custom_headers.values())

    @property
    def listens_on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies` as networks. Raises ImproperlyConfigured."""
        return tuple(_network(text) for text in self.trusted_proxies)

    @property
    def others_reach_it(self) -> bool:
        """Whether the settings say that more than this machine comes to it, be it through a proxy here."""
        names = [*self.names, urlsplit(self.public_url).hostname or "localhost"]
        return bool(self.trusted_proxies) or not all(is_loopback(name) for name in names)

    @property
    def public_path(self) -> str:
        """The sub-path of `public_url`, without a slash at its end; "" at the root of its host."""
        return path_of(self.public_url)

    @property
    def upstream_configured(self) -> bool:
        """Whether the environment names a provider: a key, or a server other than OpenAI's own."""
        usual = ("", GatewayConf.openai_base_url_default())
        return bool(self.openai_api_key) or self.openai_base_url.strip().rstrip("/") not in usual

    @staticmethod
    def openai_base_url_default() -> str:
        return "https://api.openai.com/v1"


def fitting_processes(vendor: str) -> int:
    """How many processes serve when nobody says: one on SQLite, which has one writer; else one a core."""
    if vendor == "sqlite":
        return 1
    # not every system tells which cores are ours
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST_BY_ITSELF)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine itself."""
    # as most requests say it, before it is taken apart
    if host in ("127.0.0.1", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    # as a socket of IPv6 tells an IPv4 address
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        raise ImproperlyConfigured(
            _("TRUSTED_PROXIES has %(value)r, which is no address and no network such as 10.0.0.0/8")
            % {"value": text}
        ) from None


def path_of(url: str) -> str:
    """The path of a web address, without a slash at its end; "" for what is no web address."""
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""


def _is_public_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        return False
    # a path in which some servers would decode or merge something is not the same behind each of them
    plain = not url.path.strip(_PLAIN) and "//" not in url.path and "/." not in url.path
    odd = (
        not plain
        or url.query
        or url.fragment
        or "@" in url.netloc
        or not text.isascii()
        or not text.isprintable()
    )
    return url.scheme in ("http", "https") and bool(host) and port != 0 and not odd and " " not in text


@cache
def gateway_variables() -> tuple[Variable, ...]:
    """The environment variables of GatewayConf, in the order of its fields."""
    return tuple(variables_of(GatewayConf))


def conf_from(values: Mapping[str, Any]) -> GatewayConf:
    """Build from settings.GATEWAY; an unknown name is a TypeError."""
    return GatewayConf(**values)


@cache
def gateway_conf() -> GatewayConf:
    """The process's settings. Raises ImproperlyConfigured when a variable has a wrong value."""
    if settings.WRONG_VARIABLES:
        raise ImproperlyConfigured("\n".join(map(str, settings.WRONG_VARIABLES)))
    return conf_from(settings.GATEWAY)
