"""GatewayConf: the gateway's settings as one frozen value, read once from settings.GATEWAY."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

CAPTURE_POLICIES = ("none", "full")
# processes that serve when nobody says how many
MOST_BY_ITSELF = 4
# errors for what was interrupted, and two flushes of the history at their longest
SETTLING_SECONDS = 55.0
UPSTREAM_TRANSPORTS = ("lean", "httpx")
LIMITS_STORES = ("database", "cache", "memory")
UNPRICED_SPENDS = ("allow", "refuse")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class GatewayConf:
    """Settings of the process. Secrets have no repr; times are seconds, sizes bytes.

    `commit_after`: upstream silence after which a stream's 200 is sent
      (docs/conversion.md, "When the 200 goes out").
    `ping_interval`: longest time without an event to a streaming client.
    `processes`: how many serve; 0: as many as fit.
    `stop_grace`: how long requests under way may go on when the process is told to stop.
    `retry_budget`: no further attempt for a request begins later than this after the first.
    `history_patience`: how long the end of an answer waits for the database before its
    record goes to a file in `spool_folder`.
    `max_connections` of this process's clients, and of one client's address; None = as many as fit.
    `max_requests` at once in this process, None = any number; others wait up to `queue_wait`.
    `stream_limit`: longest time that one answer may take.
    `owners_read_content`: whether the owner of a client key reads the contents of its requests.
    `allow_link_local`: whether providers may be at link-local and metadata addresses.
    `limits_store`: where the limits of client keys are counted.
    `keys_required`: nobody is served without a client key, not even this machine.
    `trusted_proxies`: addresses and networks whose word on client and scheme counts.
    `public_url`: how clients reach the gateway, "" = at its own address.
    `names`: host names under which pages of it may be asked for.
    """

    openai_api_key: str = field(default="", repr=False)
    openai_base_url: str = "https://api.openai.com/v1"
    azure_api_version: str = ""
    big_model: str = "gpt-4o"
    middle_model: str = "gpt-4o"
    small_model: str = "gpt-4o-mini"
    anthropic_api_key: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8082
    processes: int = 0
    max_tokens_limit: int | None = None
    min_tokens_limit: int | None = None
    request_timeout: float = 90.0
    max_retries: int = 2
    retry_budget: float = 30.0
    custom_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_anonymous: bool = False
    keys_required: bool = False
    trusted_proxies: tuple[str, ...] = ()
    public_url: str = ""
    names: tuple[str, ...] = ()
    allow_link_local: bool = False
    capture_bodies: str = "full"
    owners_read_content: bool = True
    ping_interval: float = 10.0
    commit_after: float = 10.0
    max_body_bytes: int = 32 * 1024 * 1024
    max_connections: int | None = None
    max_connections_per_address: int | None = None
    max_requests: int | None = None
    queue_wait: float = 10.0
    stream_limit: float = 3600.0
    limits_store: str = "database"
    limits_fail_closed: bool = False
    unpriced_spend: str = "allow"
    upstream_transport: str = "lean"
    config_file: str = ""
    history_patience: float = 0.05
    stop_grace: float = 30.0
    metrics_token: str = field(default="", repr=False)
    spool_folder: Path = Path("data/spool")
    field_encryption_keys: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for variable, value, choices in (
            ("CAPTURE_BODIES", self.capture_bodies, CAPTURE_POLICIES),
            ("UPSTREAM_TRANSPORT", self.upstream_transport, UPSTREAM_TRANSPORTS),
            ("LIMITS_STORE", self.limits_store, LIMITS_STORES),
            ("UNPRICED_SPEND", self.unpriced_spend, UNPRICED_SPENDS),
        ):
            if value not in choices:
                raise ImproperlyConfigured(
                    _("%(variable)s is %(value)r; use one of %(choices)s")
                    % {"variable": variable, "value": value, "choices": ", ".join(choices)}
                )
        if self.keys_required and self.allow_anonymous:
            raise ImproperlyConfigured(
                _("KEYS_REQUIRED and ALLOW_ANONYMOUS are both on; take one of them out of .env")
            )
        if self.public_url and not _is_public_url(self.public_url):
            raise ImproperlyConfigured(
                _("PUBLIC_URL is %(value)r; it looks like https://ccproxy.example.org or .../sub/path")
                % {"value": self.public_url}
            )
        self.trusted_networks  # noqa: B018 - raises for what is no address

    @property
    def longest_stop(self) -> float:
        """Seconds after which a process that was told to stop has surely stopped."""
        return self.stop_grace + SETTLING_SECONDS

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


def _is_public_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        return False
    odd = url.query or url.fragment or "@" in url.netloc or not text.isascii() or not text.isprintable()
    return url.scheme in ("http", "https") and bool(host) and port != 0 and not odd and " " not in text


def conf_from(values: Mapping[str, Any]) -> GatewayConf:
    """Build from settings.GATEWAY; an unknown name is a TypeError."""
    return GatewayConf(**values)


@cache
def gateway_conf() -> GatewayConf:
    """The process's settings."""
    return conf_from(settings.GATEWAY)
