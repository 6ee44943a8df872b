"""LiveExchanges: the exchanges that are running, so that they can be ended in order.

While the gateway drains, new requests are refused and running ones continue. When their time is over,
each gets the error that ends it. So does each whose client key is refused from now on, for example
because it was revoked or its owner's account was deactivated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any, Final, Protocol, TypedDict, TypeVar

from gateway.errors import AuthenticationFailed, GatewayError, Saturated
from gateway.relay.exchange.exchange import Exchange
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry

T = TypeVar("T")


class Progress(TypedDict):
    """How far an answer is; times since the request came, in ms. `output_tokens` is an estimate."""

    request_id: str
    duration_ms: int
    first_byte_ms: int | None
    output_tokens: int


# a rough number is enough for an answer in progress
CHARACTERS_A_TOKEN: Final = 4


def progress_of(exchange: Exchange, characters: int, now: float) -> Progress:
    """`characters`: how many the answer says so far. `now` is of the clock that `exchange` began by."""
    first = exchange.first_byte_at
    return {
        "request_id": exchange.request_id,
        "duration_ms": round((now - exchange.started) * 1000),
        "first_byte_ms": None if first is None else round((first - exchange.started) * 1000),
        "output_tokens": characters // CHARACTERS_A_TOKEN,
    }


class Interruptible(Protocol):
    @property
    def key(self) -> KeyEntry | None:
        """The client key it came with, as it was then."""
        ...

    @property
    def progress(self) -> Progress | None:
        """How far it is; None when unknown."""
        ...

    def interrupt(self, error: GatewayError) -> None:
        """End now, with `error` as the client's answer; called in the event loop."""
        ...


class LiveExchanges:
    """The exchanges of one process that wait for a provider or stream."""

    def __init__(self) -> None:
        self._live: set[Interruptible] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._live)

    def add(self, exchange: Interruptible) -> None:
        self._live.add(exchange)

    def discard(self, exchange: Interruptible) -> None:
        self._live.discard(exchange)

    def admit(self) -> None:
        """Raises Saturated while the gateway is stopping."""
        if self.draining:
            raise Saturated("the gateway is stopping, try again in a moment")

    def progress(self) -> Iterator[Progress]:
        """The progress of each running stream."""
        for exchange in self._live:
            progress = exchange.progress
            if progress is not None:
                yield progress

    def dismiss(self, snapshot: ConfigSnapshot, now: float) -> None:
        """End the exchanges whose keys `snapshot` refuses at `now` (Unix seconds)."""
        for exchange in tuple(self._live):
            if exchange.key is not None and (reason := snapshot.dismissal(exchange.key, now)):
                exchange.interrupt(AuthenticationFailed(reason))

    def interrupt(self) -> None:
        """End everything that is still running."""
        for exchange in tuple(self._live):
            exchange.interrupt(Saturated("the gateway is stopping, try again in a moment"))

    async def guarded(self, work: Awaitable[T], key: KeyEntry | None = None) -> T:
        """Run `work`, a call whose answer goes out in one piece, so that it can be interrupted.

        `key`: the client key it came with. Raises what `work` raises, or the error of the interruption.
        """
        task = asyncio.current_task()
        assert task is not None
        call = _Call(task, key)
        self._live.add(call)
        try:
            return await work
        except asyncio.CancelledError:
            # unless the client has left as well
            if call.error is not None and task.uncancel() <= call.cancelling:
                raise call.error from None
            raise
        finally:
            self._live.discard(call)


class _Call:
    progress = None

    def __init__(self, task: asyncio.Task[Any], key: KeyEntry | None) -> None:
        self.task = task
        self.key = key
        self.cancelling = task.cancelling()
        self.error: GatewayError | None = None

    def interrupt(self, error: GatewayError) -> None:
        if self.error is None:
            self.error = error
            self.task.cancel()
