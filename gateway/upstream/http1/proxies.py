"""Which proxy HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name for a URL (NO_PROXY exempts it)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import getproxies

from gateway.routing.network_path import Proxy, UnusableProxy, bypasses, proxy_of


class ProxyVariables:
    """The variables as they were when this was made (`found`: in place of the environment's)."""

    def __init__(self, found: Mapping[str, str] | None = None) -> None:
        proxies = getproxies() if found is None else found
        self._no_proxy = proxies.get("no", "")
        self._named = {name: proxies[name] for name in ("http", "https", "all") if proxies.get(name)}

    def proxy_for(self, url: str) -> Proxy | None:
        """The proxy for requests to `url`; None for none, and for a URL that cannot be read.

        Raises UnusableProxy.
        """
        if not self._named:
            return None
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return None
        named = self._named.get(parts.scheme.lower()) or self._named.get("all")
        if not named or bypasses(host, self._no_proxy):
            return None
        return _proxy(named)

    def problems(self) -> list[tuple[str, str]]:
        """(variable, what is wrong with it) for each that names no usable proxy."""
        found = []
        for name, value in self._named.items():
            try:
                _proxy(value)
            except UnusableProxy as problem:
                found.append((f"{name.upper()}_PROXY", str(problem)))
        return found


@lru_cache(maxsize=16)
def _proxy(text: str) -> Proxy:
    return proxy_of(text)
