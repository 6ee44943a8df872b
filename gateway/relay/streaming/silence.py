"""Silence: when something last happened in a stream, and what is due if nothing does.

    sent        + ping_interval     a `ping`; an empty delta instead after `stale_after` without content,
                                    for clients that do not count pings
    received    + silence limit     the provider failed
                + trailer_timeout   behind finish_reason: nothing more comes
    until                           the answer took too long

All times are the event loop's, in seconds. The pump writes `sent`, `received` and `content` for each piece,
so they are plain attributes.
"""

from __future__ import annotations

import enum

from gateway.relay.attempt import Upstream
from gateway.relay.gateway import Gateway


class Due(enum.Enum):
    """What is due now; the first that applies."""

    END = enum.auto()
    SILENT = enum.auto()
    TOO_LONG = enum.auto()
    SIGN_OF_LIFE = enum.auto()
    NOTHING = enum.auto()


class Silence:
    """`sent`, `received`: when the last piece went out, came in. `content`: the last that was not a ping."""

    __slots__ = ("_gateway", "content", "received", "sent", "until")

    def __init__(self, gateway: Gateway, now: float) -> None:
        self._gateway = gateway
        self.sent = self.received = self.content = now
        self.until = now + gateway.stream_limit

    def until_ping(self, now: float) -> float:
        """Seconds until a sign of life is due, at least 0."""
        return max(0.0, self.sent + self._gateway.ping_interval - now)

    def next_at(self, upstream: Upstream) -> float:
        """When something is due next if nothing happens before."""
        due = min(self.sent + self._gateway.ping_interval, self.received + upstream.silence_limit, self.until)
        if upstream.stream.awaiting_trailer:
            due = min(due, self.received + self._gateway.trailer_timeout)
        return due

    def due(self, upstream: Upstream, now: float) -> Due:
        if upstream.stream.awaiting_trailer and now >= self.received + self._gateway.trailer_timeout:
            return Due.END
        if now >= self.received + upstream.silence_limit:
            return Due.SILENT
        if now >= self.until:
            return Due.TOO_LONG
        return Due.SIGN_OF_LIFE if now >= self.sent + self._gateway.ping_interval else Due.NOTHING

    def stale(self, now: float) -> bool:
        """Whether the client needs more than a ping to believe that the answer goes on."""
        return now >= self.content + self._gateway.stale_after
