"""Where secrets and calls may go: the origin a secret belongs to, and addresses that are always refused.

Pure: names are not resolved here. upstream/http1/happy_eyeballs.py checks each address before it
connects, so a name that resolves to a refused address is refused as well.
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
    # metadata services outside the link-local ranges: Amazon over IPv6, Alibaba, Azure's host
    ipaddress.ip_network("fd00:ec2::254/128"),
    ipaddress.ip_network("100.100.100.200/32"),
    ipaddress.ip_network("168.63.129.16/32"),
)
_METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
# IPv6 prefixes that embed an IPv4 address, and how far from the right end it begins
_CARRIERS: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)


def origin_of(url: str) -> str:
    """Scheme, host and port of a web address in one spelling; any other text stands for itself.

    Two URLs with the same origin lead to the same server. It compares the text of host and port and
    resolves nothing, so code that reads the URL later cannot find another host in it.
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
    """Whether an IP address is link-local or a metadata service, also when embedded in an IPv6 address.

    False for a text that is not an IP address.
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
    """`is_link_local` of a host as written in a URL, in any spelling the system accepts for an address.

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
    """`is_refused_host` of a URL's host; False for a text that is not a URL."""
    try:
        return is_refused_host(urlsplit(url.strip()).hostname or "")
    except ValueError:
        return False
