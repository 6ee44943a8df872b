"""Who asks. Refused keys are counted, and logged without a line for each request of a flood."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from gateway.api.auth import authenticated
from gateway.app.runtime import runtime
from gateway.cache import GenerationalCache
from gateway.conf import gateway_conf
from gateway.errors import AuthenticationFailed, KeyRefused
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.security.client_networks import counted_as

logger = logging.getLogger("gateway.access")

# seconds between two lines about the same address
PAUSE: Final = 10.0
# addresses remembered
MOST: Final = 2000


class Refusals:
    """`clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # what an address is counted as -> time of its last line, and refusals since
        self._known: GenerationalCache[str, tuple[float, int]] = GenerationalCache(MOST)

    def note(self, address: str, path: str, problem: str) -> None:
        """`address`: the client's; `problem`: what it was told, which contains no key."""
        now, who = self._clock(), counted_as(address)
        last, unsaid = self._known.get(who) or (now - PAUSE, 0)
        if now - last < PAUSE:
            self._known.put(who, (last, unsaid + 1))
            return
        self._known.put(who, (now, 0))
        facts = {"client_address": address, "path": path[:200], "problem": problem, "more_before": unsaid}
        logger.warning("client key refused", extra=facts)


refusals = Refusals()


def checked_key(
    headers: Mapping[str, str],
    address: str,
    path: str,
    snapshot: ConfigSnapshot,
    http_version: str,
    lenience: float = 0,
) -> KeyEntry | None:
    """The entry of the shown key; None for an allowed anonymous client. A refused key is noted.

    `headers` have lower-case names; `address` is the client's; `lenience` as of
    `authenticated`. Raises AuthenticationFailed.
    """
    try:
        return authenticated(
            headers,
            address,
            snapshot,
            now=time.time(),
            open_to_all=gateway_conf().allow_anonymous,
            http_version=http_version,
            lenience=lenience,
        )
    except AuthenticationFailed as problem:
        refusals.note(address, path, problem.message)
        if isinstance(problem, KeyRefused):
            runtime.key_refused(problem, address)
        raise
