"""What an address is counted as, wherever something is counted by who asks."""

from __future__ import annotations

import ipaddress
from typing import Final

# prefix length of the IPv6 addresses that one household or machine has
_IPV6_CLIENT: Final = 64


def counted_as(address: str) -> str:
    """What an address is counted as: itself, or in IPv6 the network that one client has to itself."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return address
    return str(ipaddress.ip_network((known, _IPV6_CLIENT), strict=False))
