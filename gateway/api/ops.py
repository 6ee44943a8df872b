"""Endpoints for machines and first looks: start page, probes, health, and what is not here."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from gateway import __version__
from gateway.api.endpoint import endpoint
from gateway.api.looks import PATIENCE, Look
from gateway.api.metrics import allow
from gateway.api.responses import json_response
from gateway.app.runtime import runtime
from gateway.conf import gateway_conf
from gateway.errors import NotFound
from gateway.history.record import spool

START_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ccproxy</title>
<body style="font: 16px/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>ccproxy</h1>
<p>The gateway is running. Clients of the Messages API use this address as their base URL.</p>
<p><a href="{admin}">Open the admin</a> to set providers, model mappings and client keys.</p>
</body></html>
"""

_database: Final[Look[bool]] = Look("readiness")
_spooled: Final[Look[int]] = Look("spool")


@endpoint("GET", "HEAD")
async def start(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """GET / and Claude Code's probe HEAD /: no credentials, fast, not in the history."""
    prefix = gateway_conf().public_path
    if "text/html" in request.headers.get("accept", ""):
        page = START_PAGE.format(admin=f"{prefix}/admin/")
        return HttpResponse(page, headers={"request-id": request_id})
    return json_response(
        {"name": "ccproxy", "messages": f"{prefix}/v1/messages", "admin": f"{prefix}/admin/"}, request_id
    )


@endpoint("GET", "HEAD")
async def hello(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """Claude Code's other probe, HEAD /api/hello."""
    return json_response({"message": "hello"}, request_id)


@endpoint("GET", "HEAD")
async def health(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """The process answers."""
    return json_response({"status": "ok"}, request_id)


@endpoint("GET", "HEAD")
async def ready(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """The process takes requests; 503 while it is stopping. Answered within a second, whatever is down.

    `configuration`: the number of the configuration it follows, so that who changed one can wait for
    it. `database` is there when it is away. Requests are answered without it and recorded later, so a
    process that cannot reach it stays in service: otherwise all would leave together. `emergency_stop`
    is there while new requests are refused: the clients' errors say why, and not those of a proxy in front.
    """
    if runtime.draining:
        return json_response({"status": "unavailable"}, request_id, status=503)
    snapshot = (await runtime.gateway()).configuration.snapshot
    state: dict[str, object] = {"status": "ok", "configuration": snapshot.stamp}
    if snapshot.stopped is not None:
        state["emergency_stop"] = "on"
    if not await _database(_database_answers):
        state["database"] = "away"
    return json_response(state, request_id)


@endpoint("GET")
async def detail(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """Each part with what is wrong with it, to whoever shows METRICS_TOKEN; answered within a second.

    `status` is "ok" when no part has a reason not to be; it is no probe, and its code is 200 in any case.
    """
    allow(request.headers.get("authorization", ""), gateway_conf().metrics_token)
    snapshot = (await runtime.gateway()).configuration.snapshot
    reasons: dict[str, str] = {}
    if runtime.draining:
        reasons["process"] = "it is stopping, and takes no new requests"
    if snapshot.stopped is not None:
        reasons["emergency stop"] = snapshot.stopped or "new requests are refused"
    if not await _database(_database_answers):
        reasons["database"] = f"no answer within {PATIENCE:g} seconds; requests are answered without it"
    waiting = await _spooled(lambda: spool.waiting_bytes(gateway_conf().spool_folder))
    if waiting:
        reasons["history"] = f"{waiting} bytes wait in files for the database"
    for provider in snapshot.providers.values():
        refused = sum(credential.set_aside is not None for credential in provider.credentials)
        if refused:
            number = len(provider.credentials)
            reasons[f"provider {provider.slug}"] = f"{refused} of {number} credentials were refused by it"
    return json_response(
        {
            "status": "impaired" if reasons else "ok",
            "reasons": reasons,
            "version": __version__,
            "configuration": snapshot.stamp,
        },
        request_id,
    )


@endpoint("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
async def not_implemented(request: HttpRequest, request_id: str, path: str = "") -> HttpResponseBase:
    """Parts of the Messages API which a gateway to other providers does not have."""
    raise NotFound(f"Not Found: this gateway does not implement {request.path}")


@endpoint("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
async def not_found(request: HttpRequest, request_id: str, path: str = "") -> HttpResponseBase:
    raise NotFound("Not Found")


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        close_old_connections()
    return True
