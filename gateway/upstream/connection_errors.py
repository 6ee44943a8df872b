"""Why no answer came from a provider, in words: the client libraries' exceptions as ours.

See docs/conversion.md, "Errors of providers".
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

import httpx

from gateway.errors import UpstreamError, UpstreamTimedOut, UpstreamUnreachable
from gateway.routing.network_path import UnusableProxy
from gateway.security.certificates import UnusableCertificate
from gateway.upstream.http1.happy_eyeballs import AddressRefused
from gateway.upstream.http1.tunnel import ProxyFailed

REFUSED: Final = (
    "could not connect to the upstream provider (its address is link-local or a metadata service; "
    "ALLOW_LINK_LOCAL=true allows it)"
)


class LedAstray(httpx.ConnectError):
    """AddressRefused behind the errors of the library's own transport, which drops the original cause."""


def connection_error(problem: Exception) -> UpstreamError:
    """One of the libraries' exceptions as ours, with the reason."""
    if isinstance(problem, httpx.TimeoutException):
        return UpstreamTimedOut("the upstream provider timed out")
    chain = _causes(problem)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        whose = "its proxy: " if isinstance(problem, ProxyFailed) else ""
        return UpstreamUnreachable(
            f"could not connect to the upstream provider ({whose}TLS certificate invalid)", should_retry=False
        )
    if any(isinstance(cause, AddressRefused | LedAstray) for cause in chain):
        return UpstreamUnreachable(REFUSED, should_retry=False)
    if isinstance(problem, ProxyFailed):
        reason = _reason(problem, chain) if problem.__cause__ else str(problem)
        text = f"could not connect to the upstream provider (its proxy: {reason})"
        return UpstreamUnreachable(text, should_retry=not problem.final)
    if isinstance(problem, UnusableProxy):
        text = f"could not connect to the upstream provider (a proxy variable of the gateway: {problem})"
        return UpstreamUnreachable(text, should_retry=False)
    if isinstance(problem, UnusableCertificate):
        return UpstreamUnreachable(
            "could not connect to the upstream provider (its client certificate or CA cannot be used; an "
            "admin must correct it)",
            should_retry=False,
        )
    return UpstreamUnreachable(f"could not connect to the upstream provider ({_reason(problem, chain)})")


def _causes(problem: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = problem
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _reason(problem: Exception, chain: list[BaseException]) -> str:
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return "TLS handshake failed"
    text = " ".join(str(cause).lower() for cause in chain)
    if any(isinstance(cause, socket.gaierror) for cause in chain):
        return "name resolution failed"
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain) or "all connection attempts" in text:
        return "connection refused"
    if isinstance(problem, httpx.UnsupportedProtocol | httpx.InvalidURL | ValueError):
        return "its URL is not valid; an admin must correct the provider's base URL"
    return "connection reset"
