"""Family: one of several server processes, and its link to the parent and through it to the others.

The parent (server/processes.py) says on the lifeline, one line each time, which of the others are away.
This process accepts from their sockets until they are back, so that nobody waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger("gateway.server")


class Family:
    """`lifeline` is read, `ready` written; `others`: the other processes' listening sockets by name."""

    def __init__(self, lifeline: int, ready: int | None, others: Mapping[str, int]) -> None:
        self._lifeline = lifeline
        self._ready = ready
        self._others = others
        self._helped: dict[str, Any] = {}
        self._heard = b""
        self._left = False

    def join(
        self, loop: asyncio.AbstractEventLoop, accept: Callable[[int], Any], orphaned: Callable[[], None]
    ) -> None:
        """Listen to the parent. `accept` begins to accept from a socket and gives a Deferred of its port."""
        self._loop = loop
        self._accept, self._orphaned = accept, orphaned
        os.set_blocking(self._lifeline, False)
        self._loop.add_reader(self._lifeline, self._read)

    def serves(self) -> None:
        """Connections are accepted from now on."""
        if self._ready is not None:
            with contextlib.suppress(OSError):
                os.write(self._ready, b"1")

    def leave(self) -> None:
        """Stop accepting, from every socket."""
        self._left = True
        self._help(frozenset())
        if self._ready is not None:
            with contextlib.suppress(OSError):
                os.close(self._ready)
            self._ready = None
        # as long as some process has them open, they accept connections
        for descriptor in self._others.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._lifeline, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._lifeline)
            self._orphaned()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        if lines and not self._left:
            # the latest line counts
            self._help(frozenset(lines[-1].decode().split()))

    def _help(self, away: frozenset[str]) -> None:
        for name in set(self._helped) - away:
            self._helped.pop(name).addCallback(_stopped)
        for name in away & set(self._others) - set(self._helped):
            helping = self._accept(self._others[name])
            helping.addErrback(lambda failure: logger.error("cannot help: %s", failure.getErrorMessage()))
            self._helped[name] = helping


def _stopped(port: Any) -> Any:
    """`port` is None where it could not be listened on."""
    return None if port is None else port.stopListening()
