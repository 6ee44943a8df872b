"""What a signed-in client asks its gateway for beside messages: policy, usage, and a place for telemetry."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from django.http import HttpResponse, HttpResponseBase

from gateway.api.auth import signed_in
from gateway.api.endpoint import endpoint
from gateway.api.refusals import checked_key
from gateway.api.request import GatewayRequest
from gateway.api.responses import json_response
from gateway.app.database_calls import database_calls
from gateway.app.runtime import runtime
from gateway.client_protocol.usage_headers import usage_document, usage_without_cap
from gateway.conf import gateway_conf
from gateway.config.client_policies import policy_for
from gateway.config.sign_in import REFRESH_LIFETIME
from gateway.errors import NotFound, NotReady
from gateway.limits.meters import PERSON, SPEND, Subject
from gateway.limits.spent import fullest_budget, spent
from gateway.limits.windows import PERIODS, Period
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.upstream.telemetry_collector import TelemetryCollector


@lru_cache(maxsize=1)
def _collector(url: str) -> TelemetryCollector | None:
    return TelemetryCollector(url) if url else None


# billionths of a dollar
_CENT: Final = 10_000_000


async def key_of(request: GatewayRequest) -> KeyEntry | None:
    """Who asks; as for messages. Raises AuthenticationFailed, and NotFound where nobody can sign in."""
    if not gateway_conf().sign_in:
        raise NotFound("Not Found")
    return _authenticated(request, (await runtime.gateway()).configuration.snapshot)


def _authenticated(request: GatewayRequest, snapshot: ConfigSnapshot, lenience: float = 0) -> KeyEntry | None:
    version = request.scope["http_version"]
    return checked_key(request.lower_headers, request.address, request.path, snapshot, version, lenience)


@endpoint("POST")
async def telemetry(request: GatewayRequest, request_id: str, signal: str) -> HttpResponseBase:
    """POST /v1/metrics, logs, traces: taken, sent on if a collector is set, and not kept.

    Any other answer than success makes the client log errors.
    """
    key = await key_of(request)
    if collector := _collector(gateway_conf().telemetry_collector):
        form = {"content-type": "application/x-protobuf"}
        sent = request.lower_headers
        form |= {name: sent[name] for name in ("content-type", "content-encoding") if name in sent}
        person = "" if key is None else key.owner or key.name
        collector.send((await runtime.gateway()).client, signal, form, person, request.body)
    if request.lower_headers.get("content-type", "").startswith("application/json"):
        return json_response({}, request_id)
    kind = "application/x-protobuf"
    return HttpResponse(b"", headers={"content-type": kind, "request-id": request_id, "content-length": "0"})


@endpoint("GET", "HEAD")
async def managed(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /managed/settings: the policy of who asks, from memory, or from disk while nothing else is there.

    No client starts without it, and a 404 makes it forget its policy: so a client that is signed in is never
    told one because SIGN_IN is off here. Nor must it sign in again because it could not renew: an access
    token past its end is taken here for as long as its refresh token may be good.
    """
    if not gateway_conf().sign_in and not signed_in(request.lower_headers):
        raise NotFound("Not Found")
    try:
        snapshot = (await runtime.gateway()).configuration.snapshot
    except NotReady:
        kept = await asyncio.to_thread(runtime.kept_policies)
        if kept is None:
            raise
        snapshot = kept
    key = _authenticated(request, snapshot, REFRESH_LIFETIME.total_seconds())
    found = policy_for(snapshot, key, datetime.now(UTC))
    if found is None:
        raise NotFound("no policy applies to you")
    headers = {"etag": found.etag, "cache-control": "no-cache"}
    if request.lower_headers.get("if-none-match") == found.etag:
        return HttpResponse(status=304, headers={**headers, "request-id": request_id})
    return json_response(found.body(), request_id, headers=headers)


@endpoint("GET", "HEAD")
async def usage(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /api/oauth/usage: the budget that the headers tell of, in dollars; without one, what the person
    has spent."""
    key = await key_of(request)
    if key is None or key.owner_id is None:
        raise NotFound("nobody's usage is counted here")
    told = await database_calls(partial(_usage, key, key.owner_id))
    if told is None:
        # the client shows the percentage of the headers then
        raise NotFound("your fullest budget is counted in tokens")
    return json_response(told, request_id)


def _usage(key: KeyEntry, person: int) -> dict[str, Any] | None:
    now = time.time()
    budget = fullest_budget(key, now)
    if budget is None:
        day, week, month = (_cents(person, Period.at(kind, now)) for kind in PERIODS)
        return usage_without_cap(day, week, month)
    if budget.unit != SPEND:
        return None
    return usage_document(budget.period.kind, budget.used / _CENT, budget.limit / _CENT, budget.period.ends)


def _cents(person: int, period: Period) -> float:
    return spent(Subject(PERSON, person), period)[SPEND] / _CENT
