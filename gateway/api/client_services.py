"""What a signed-in client asks its gateway for beside messages: its policy, and a place for its telemetry."""

from __future__ import annotations

import time

from django.http import HttpResponse, HttpResponseBase

from gateway.api.auth import authenticated
from gateway.api.endpoint import endpoint
from gateway.api.refusals import refusals
from gateway.api.request import GatewayRequest
from gateway.api.responses import json_response
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.errors import AuthenticationFailed, NotFound
from gateway.routing.snapshot import KeyEntry


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
