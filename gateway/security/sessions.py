"""When a console session expires: some hours after login, or after a time without requests (pure)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

LONGEST: Final = 12 * 3600.0
LONGEST_IDLE: Final = 3600.0
# how precisely the last request is remembered, since each update is a write
_EXACTLY: Final = 60.0
_SINCE: Final = "since"
_SEEN: Final = "seen"


def is_over(session: MutableMapping[str, Any], now: float) -> bool:
    """Whether the session has expired at `now` (Unix seconds)."""
    since, seen = session.get(_SINCE, now), session.get(_SEEN, now)
    return not (now - LONGEST < since <= now + _EXACTLY and now - LONGEST_IDLE < seen <= now + _EXACTLY)


def note_request(session: MutableMapping[str, Any], now: float) -> None:
    """Record that a page was requested."""
    if _SINCE not in session:
        session[_SINCE] = now
    if _SEEN not in session or now - session[_SEEN] >= _EXACTLY:
        session[_SEEN] = now


def begin(session: MutableMapping[str, Any], now: float) -> None:
    """Record a login."""
    session[_SINCE] = session[_SEEN] = now
