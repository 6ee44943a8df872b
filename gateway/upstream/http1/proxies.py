"""Whether HTTP_PROXY, HTTPS_PROXY or ALL_PROXY sends a URL through a proxy (NO_PROXY exempts it).

Reads the variables as the HTTP client does. Only the library's client uses proxies, so in doubt the
answer is yes, and that client then decides for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies


class ProxyVariables:
    """The variables as they were when this was made (`found`: in place of the environment's)."""

    def __init__(self, found: Mapping[str, str] | None = None) -> None:
        proxies = getproxies() if found is None else found
        exempt = [entry.strip().lower() for entry in proxies.get("no", "").split(",")]
        self._exempt = [entry for entry in exempt if entry]
        none = "*" in self._exempt
        self._schemes = frozenset(name for name in ("http", "https", "all") if proxies.get(name) and not none)

    def apply_to(self, url: str) -> bool:
        """Whether a request to `url` may have to go through a proxy. False for a URL that cannot be read."""
        if not self._schemes:
            return False
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
        except ValueError:
            return False
        if parts.scheme.lower() not in self._schemes and "all" not in self._schemes:
            return False
        return not any(host == entry or host.endswith(f".{entry.lstrip('.')}") for entry in self._exempt)
