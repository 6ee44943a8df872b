"""Who the client is behind a proxy: its address, and the scheme it used.

Proxies in TRUSTED_PROXIES say so in Forwarded (RFC 7239), or in X-Forwarded-For and X-Forwarded-Proto;
from anybody else these headers are ignored. Everything that counts or notes addresses takes them from
here, so that a team behind one proxy does not count as one address, and nobody can choose their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from gateway.conf import Network, gateway_conf

Headers = Iterable[tuple[bytes, bytes]]

# clients behind more hops than this are not told apart
MOST_HOPS: Final = 32
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_FORWARDED: Final = b"forwarded"
_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_NAMES: Final = frozenset({_FORWARDED, _FOR, _PROTO})


class Seen(NamedTuple):
    """The client's address, and `http` or `https`; None when no proxy says."""

    address: str
    scheme: str | None = None


class _Hop(NamedTuple):
    address: str | None
    scheme: str | None = None


class TrustedProxies:
    """What the proxies in `networks` say about their clients."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def __bool__(self) -> bool:
        return bool(self._networks)

    def client(self, peer: str, headers: Headers) -> Seen:
        """Who sent a request that came from `peer`, the address at the other end of the connection.

        The nearest hop that is not a trusted proxy is the client. Two headers that contradict each other
        cannot both come from a proxy: one is the client's own, so neither counts.
        """
        peer = plain(peer)
        if not self.trusts(peer):
            return Seen(peer)
        told: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if name.lower() in _NAMES:
                told.setdefault(name.lower(), []).append(value)
        if not told:
            return Seen(peer)
        by_header = [
            self._nearest(hops, peer)
            for hops in (_forwarded_hops(told.get(_FORWARDED)), _x_forwarded_hops(told))
            if hops
        ]
        return by_header[0] if len(set(by_header)) == 1 else Seen(peer)

    def _nearest(self, hops: Sequence[_Hop], peer: str) -> Seen:
        """`hops`: the nearest first."""
        found = Seen(peer, hops[0].scheme)
        for hop in hops:
            if hop.address is None:
                # nothing behind a hop that hides itself can be trusted
                break
            found = Seen(hop.address, hop.scheme)
            if not self.trusts(hop.address):
                break
        return found

    def trusts(self, address: str) -> bool:
        """Whether `address` belongs to one of these proxies."""
        if not self._networks:
            return False
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self._networks)


@cache
def trusted_proxies() -> TrustedProxies:
    """The networks of the setting TRUSTED_PROXIES."""
    return TrustedProxies(gateway_conf().trusted_networks)


def client_address(peer: str, headers: Headers) -> str:
    """The client's address: `peer`, or what a trusted proxy says. Header names in any case."""
    return trusted_proxies().client(peer, headers).address


def plain(address: str) -> str:
    """An address in its usual form: an IPv4 address reported by an IPv6 socket becomes IPv4."""
    if ":" not in address:
        return address
    try:
        known = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(known.ipv4_mapped or known)


def take_in(scope: dict[str, Any]) -> None:
    """Put the client's address and scheme into an ASGI scope, in place of the proxy's."""
    peer = scope.get("client")
    if not peer:
        return
    proxies = trusted_proxies()
    if not proxies and ":" not in peer[0]:
        return
    address, scheme = proxies.client(peer[0], scope["headers"])
    scope["client"] = [address, peer[1]]
    if scheme is not None:
        secure = scheme == "https"
        scope["scheme"] = scheme if scope["type"] == "http" else "wss" if secure else "ws"


def _x_forwarded_hops(told: dict[bytes, list[bytes]]) -> list[_Hop]:
    addresses = [_address(text) for text in _nearest_first(told.get(_FOR))]
    schemes = [_SCHEMES.get(text.lower()) for text in _nearest_first(told.get(_PROTO))]
    if not addresses:
        return [_Hop(None, schemes[0])] if schemes else []
    # when every proxy adds its own, they come in pairs; otherwise the nearest proxy's word counts
    paired = len(schemes) == len(addresses)
    nearest = schemes[0] if schemes else None
    return [_Hop(address, schemes[number] if paired else nearest) for number, address in enumerate(addresses)]


def _forwarded_hops(values: list[bytes] | None) -> list[_Hop]:
    hops = []
    for element in _nearest_first(values):
        pairs: dict[str, str] = {}
        for pair in element.split(";"):
            name, _, value = pair.partition("=")
            pairs[name.strip().lower()] = value.strip().strip('"')
        hops.append(_Hop(_address(pairs.get("for", "")), _SCHEMES.get(pairs.get("proto", "").lower())))
    return hops


def _nearest_first(values: list[bytes] | None) -> list[str]:
    """The parts of a header that may occur several times."""
    if not values:
        return []
    parts = b",".join(values).decode("latin-1").rsplit(",", MOST_HOPS)
    if len(parts) > MOST_HOPS:
        parts = parts[1:]
    return [part.strip() for part in reversed(parts)]


def _address(text: str) -> str | None:
    """`192.0.2.1`, `192.0.2.1:99`, `[2001:db8::1]:99`, `2001:db8::1`; None for `unknown` and the like."""
    text = text.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        known = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return plain(str(known))
