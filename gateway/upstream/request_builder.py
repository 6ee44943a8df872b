"""ProviderConfig and a converted body -> URL, headers, bytes (docs/providers.md, "What a preset holds")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.routing.network_path import NetworkPath
from gateway.routing.snapshot import ProviderConfig
from gateway.values import frozen
from gateway.wire import jsontext

PATHS: Final = {"chat": "/chat/completions", "responses": "/responses", "anthropic": "/v1/messages"}


@frozen
class UpstreamCall:
    """One HTTP POST to a provider. `headers` carry the credential, hence no repr. Timeouts in seconds.

    `demo`: answered inside the process. `network`: how to get there; None for the usual way.
    """

    url: str
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout: float = 10.0
    demo: bool = False
    network: NetworkPath | None = None


def upstream_call(
    provider: ProviderConfig,
    protocol: str,
    body: Mapping[str, object],
    more_headers: Mapping[str, str],
    credential: str | None,
    connect_timeout: float | None = None,
    *,
    query: str = "",
    below: str = "",
) -> UpstreamCall:
    """Build the call.

    `more_headers`: what the conversion asked for. `query`: the client's query, where it passes.
    `connect_timeout`: seconds; the provider's own is used when this is None or longer. `below`: a
    path below the protocol's own, such as `/count_tokens`.
    """
    headers: dict[str, str] = {
        "content-type": "application/json",
        "accept": "text/event-stream" if body.get("stream") else "application/json",
        # bytes are passed on as they come, and compression would hold them back
        "accept-encoding": "identity",
        "user-agent": "ccproxy",
        **more_headers,
        **credential_headers(provider.auth, credential),
    }
    if provider.headers:
        taken = {name.lower() for name in provider.headers}
        headers = {name: value for name, value in headers.items() if name not in taken} | dict(
            provider.headers
        )
    return UpstreamCall(
        url=_url(provider, PATHS[protocol] + below, query),
        content=jsontext.dumps_to_keep(body),
        headers=headers,
        connect_timeout=min(provider.connect_timeout, connect_timeout or provider.connect_timeout),
        demo=provider.demo,
        network=provider.network,
    )


def _url(provider: ProviderConfig, path: str, query: str) -> str:
    if query:
        return endpoint_url(provider.base_url, path, {**dict(parse_qsl(query)), **provider.query})
    return _usual_url(provider.base_url, path, tuple(provider.query.items()))


# few, and the same for every request; what clients send is not cached
@lru_cache(maxsize=256)
def _usual_url(base_url: str, path: str, query: tuple[tuple[str, str], ...]) -> str:
    return endpoint_url(base_url, path, dict(query))


def credential_headers(auth: str, credential: str | None) -> dict[str, str]:
    """The header that carries `credential`, by authentication style: bearer, x-api-key, api-key, none."""
    if not credential or auth == "none":
        return {}
    if auth == "bearer":
        return {"authorization": f"Bearer {credential}"}
    return {auth: credential}


def endpoint_url(base_url: str, path: str, query: Mapping[str, str]) -> str:
    """`base_url` + `path`, keeping a query in the base URL and adding `query`.

    Segments at the end of the base URL that the path begins with are not repeated: people paste the
    whole URL, or write `/v1` where the path has it already.
    """
    parts = urlsplit(base_url.strip())
    base, steps = parts.path.rstrip("/").split("/"), path.strip("/").split("/")
    shared = next(n for n in range(len(steps), -1, -1) if n == 0 or base[-n:] == steps[:n])
    full_path = "/".join([*base, *steps[shared:]])
    full_query = "&".join(piece for piece in (parts.query, urlencode(query)) if piece)
    return urlunsplit((parts.scheme, parts.netloc, full_path, full_query, ""))
