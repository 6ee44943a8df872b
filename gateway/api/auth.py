"""Who asks: x-api-key or bearer -> the key's entry, by digest (specification 1.2, 7.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway.conf import is_loopback
from gateway.errors import AuthenticationFailed
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.security import client_keys

_WEB = ("http", "https")
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


def authenticated(
    headers: Mapping[str, str], address: str, snapshot: ConfigSnapshot, *, now: float, open_to_all: bool
) -> KeyEntry | None:
    """The entry of the shown key; None for an allowed anonymous client.

    `headers` have lower-case names; `address` is the peer's; `now` is Unix time;
    `open_to_all` is the setting ALLOW_ANONYMOUS. Raises AuthenticationFailed.
    """
    shown = list(_credentials(headers))
    refusal = ""
    for credential in shown:
        entry = snapshot.keys.get(client_keys.digest(credential))
        if entry is not None:
            reason = entry.refusal(now)
            if not reason:
                return entry
            refusal = refusal or reason
    if refusal:
        raise AuthenticationFailed(f"invalid x-api-key: {refusal}")
    if snapshot.anonymous_allowed and (open_to_all or _is_local(headers, address)):
        return None
    raise AuthenticationFailed("invalid x-api-key" if shown else "x-api-key header is required")


def _credentials(headers: Mapping[str, str]) -> Iterator[str]:
    key = headers.get("x-api-key", "").strip()
    if key:
        yield key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        yield token.strip()


def _is_local(headers: Mapping[str, str], address: str) -> bool:
    """Whether the client is on this machine: a loopback peer that speaks for nobody else.

    A browser here speaks for the page that is open in it, and names its site when it posts: one that
    has its name lead to this address (DNS rebinding) as well.
    """
    if not is_loopback(address) or any(name in headers for name in _FORWARDED):
        return False
    origin = headers.get("origin")
    return origin is None or _of_this_machine(origin)


def _of_this_machine(origin: str) -> bool:
    """Whether a page is of a server here, or of no website at all (an editor's view, an extension)."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    return is_loopback(host) if parts.scheme in _WEB else bool(parts.scheme)
