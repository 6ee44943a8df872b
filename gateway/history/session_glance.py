"""A session in a few numbers, for the person who works in it."""

from __future__ import annotations

from typing import NamedTuple

from gateway.models import RequestLog, SessionTotal


class SessionGlance(NamedTuple):
    """`asked`, `routed`: the model of the last turn; "" when there was none. `cost`: in dollars, if known."""

    asked: str = ""
    routed: str = ""
    cost: float | None = None


def glance(session: str, holder: str, *, owner_id: int | None, client_key_id: int) -> SessionGlance:
    """Of the session with this id and holder (models.SessionTotal). Raises what the database raises."""
    total = SessionTotal.objects.filter(session_id=session, holder=holder).first()
    mine = {"owner_id": owner_id} if owner_id is not None else {"client_key_id": client_key_id}
    rows = RequestLog.objects.filter(session_id=session, endpoint="messages", task="", **mine)
    last = rows.exclude(provider="").order_by("-started_at", "-pk").first()
    return SessionGlance(
        last.asked_model if last else "",
        last.upstream_model if last else "",
        None if total is None or total.cost is None else float(total.cost),
    )
