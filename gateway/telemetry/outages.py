"""Outages of providers in the log: one line when exchanges begin to fail, one when they have stopped failing.

The line of each exchange stays at INFO, so an outage is two warnings and not one for each request. A provider
that fails now and then has one outage: it ends with an answer after QUIET seconds without a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger("gateway.provider")

# seconds
QUIET: Final = 30.0


@dataclass(slots=True)
class _Outage:
    since: float
    last: float
    failed: int = 1


class Outages:
    """Which providers fail in this process. `now`: seconds of a clock that never goes back."""

    __slots__ = ("_failing",)

    def __init__(self) -> None:
        self._failing: dict[str, _Outage] = {}

    def failed(self, provider: str, now: float, facts: Mapping[str, object]) -> None:
        """An exchange failed there. `facts`: what the first line says of it.

        `provider` is empty where none was asked. Nothing answers there, so such an outage ends by itself.
        """
        outage = self._failing.get(provider)
        if outage is None or (not provider and now - outage.last >= QUIET):
            self._failing[provider] = _Outage(now, now)
            logger.warning("exchanges fail", extra={"provider": provider, **facts})
        else:
            outage.last, outage.failed = now, outage.failed + 1

    def answered(self, provider: str, now: float) -> None:
        """An exchange went well there."""
        # empty nearly always, and asked for every exchange
        if not self._failing or (outage := self._failing.get(provider)) is None or now - outage.last < QUIET:
            return
        del self._failing[provider]
        facts = {"failed": outage.failed, "seconds": round(outage.last - outage.since, 1)}
        logger.warning("exchanges no longer fail", extra={"provider": provider, **facts})
