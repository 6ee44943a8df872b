"""From a URL and headers to the address to connect to and the request's head in bytes (pure)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import httpx

from gateway import patterns
from gateway.routing.network_path import Proxy, TLSIdentity
from gateway.upstream.http1.connection import ConnectionOrigin
from gateway.upstream.http1.tunnel import authorization

_PORTS: Final = {"http": 80, "https": 443}
_TOKEN: Final = patterns.compiled(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN: Final = patterns.compiled(rb"[\x00\r\n]")
# ours to set, because the body is sent whole
_FRAMING: Final = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A URL taken apart. `authorization` comes from a user name or password in it.

    `proxy_authorization`: what the proxy is shown that passes the request on.
    """

    origin: ConnectionOrigin
    path: bytes
    host: bytes
    authorization: bytes | None = field(default=None, repr=False)
    proxy_authorization: bytes = field(default=b"", repr=False)


# the endpoints of the providers: few, and the same for every request
@lru_cache(maxsize=256)
def target(url: str) -> ParsedUrl:
    """Raises httpx.InvalidURL or httpx.UnsupportedProtocol."""
    return target_of(httpx.URL(url))


def target_of(url: httpx.URL) -> ParsedUrl:
    """The same for a parsed URL."""
    if url.scheme not in _PORTS or not url.host:
        raise httpx.UnsupportedProtocol("the URL does not start with http:// or https:// and a host")
    port = _PORTS[url.scheme] if url.port is None else url.port
    if port > 65535:
        raise httpx.InvalidURL("the URL's port is larger than 65535")
    authorization = None
    if url.username or url.password:
        authorization = b"Basic " + b64encode(f"{url.username}:{url.password}".encode())
    origin = ConnectionOrigin(url.scheme, url.raw_host.decode("ascii"), port)
    return ParsedUrl(origin, url.raw_path, url.netloc, authorization)


@lru_cache(maxsize=256)
def detoured(place: ParsedUrl, proxy: Proxy | None, tls: TLSIdentity | None) -> ParsedUrl:
    """The same place, reached through a proxy or with a TLS identity of its own.

    An HTTP proxy passes requests for http:// URLs on itself, so it gets the whole URL. For others it makes
    a tunnel.
    """
    origin = place.origin._replace(proxy=proxy, tls=tls)
    if proxy is None or proxy.is_socks or origin.scheme != "http":
        return replace(place, origin=origin)
    whole = b"http://" + place.host + place.path
    return replace(place, origin=origin, path=whole, proxy_authorization=authorization(proxy))


def request_head(
    method: bytes, place: ParsedUrl, headers: Iterable[tuple[bytes, bytes]], content_length: int
) -> bytes:
    """The request line and headers, with the empty line.

    Host comes first unless `headers` contain one. Raises httpx.LocalProtocolError for a name or value
    that would be read as something else.
    """
    lines = [method + b" " + place.path + b" HTTP/1.1"]
    host = place.host
    for name, value in headers:
        lower = name.lower()
        if lower in _FRAMING:
            continue
        if _TOKEN.fullmatch(name) is None or _FORBIDDEN.search(value) is not None:
            raise httpx.LocalProtocolError(f"header {name!r} cannot be sent")
        if lower == b"host":
            host = value
        else:
            lines.append(name + b": " + value)
    lines.insert(1, b"Host: " + host)
    if place.proxy_authorization:
        lines.append(b"Proxy-Authorization: " + place.proxy_authorization)
    lines.append(b"Content-Length: %d\r\n\r\n" % content_length)
    return b"\r\n".join(lines)


# header names, each with its colon, that need no special handling
_USUAL_NAMES: Final = patterns.match_at(
    r"(?:(?!host:|content-length:|transfer-encoding:)[!#$%&'*+.^_`|~0-9A-Za-z-]++:)++\Z",
    patterns.IGNORECASE | patterns.ASCII,
)


def post_head(place: ParsedUrl, headers: Mapping[str, str], content_length: int) -> bytes:
    """`request_head` of a POST with `raw_headers`: the same bytes, in one go when nothing is unusual.

    Raises what those two raise.
    """
    if place.authorization is not None or place.proxy_authorization or not _usual(headers):
        return request_head(b"POST", place, raw_headers(headers, place), content_length)
    return b"POST %b HTTP/1.1\r\nHost: %b\r\n%bContent-Length: %d\r\n\r\n" % (
        place.path,
        place.host,
        "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1"),
        content_length,
    )


def _usual(headers: Mapping[str, str]) -> bool:
    """Whether every name is a usual one and every value stays on its line, checked all at once."""
    names, values = ":".join(headers) + ":", "\r".join(headers.values())
    return (
        _USUAL_NAMES(names) is not None
        # a name with a separator in it would pass for two
        and names.count(":") == len(headers)
        and values.count("\r") == len(headers) - 1
        and "\n" not in values
        and "\0" not in values
    )


def as_bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire. A client's values are its own bytes, read as Latin-1 whatever they
    mean.

    Raises UnicodeEncodeError for a name outside ASCII and a value outside Latin-1.
    """
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def raw_headers(headers: Mapping[str, str], place: ParsedUrl) -> list[tuple[bytes, bytes]]:
    """Headers as bytes. Credentials in the URL win over an Authorization header.

    Raises UnicodeEncodeError as `as_bytes` does.
    """
    pairs = as_bytes(headers)
    if place.authorization is None:
        return pairs
    kept = [pair for pair in pairs if pair[0].lower() != b"authorization"]
    return [*kept, (b"authorization", place.authorization)]
