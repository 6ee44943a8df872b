"""Whether a request comes from a program on this machine (pure).

Only such requests are answered by a gateway without client keys. A loopback peer proves nothing
by itself: it may be a proxy for the outside world, or a browser acting for some website's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from gateway.conf import is_loopback

_WEB: Final = ("http", "https")
# A header with one of these words in its name comes from a proxy, a tunnel or a content network:
# X-Forwarded-For, X-Real-IP, CF-Connecting-IP, X-Azure-ClientIP, Tailscale-User-Login.
_PROXIES_WORDS: Final = frozenset(
    {
        "addr", "akamai", "amzn", "appengine", "arr", "azure", "cdn", "cf", "clientip", "cloudfront", "edge",
        "envoy", "fastly", "fly", "forwarded", "ip", "ngrok", "original", "peerip", "pomerium", "proxied",
        "realip", "remote", "rewrite", "scheme", "socketip", "ssl", "surrogate", "tailscale", "traefik",
        "varnish", "vercel", "via",
    }
)  # fmt: skip
_PROXIES_NAMES: Final = frozenset({"front-end-https", "x-amz-cf-id", "x-host", "x-http-host", "x-iinfo"})
_OWN_SITE: Final = ("none", "same-origin")


def foreign_sign(headers: Mapping[str, str], address: str, http_version: str = "1.1") -> str:
    """Evidence that a request is not from a local program, as half a sentence; "" when there is none.

    `headers` have lower-case names; `address` is the peer's.
    """
    if not is_loopback(address):
        return "this request came from another machine"
    if not _is_loopback_host(headers.get("host", "")):
        return "this request asks for a host of another name"
    for name in headers:
        if _is_proxys(name):
            return f"a proxy passed this request on ({name})"
    if http_version == "1.0":
        # the API's clients do not use it, but proxies that do not announce themselves do
        return "a proxy passed this request on (HTTP/1.0)"
    if not _may_be_of_a_page_here(headers):
        return "a web page sent this request"
    return ""


def _may_be_of_a_page_here(headers: Mapping[str, str]) -> bool:
    """False when a browser says that another site's page is behind the request.

    A site that makes its name resolve to this address (DNS rebinding) is caught by its Host as well.
    """
    if headers.get("sec-fetch-site", "none") not in _OWN_SITE:
        return False
    origin, referer = headers.get("origin"), headers.get("referer")
    return (origin is None or _is_of_this_machine(origin)) and (
        referer is None or _is_of_this_machine(referer)
    )


def _is_of_this_machine(address: str) -> bool:
    """Whether a page belongs to a local server, or to no website at all (an editor's view, an extension)."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return is_loopback(host) if parts.scheme in _WEB else bool(parts.scheme)


@lru_cache(256)
def _is_proxys(name: str) -> bool:
    return name in _PROXIES_NAMES or not _PROXIES_WORDS.isdisjoint(name.split("-"))


@lru_cache(64)
def _is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine: a loopback name or address, with or without a port."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    if port and not (port.isascii() and port.isdigit()):
        return False
    # brackets mark an IPv6 address and nothing else
    bracketed = name.startswith("[") and name.endswith("]")
    return is_loopback(name.lower()) and (":" in name) == bracketed == any(one in name for one in "[]")
