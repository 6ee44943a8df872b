"""Sign-in of clients: discovery, device flow, renewal, sign-out. There only when SIGN_IN is on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from django.http import HttpResponse, HttpResponseBase

from gateway.api.endpoint import endpoint
from gateway.api.request import GatewayRequest
from gateway.api.responses import json_response
from gateway.app.database_calls import database_calls
from gateway.app.runtime import runtime
from gateway.client_protocol import sign_in as protocol
from gateway.conf import gateway_conf
from gateway.config import sign_in
from gateway.config.startup.client_setup_text import base_url
from gateway.errors import DatabaseAway, NotFound

T = TypeVar("T")
# Seconds; longer than a write waits for SQLite's lock: tokens that nobody waits for any more are lost.
PATIENCE: Final = 25.0
UNAVAILABLE: Final = "temporarily_unavailable"
_NOT_KEPT = {"cache-control": "no-store"}


def address_of(request: GatewayRequest) -> str:
    """The gateway's address as the client knows it: PUBLIC_URL, else the one that it came by."""
    seen = f"{request.scheme}://{request.get_host()}{request.scope.get('root_path', '')}"
    return base_url(gateway_conf(), seen)


@endpoint("GET", "HEAD")
async def discovery(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /.well-known/oauth-authorization-server."""
    _only_if_on()
    return json_response(protocol.discovery(address_of(request)), request_id)


@endpoint("POST")
async def device_authorization(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """POST /oauth/device_authorization: a machine asks to be let in; its fields are not read."""
    _only_if_on()
    client = request.lower_headers.get("user-agent", "")
    try:
        begun = await _in_database(lambda: sign_in.begin(request.address, client, _now()))
    except sign_in.SignInRefused as refusal:
        return _refused(refusal, request_id)
    page = address_of(request) + protocol.VERIFICATION
    told = {
        "device_code": begun.device_code,
        "user_code": begun.user_code,
        "verification_uri": page,
        # no verification_uri_complete: a stranger could send that link, and its person would only click
        "expires_in": protocol.GRANT_LIFETIME,
        "interval": protocol.POLL_INTERVAL,
    }
    return json_response(told, request_id, headers=_NOT_KEPT)


@endpoint("POST")
async def token(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """POST /oauth/token: polls of a machine that waits, and renewals."""
    _only_if_on()
    form = _form(request)
    gateway = await runtime.gateway()
    keys, served = gateway.seal_keys, gateway.configuration.snapshot.sign_ins
    grant = form.get("grant_type")
    work: Callable[[], sign_in.IssuedTokens]
    if grant == protocol.DEVICE_GRANT:
        work = lambda: sign_in.poll(form.get("device_code", ""), _now(), keys, served.__contains__)  # noqa: E731
    elif grant == protocol.REFRESH_GRANT:
        work = lambda: sign_in.renew(form.get("refresh_token", ""), _now(), keys)  # noqa: E731
    else:
        return _refused(sign_in.SignInRefused(protocol.UNSUPPORTED_GRANT), request_id)
    try:
        made = await _in_database(work)
    except sign_in.SignInRefused as refusal:
        return _refused(refusal, request_id)
    told = {
        "access_token": made.access_token,
        "token_type": "Bearer",
        "expires_in": protocol.ACCESS_LIFETIME,
        "refresh_token": made.refresh_token,
        "email": made.account,
    }
    return json_response(told, request_id, headers=_NOT_KEPT)


@endpoint("POST")
async def revoke(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """POST /oauth/revoke: a machine signs out. 200 also for what is no token (RFC 7009)."""
    _only_if_on()
    form = _form(request)
    gateway = await runtime.gateway()
    try:
        await _in_database(lambda: sign_in.end(form.get("token", ""), gateway.seal_keys))
    except sign_in.SignInRefused as refusal:
        return _refused(refusal, request_id)
    return HttpResponse(status=200, headers={"request-id": request_id, "content-length": "0"})


@endpoint("GET", "HEAD")
async def verification(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /device: to the page of the console where a person types the code."""
    _only_if_on()
    page = address_of(request) + "/admin/gateway/clientkey/device/"
    return HttpResponse(status=302, headers={"location": page, "request-id": request_id})


def _only_if_on() -> None:
    if not gateway_conf().sign_in:
        raise NotFound("Not Found")


def _form(request: GatewayRequest) -> dict[str, str]:
    text = request.body.decode("utf-8", "replace")
    return dict(parse_qsl(text, max_num_fields=50)) if text.count("&") < 50 else {}


def _refused(refusal: sign_in.SignInRefused, request_id: str) -> HttpResponse:
    told = {"error": refusal.code}
    if refusal.text:
        told["error_description"] = refusal.text
    headers = {**_NOT_KEPT, "retry-after": "5"} if refusal.status == 503 else _NOT_KEPT
    return json_response(told, request_id, status=refusal.status, headers=headers)


def _now() -> datetime:
    return datetime.now(UTC)


async def _in_database(work: Callable[[], T]) -> T:
    """Raises SignInRefused for a database that does not answer, as OAuth's clients read it."""
    try:
        return await database_calls(work, PATIENCE)
    except DatabaseAway as away:
        raise sign_in.SignInRefused(UNAVAILABLE, away.message, away.status) from None
