"""How a provider is reached where that is not the usual way: its proxy, its CAs, our certificate (pure).

Also the two texts of proxies that people write: a proxy's URL, and NO_PROXY.
"""

from __future__ import annotations

import ipaddress
from dataclasses import field
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.values import frozen

# in place of a proxy's URL: none, whatever the environment's variables say
DIRECT: Final = "direct"
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class UnusableProxy(ValueError):
    """The text is not the URL of a proxy that the gateway can use."""


@frozen
class Proxy:
    """A proxy. `login`: user and password, both "" for none.

    With `http` and `https` a provider's https:// URL is reached through a tunnel (CONNECT), an http:// one
    by asking the proxy. `socks5` resolves the provider's name here, `socks5h` at the proxy, as curl's do.
    """

    scheme: str
    host: str
    port: int
    login: tuple[str, str] = field(default=("", ""), repr=False)

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")


@frozen
class TLSIdentity:
    """`ca`: PEM; certificates of the only CAs that may have signed the server's; "" for the usual ones.

    `certificate` and `key`: PEM; what is shown to a server that asks who we are.
    """

    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


@frozen
class NetworkPath:
    """What an admin set for one provider.

    `proxy` None: the variables of the environment decide, unless `direct`.
    """

    proxy: Proxy | None = None
    direct: bool = False
    tls: TLSIdentity | None = None


def proxy_of(url: str, login: tuple[str, str] | None = None) -> Proxy:
    """The proxy that a URL names; without a scheme it is an HTTP proxy. `login` replaces the URL's own.

    Raises UnusableProxy.
    """
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UnusableProxy("it is not a URL") from None
    if parts.scheme.lower() not in _PORTS:
        raise UnusableProxy("it must begin with http://, https://, socks5:// or socks5h://")
    if not host or not host.isprintable() or any(letter.isspace() for letter in host):
        raise UnusableProxy("it names no host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise UnusableProxy("it must end after the port")
    if login is None:
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
    scheme = parts.scheme.lower()
    return Proxy(scheme, host, port or _PORTS[scheme], login)


def login_of(text: str) -> tuple[str, str]:
    """`user:password` as a pair; a password may contain colons."""
    user, _, password = text.partition(":")
    return user, password


def bypasses(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY exempts a host (IPv6 without brackets), exactly as curl reads it.

    Commas or blanks separate the entries. `*` alone exempts everything. For a name an entry is a domain,
    with or without a leading dot, and its subdomains. For an address it is an address or a network
    (10.0.0.0/8, fd00::/8). Entries with a port or in brackets match nothing.
    """
    if not host:
        return False
    if no_proxy == "*":
        return True
    address = _address(host)
    name = host.lower().removesuffix(".")
    return any(
        _is_within(name, entry.lower()) if address is None else _contains(entry, address)
        for entry in _entries(no_proxy)
    )


def _entries(no_proxy: str) -> list[str]:
    return no_proxy.replace(",", " ").replace("\t", " ").split(" ")


def _is_within(name: str, entry: str) -> bool:
    domain = entry.removesuffix(".").removeprefix(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _contains(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    text, slash, digits = entry.partition("/")
    base = _address(text)
    if base is None or base.version != address.version:
        return False
    # what follows the digits is not read, and no digits are a 0, which stands for the whole address
    digits = digits[: len(digits) - len(digits.lstrip("0123456789"))] if slash else ""
    bits = int(digits[:4] or "0")
    if bits > base.max_prefixlen:
        return False
    shift = base.max_prefixlen - (bits or base.max_prefixlen)
    return int(address) >> shift == int(base) >> shift


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
