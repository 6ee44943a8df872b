"""The line that a developer's terminal shows after each turn: routed model, cost, budget left.

Answered from memory. A session that nobody asked about is read once; after that each answer is the last one,
and what is older than REFRESH is read again beside it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Final

from django.http import HttpResponse, HttpResponseBase

from gateway.api.endpoint import endpoint
from gateway.api.request import GatewayRequest
from gateway.api.views import authenticated_key
from gateway.app.database_calls import database_calls
from gateway.app.runtime import runtime
from gateway.cache import GenerationalCache
from gateway.client_protocol.status_line import SessionStanding, line
from gateway.errors import GatewayError, InvalidRequest
from gateway.history.session_glance import glance
from gateway.limits.meters import TOKENS
from gateway.limits.spent import BILLION, fullest_budget
from gateway.routing.snapshot import KeyEntry
from gateway.values import frozen

logger = logging.getLogger("gateway.api")

# sessions remembered
MOST: Final = 2000
# seconds
REFRESH: Final = 3.0
LONGEST_SESSION: Final = 128


@frozen
class _Known:
    text: str
    read_at: float


_known: GenerationalCache[tuple[int, str], _Known] = GenerationalCache(MOST)
_reading: dict[tuple[int, str], asyncio.Task[str]] = {}


@endpoint("GET", "HEAD")
async def status_line(request: GatewayRequest, request_id: str) -> HttpResponseBase:
    """GET /api/status-line?session=ID: plain text, one line."""
    key = authenticated_key(request, await runtime.gateway())
    session = request.GET.get("session", "")[:LONGEST_SESSION]
    if "\x00" in session:
        # PostgreSQL takes none in a text
        raise InvalidRequest("session: not the id of a session")
    text = "" if key is None or not session else await _line_of(key, session)
    body = text.encode()
    kind = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    return HttpResponse(body, headers={**kind, "request-id": request_id, "content-length": str(len(body))})


async def _line_of(key: KeyEntry, session: str) -> str:
    place = (key.id, session)
    known = _known.get(place)
    if known is None or time.monotonic() - known.read_at >= REFRESH:
        reading = _reading.get(place)
        if reading is None:
            reading = _reading[place] = asyncio.get_running_loop().create_task(_read(key, session))
            reading.add_done_callback(partial(_was_read, place))
        if known is None:
            return await asyncio.shield(reading)
    return known.text


def _was_read(place: tuple[int, str], reading: asyncio.Task[str]) -> None:
    _reading.pop(place, None)
    # nobody waits for the reading of a session with a line: that line stays until the next one
    problem = None if reading.cancelled() else reading.exception()
    if problem is not None and not isinstance(problem, GatewayError):
        logger.error("a status line cannot be read", exc_info=problem)


async def _read(key: KeyEntry, session: str) -> str:
    text = line(await database_calls(partial(_standing, key, session, time.time())))
    _known.put((key.id, session), _Known(text, time.monotonic()))
    return text


def _standing(key: KeyEntry, session: str, now: float) -> SessionStanding:
    seen = glance(session, key.holder, owner_id=key.owner_id, client_key_id=key.id)
    left, limit, period, tokens = _budget(key, now)
    return SessionStanding(*seen, left, limit, period, tokens)


def _budget(key: KeyEntry, now: float) -> tuple[float | None, float | None, str, bool]:
    """What is left of the budget that the usage headers tell of, in dollars or tokens; its limit; its period;
    whether it is of tokens."""
    budget = fullest_budget(key, now)
    if budget is None:
        return None, None, "", False
    unit = 1 if budget.unit == TOKENS else BILLION
    left = (budget.limit - budget.used) / unit
    return left, budget.limit / unit, budget.period.kind, budget.unit == TOKENS
