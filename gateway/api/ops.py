"""Endpoints for machines and first looks: start page, probes, health, and what is not here."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from gateway.api.endpoint import endpoint
from gateway.api.looks import Look
from gateway.api.responses import json_response
from gateway.app.runtime import runtime
from gateway.errors import NotFound

START_PAGE: Final = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ccproxy</title>
<body style="font: 16px/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>ccproxy</h1>
<p>The gateway is running. Clients of the Messages API use this address as their base URL.</p>
<p><a href="/admin/">Open the admin</a> to set providers, model mappings and client keys.</p>
</body></html>
"""

_database: Final[Look[bool]] = Look("readiness")


@endpoint("GET", "HEAD")
async def start(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """GET / and Claude Code's probe HEAD /: no credentials, fast, not in the history."""
    if "text/html" in request.headers.get("accept", ""):
        return HttpResponse(START_PAGE, headers={"request-id": request_id})
    return json_response({"name": "ccproxy", "messages": "/v1/messages", "admin": "/admin/"}, request_id)


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
    process that cannot reach it stays in service: otherwise all would leave together.
    """
    if runtime.draining:
        return json_response({"status": "unavailable"}, request_id, status=503)
    followed = (await runtime.gateway()).configuration.snapshot.stamp
    state: dict[str, object] = {"status": "ok", "configuration": followed}
    if not await _database(_database_answers):
        state["database"] = "away"
    return json_response(state, request_id)


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
