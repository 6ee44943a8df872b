"""A line in the log for requests whose key was refused, and not one for each of a flood."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from gateway.cache import GenerationalCache

logger = logging.getLogger("gateway.access")

# seconds between two lines about one address
PAUSE: Final = 10.0
# addresses that are remembered
MOST: Final = 2000


class Refusals:
    """`clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # address -> when its last line was, and what came since
        self._known: GenerationalCache[str, tuple[float, int]] = GenerationalCache(MOST)

    def note(self, address: str, path: str, problem: str) -> None:
        """`address`: the client's; `problem`: what it was told, which names no key."""
        now = self._clock()
        last, unsaid = self._known.get(address) or (now - PAUSE, 0)
        if now - last < PAUSE:
            self._known.put(address, (last, unsaid + 1))
            return
        self._known.put(address, (now, 0))
        facts = {"client_address": address, "path": path[:200], "problem": problem, "more_before": unsaid}
        logger.warning("client key refused", extra=facts)


refusals = Refusals()
