"""Where secrets and calls may go: the origin that a secret belongs to, and addresses nobody may be sent to.

Pure: names are not resolved here. upstream/http1/happy_eyeballs.py asks about the addresses that it is
about to connect to, so a name that leads to a refused address is refused as well.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}
_LINK_LOCAL: Final = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    # metadata services that are not at a link-local address: Amazon over IPv6, Alibaba, Azure's host
    ipaddress.ip_network("fd00:ec2::254/128"),
    ipaddress.ip_network("100.100.100.200/32"),
    ipaddress.ip_network("168.63.129.16/32"),
)
_METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
# prefixes after which an IPv6 address holds an IPv4 one, and how far from its right end that begins
_CARRIERS: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)


def origin_of(url: str) -> str:
    """Scheme, host and port of a web address in one spelling; a text that is none stands for itself.

    Two URLs with one origin lead to the same server. It compares the text of host and port and
    resolves nothing, so that whatever reads the URL later cannot read another host out of it.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    if not parts.netloc:
        return url.strip()
    scheme, place = parts.scheme.lower(), parts.netloc.lower()
    return f"{scheme}://{place.removesuffix(_USUAL_PORTS.get(scheme, ' '))}"


def is_link_local(address: str) -> bool:
    """Whether an IP address is link-local or a metadata service, also inside an IPv6 address.

    False for a text that is no IP address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(parsed in network for network in _LINK_LOCAL if network.version == parsed.version):
        return True
    return isinstance(parsed, ipaddress.IPv6Address) and any(
        is_link_local(str(ipaddress.IPv4Address(int(parsed) >> shift & 0xFFFFFFFF)))
        for network, shift in _CARRIERS
        if parsed in network
    )


def is_refused_host(host: str) -> bool:
    """`is_link_local` of a host as a URL names it: in any spelling that the system takes for an address.

    The system reads 2852039166, 0xa9fe.0xa9fe and 0251.0376.0251.0376 as 169.254.169.254. The names
    of metadata services count too. Other names are not looked up.
    """
    host = host.strip("[]").rstrip(".").lower()
    if host in _METADATA_NAMES or is_link_local(host):
        return True
    with contextlib.suppress(OSError, ValueError):
        return is_link_local(socket.inet_ntoa(socket.inet_aton(host)))
    return False


def leads_to_refused_host(url: str) -> bool:
    """`is_refused_host` of a URL's host; False for a text that is no URL."""
    try:
        return is_refused_host(urlsplit(url.strip()).hostname or "")
    except ValueError:
        return False
