"""GET /metrics: for Prometheus, and only with METRICS_TOKEN."""

from __future__ import annotations

import hmac
from typing import Final

from django.db import DatabaseError, close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from gateway.api.endpoint import endpoint
from gateway.api.looks import Look
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.config.health_records import targets_set_aside
from gateway.errors import AuthenticationFailed, InternalError, NotFound
from gateway.history.record import spool
from gateway.routing.snapshot import ConfigSnapshot
from gateway.telemetry.metrics import CONTENT_TYPE, CurrentState, exposition

_records: Final[Look[dict[str, int] | None]] = Look("metrics")
_files: Final[Look[bytes]] = Look("metrics", patience=5.0)


@endpoint("GET")
async def metrics(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """The numbers of all processes on this machine, as text. 404 while METRICS_TOKEN is not set."""
    allow(request.headers.get("authorization", ""), gateway_conf().metrics_token)
    gateway = await runtime.gateway()
    snapshot = gateway.configuration.snapshot
    # the other numbers matter most while the database is down, and must arrive before the scraper gives up
    targets = await _records(lambda: _targets(snapshot))
    # it reads files, and no other answer should wait for that
    body = await _files(lambda: _written(snapshot, targets))
    if body is None:
        raise InternalError
    return HttpResponse(body, headers={"content-type": CONTENT_TYPE, "request-id": request_id})


def allow(authorization: str, token: str) -> None:
    """Raises NotFound when no token is configured, AuthenticationFailed when a wrong one is sent."""
    if not token:
        raise NotFound("Not Found: metrics are off, METRICS_TOKEN is not set")
    scheme, _, shown = authorization.strip().partition(" ")
    right = hmac.compare_digest(shown.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise AuthenticationFailed("authorization: Bearer METRICS_TOKEN is required")


def _written(snapshot: ConfigSnapshot, targets: dict[str, int] | None) -> bytes:
    set_aside = {
        provider.slug: sum(credential.set_aside is not None for credential in provider.credentials)
        for provider in snapshot.providers.values()
    }
    spooled = spool.waiting_bytes(gateway_conf().spool_folder)
    return exposition(CurrentState(spooled, set_aside, targets, snapshot.stopped is not None))


def _targets(snapshot: ConfigSnapshot) -> dict[str, int] | None:
    try:
        return {**dict.fromkeys(snapshot.providers, 0), **targets_set_aside(timezone.now())}
    except DatabaseError:
        return None
    finally:
        close_old_connections()
