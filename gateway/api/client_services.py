"""What a signed-in client asks its gateway for beside messages: policy, usage, and a place for telemetry."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from django.db import close_old_connections
from django.http import HttpResponse, HttpResponseBase

from gateway.api.auth import authenticated
from gateway.api.endpoint import endpoint
from gateway.api.refusals import refusals
from gateway.api.request import GatewayRequest
from gateway.api.responses import json_response
from gateway.app.runtime import runtime
from gateway.client_protocol.usage_headers import usage_document, usage_without_cap
from gateway.conf import gateway_conf
from gateway.config.client_policies import policy_for
from gateway.errors import AuthenticationFailed, NotFound
from gateway.limits.meters import PERSON, SPEND, Subject
from gateway.limits.spent import spent
from gateway.limits.windows import PERIODS, Period
from gateway.routing.snapshot import KeyEntry, PersonLimits

# billionths of a dollar
_CENT: Final = 10_000_000


async def key_of(request: GatewayRequest) -> KeyEntry | None:
    """Who asks; as for messages. Raises AuthenticationFailed, and NotFound where nobody can sign in."""
    if not gateway_conf().sign_in:
        raise NotFound("Not Found")
    snapshot = (await runtime.gateway()).configuration.snapshot
    try:
        return authenticated(
            request.lower_headers,
            request.address,
            snapshot,
            now=time.time(),
            open_to_all=gateway_conf().allow_anonymous,
            http_version=request.scope["http_version"],
        )
    except AuthenticationFailed as problem:
        refusals.note(request.address, request.path, problem.message)
        raise


@endpoint("POST")
async def telemetry(request: GatewayRequest, request_id: str, signal: str) -> HttpResponseBase:
    """POST /v1/metrics, logs, traces: taken and not kept; any other answer makes the client log errors."""
    await key_of(request)
    if request.lower_headers.get("content-type", "").startswith("application/json"):
        return json_response({}, request_id)
    kind = "application/x-protobuf"
    return HttpResponse(b"", headers={"content-type": kind, "request-id": request_id, "content-length": "0"})


@endpoint("GET", "HEAD")
async def managed(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /managed/settings: the policy of who asks, from memory: no client starts without it."""
    key = await key_of(request)
    found = policy_for((await runtime.gateway()).configuration.snapshot, key)
    if found is None:
        raise NotFound("no policy applies to you")
    headers = {"etag": found.etag, "cache-control": "no-cache"}
    if request.lower_headers.get("if-none-match") == found.etag:
        return HttpResponse(status=304, headers={**headers, "request-id": request_id})
    return json_response(found.body(), request_id, headers=headers)


@endpoint("GET", "HEAD")
async def usage(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /api/oauth/usage: what the person has spent, in dollars."""
    key = await key_of(request)
    if key is None or key.owner_id is None:
        raise NotFound("nobody's usage is counted here")
    return json_response(await asyncio.to_thread(_usage, key.owner_id, key.person), request_id)


def _usage(person: int, budget: PersonLimits | None) -> dict[str, Any]:
    now = time.time()
    try:
        limit = None if budget is None else budget.limits.spend_budget
        if budget is None or limit is None:
            day, week, month = (_cents(person, Period.at(kind, now)) for kind in PERIODS)
            return usage_without_cap(day, week, month)
        period = Period.at(budget.limits.budget_period, now)
        return usage_document(period.kind, _cents(person, period), limit / _CENT, period.ends)
    finally:
        close_old_connections()


def _cents(person: int, period: Period) -> float:
    return spent(Subject(PERSON, person), period)[SPEND] / _CENT
