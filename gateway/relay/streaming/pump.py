"""Pump: a stream from the commit point on; bytes in, bytes out.

It is the response's iterator; on a server that supports it, pieces bypass the iterator and go straight
to the client (write_through.py). Everything that arrived from the provider in one read leaves as one
piece. While nothing arrives, a timer wakes it: for a `ping` after `ping_interval` without an event, an
empty delta after `stale_after` without content (for clients that do not count pings), the end after
`trailer_timeout` behind finish_reason, and a failure after the provider's silence limit.

    OPENING   the 200 is out (late commit), the provider has not answered yet
    READING   events come from the provider
    JUDGING   the provider is done; the last events wait for a verdict on the answer's calls
    ENDED     the last piece is ready, or the client left

The last event waits until the outcome is recorded; everything before it does not.

An answer that breaks gets an `error` event and nothing after it, even when the fault is the gateway's
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Sequence
from typing import Final

from gateway.errors import (
    AuthenticationFailed,
    GatewayError,
    InternalError,
    Saturated,
    UpstreamBroken,
    UpstreamTimedOut,
)
from gateway.history.outcome import BROKEN, CANCELLED, INTERRUPTED, OK, ExchangeOutcome, State
from gateway.relay.attempt import Opened, Upstream
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.exchange.live import Progress
from gateway.relay.exchange.timeline import LONG_GAP
from gateway.relay.finalize import ended
from gateway.relay.gateway import Gateway
from gateway.relay.safety.verdicts import JudgedStream
from gateway.relay.streaming.deadline_timer import Alarm
from gateway.relay.streaming.inbox import Inbox, InboxReader
from gateway.relay.streaming.write_through import WriteThrough
from gateway.relay.tries import Tries
from gateway.routing.snapshot import KeyEntry
from gateway.upstream.client import UpstreamAnswer
from gateway.wire import sse
from gateway.wire.messages import PING, Sent, error_event

logger = logging.getLogger("gateway.relay")

# After the last event the provider's connection is read to its end, so that it can be reused.
DRAIN_SECONDS: Final = 1.0
# a rough number is enough for an answer in progress
CHARACTERS_A_TOKEN: Final = 4
_PING: Final = sse.encode(PING)
# the event loop holds tasks only weakly
_draining: set[asyncio.Task[None]] = set()


class Phase(enum.Enum):
    OPENING = enum.auto()
    READING = enum.auto()
    JUDGING = enum.auto()
    ENDED = enum.auto()


class Pump:
    """Async iterator of the response's bytes. `commit` comes first, `aclose` last."""

    __slots__ = (
        "_alarm",
        "_answer",
        "_answering",
        "_body",
        "_captures",
        "_content_at",
        "_curfew",
        "_ending",
        "_exchange",
        "_fed",
        "_final",
        "_gateway",
        "_inbox",
        "_interruption",
        "_judging",
        "_loop",
        "_opening",
        "_phase",
        "_reader",
        "_ready",
        "_received_at",
        "_sent_at",
        "_tries",
        "_until",
    )

    def __init__(self, exchange: Exchange, gateway: Gateway, tries: Tries) -> None:
        self._exchange = exchange
        self._gateway = gateway
        # set until a target has answered; then the request it was asked with is released
        self._tries: Tries | None = tries
        self._answering: Upstream | None = None
        self._inbox = Inbox()
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.OPENING
        self._ready = self._final = b""
        self._body: WriteThrough | None = None
        # read by the straight way, for the iterator to continue with
        self._fed: Sequence[Sent] | Exception | None = None
        self._opening: asyncio.Task[Opened] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[Sequence[Sent]] | None = None
        self._answer: UpstreamAnswer | None = None
        self._alarm = Alarm(self._loop, self._due, self._inbox.tick)
        self._ending: ExchangeOutcome | None = None
        self._interruption: GatewayError | None = None
        self._captures = exchange.captures
        self._until = self._loop.time() + gateway.stream_limit
        self._received_at = self._sent_at = self._content_at = self._loop.time()

    async def commit(self) -> None:
        """Wait until there is something to send: the first events, or `commit_after` of silence.

        Raises GatewayError when the provider failed before that; nothing has been sent then.
        """
        tries = self._tries
        assert tries is not None
        self._opening = self._loop.create_task(tries.first_events())
        self._gateway.live.add(self)
        # while the provider is being asked; after that the alarm takes care of it
        self._curfew = self._loop.call_at(self._until, self._took_too_long)
        try:
            done, _ = await asyncio.wait({self._opening}, timeout=self._gateway.commit_after)
            if self._interruption is not None:
                raise self._interruption
            if done:
                self._ready = self._begun(self._opening.result())
            else:
                self._exchange.timeline.committed(self._gateway.clock())
                self._ready = self._encoded(tries.commit())
        except BaseException:
            self._curfew.cancel()
            self._gateway.live.discard(self)
            self._let_go()
            await self._release()
            raise

    @property
    def _upstream(self) -> Upstream:
        if self._answering is not None:
            return self._answering
        assert self._tries is not None
        return self._tries.upstream

    @property
    def key(self) -> KeyEntry | None:
        """The client key the request came with."""
        return self._exchange.arrival.key

    @property
    def ended(self) -> bool:
        """Whether the piece returned last is the final one."""
        return self._phase is Phase.ENDED and not self._ready and self._ending is None

    @property
    def progress(self) -> Progress | None:
        """The progress of the answer, for those who watch."""
        exchange, stream = self._exchange, self._upstream.stream
        now = self._gateway.clock()
        first = exchange.first_byte_at
        return {
            "request_id": exchange.request_id,
            "duration_ms": round((now - exchange.started) * 1000),
            "first_byte_ms": None if first is None else round((first - exchange.started) * 1000),
            "output_tokens": stream.characters // CHARACTERS_A_TOKEN,
        }

    def __aiter__(self) -> Pump:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._phase is not Phase.ENDED:
                self._ready = await self._next()
            elif self._ending is not None:
                ending, self._ending = self._ending, None
                await self._gateway.recorder.settled(ending)
                return self._final
            else:
                raise StopAsyncIteration
        piece, self._ready = self._ready, b""
        self._sent_at = self._loop.time()
        if self._phase is not Phase.ENDED:
            self._exchange.note_returned(piece)
        return piece

    def write_through(self, body: WriteThrough) -> None:
        """Write data straight to the client when it arrives while the iterator waits."""
        self._body = body
        self._inbox.straight_to(self._straight)

    async def aclose(self) -> None:
        """The response is over. Before the end of the stream that means that the client left."""
        if self._phase is not Phase.ENDED:
            self._end(CANCELLED)
            await self._release()
        self._hand_over()

    def close(self) -> None:
        """`aclose` for a caller in another thread or without a loop (Django's response.close)."""
        if self._phase is not Phase.ENDED or self._ending is not None:
            self._loop.call_soon_threadsafe(self._abandon)

    def interrupt(self, error: GatewayError) -> None:
        """End now: the client gets what is ready and then `error`."""
        self._interruption = error
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._judging is not None:
            self._judging.cancel()
        self._inbox.fail(error)

    def _took_too_long(self) -> None:
        limit = self._gateway.stream_limit
        self.interrupt(UpstreamTimedOut(f"the answer took longer than {limit:g} seconds"))

    # --- phases ---------------------------------------------------------------

    async def _next(self) -> bytes:
        """The next output. A defect of ours becomes an error like those of providers."""
        try:
            if self._phase is Phase.READING:
                return await self._while_reading()
            if self._phase is Phase.JUDGING:
                return await self._while_judging()
            return await self._while_opening()
        except Exception:
            logger.exception("unexpected error", extra={"request_id": self._exchange.request_id})
            if self._ending is not None:
                # the answer is over, and the rest of it is known
                return self._ready
            return self._broken(InternalError())

    async def _while_opening(self) -> bytes:
        assert self._opening is not None
        wait = max(0.0, self._sent_at + self._gateway.ping_interval - self._loop.time())
        done, _ = await asyncio.wait({self._opening}, timeout=wait)
        if not done:
            return self._sign_of_life()
        if self._interruption is not None:
            return self._broken(self._interruption)
        try:
            return self._begun(self._opening.result())
        except GatewayError as error:
            return self._broken(error)

    def _begun(self, opened: Opened) -> bytes:
        self._phase = Phase.READING
        self._answering, self._tries, self._opening = self._upstream, None, None
        self._answering.let_go()
        self._curfew.cancel()
        self._received_at = self._loop.time()
        self._exchange.first_byte_at = self._gateway.clock()
        if opened.message is not None:
            return self._last(opened.events)
        if opened.answer is not None:
            self._answer = opened.answer
            if not opened.answer.deliver(self._inbox):
                self._reader = self._loop.create_task(self._read(opened))
            self._alarm.arm()
        return self._out(opened.events)

    async def _while_reading(self) -> bytes:
        stream = self._upstream.stream
        try:
            data = await self._inbox.take()
        except GatewayError as failure:
            if self._fed is None:
                # cut after finish_reason: the answer itself is complete
                return self._out(stream.finish()) if stream.awaiting_trailer else self._broken(failure)
            data = b""
        fed, self._fed = self._fed, None
        if isinstance(fed, Exception):
            raise fed
        if fed is not None:
            # it was the last of the answer, so there is nothing left to do
            return self._out(fed)
        if data:
            self._note_arrival()
            return self._out(self._upstream.feed(data))
        return self._out(stream.finish()) if data is None else self._on_tick()

    def _straight(self, data: bytes) -> bool:
        """Convert data and write it at once, for a client that keeps up. False: this way is not possible.

        Nearly every piece of every answer goes through here, so it calls little.
        """
        body = self._body
        if body is None or body.held_back or self._phase is not Phase.READING:
            return False
        now = self._loop.time()
        if now - self._received_at > LONG_GAP:
            self._note_arrival()
        self._received_at = now
        exchange, stream = self._exchange, self._upstream.stream
        closing = False
        try:
            if self._captures:
                exchange.answered.add(data)
            events = stream.feed(data)
            closing = stream.closing
            if closing and stream.done:
                self._fed = events
            elif events:
                piece = sse.encode_all(events)
                if self._captures:
                    exchange.returned.add(piece)
                body.write(piece)
                self._sent_at = self._content_at = now
        except Exception as problem:
            # re-raised where the iterator's caller can log it and end the answer
            self._fed = problem
        if self._fed is not None:
            self._inbox.tick()
        elif closing:
            self._alarm.arm()
        return True

    def _note_arrival(self) -> None:
        before, self._received_at = self._received_at, self._loop.time()
        if self._received_at - before > LONG_GAP:
            self._exchange.timeline.gap(self._gateway.clock(), self._received_at - before)

    def _out(self, events: Sequence[Sent]) -> bytes:
        """Encode what the stream gave, and see whether it was the last of it."""
        stream = self._upstream.stream
        if events:
            self._content_at = self._loop.time()
        if stream.failure is not None:
            return self._broken(stream.failure, events)
        if stream.done:
            held = self._upstream.held_back
            return self._last(events) if held is None else self._judged(held, events)
        if stream.awaiting_trailer:
            self._alarm.arm()
        return self._encoded(events)

    def _judged(self, held: JudgedStream, events: Sequence[Sent]) -> bytes:
        """Everything up to the end goes out; the end waits."""
        self._phase = Phase.JUDGING
        self._alarm.cancel()
        self._drain()
        self._judging = self._loop.create_task(held.released())
        return self._encoded(events)

    async def _while_judging(self) -> bytes:
        assert self._judging is not None
        wait = max(0.0, self._sent_at + self._gateway.ping_interval - self._loop.time())
        done, _ = await asyncio.wait({self._judging}, timeout=wait)
        if self._interruption is not None:
            return self._broken(self._interruption)
        if done:
            return self._last(self._judging.result())
        self._exchange.timeline.ping(self._gateway.clock())
        return _PING

    def _last(self, events: Sequence[Sent]) -> bytes:
        self._end(OK, events)
        self._drain()
        return self._ready

    def _broken(self, error: GatewayError, events: Sequence[Sent] = ()) -> bytes:
        """The one `error` event, after the `events` that came before it."""
        try:
            last = self._upstream.stream.fail(error, self._exchange.request_id)
        except Exception:
            # the stream may be in no state to report its own failure
            logger.exception("unexpected error", extra={"request_id": self._exchange.request_id})
            last = [error_event(error.body(self._exchange.request_id))]
        ours = isinstance(error, Saturated | AuthenticationFailed)
        self._end(INTERRUPTED if ours else BROKEN, [*events, *last], error=error)
        self._drain(at_once=True)
        return self._ready

    @staticmethod
    def _encoded(events: Sequence[Sent]) -> bytes:
        return sse.encode_all(events) if events else b""

    # --- silence ----------------------------------------------------------------

    def _on_tick(self) -> bytes:
        now = self._loop.time()
        stream = self._upstream.stream
        if stream.awaiting_trailer and now >= self._received_at + self._gateway.trailer_timeout:
            return self._out(stream.finish())
        if now >= self._received_at + self._upstream.silence_limit:
            return self._broken(UpstreamTimedOut("upstream stream timed out"))
        if now >= self._until:
            self._took_too_long()
            return b""
        piece = self._sign_of_life() if now >= self._sent_at + self._gateway.ping_interval else b""
        self._sent_at = now if piece else self._sent_at
        self._alarm.arm()
        return piece

    def _sign_of_life(self) -> bytes:
        now = self._loop.time()
        self._exchange.timeline.ping(self._gateway.clock())
        if now < self._content_at + self._gateway.stale_after:
            return _PING
        self._content_at = now
        return self._encoded(self._upstream.stream.keepalive())

    def _due(self) -> float:
        due = min(
            self._sent_at + self._gateway.ping_interval,
            self._received_at + self._upstream.silence_limit,
            self._until,
        )
        if self._upstream.stream.awaiting_trailer:
            due = min(due, self._received_at + self._gateway.trailer_timeout)
        return due

    # --- reading and letting go ---------------------------------------------------

    async def _read(self, opened: Opened) -> None:
        """For a transport that cannot deliver into an inbox."""
        assert opened.answer is not None and opened.pieces is not None
        try:
            await InboxReader(opened.pieces, self._inbox).run()
        except Exception:
            logger.exception("unexpected error", extra={"request_id": self._exchange.request_id})
            self._inbox.fail(UpstreamBroken("upstream closed the stream before the response was complete"))
        finally:
            await opened.answer.close()

    def _end(self, state: State, events: Sequence[Sent] = (), *, error: GatewayError | None = None) -> None:
        """The outcome is known. `events` are those still to be sent, the very last among them."""
        if self._phase is Phase.OPENING:
            self._let_go()
        self._phase = Phase.ENDED
        self._curfew.cancel()
        self._gateway.live.discard(self)
        self._alarm.cancel()
        exchange = self._exchange
        self._final = self._encoded(events[-1:])
        self._ready = self._encoded(events[:-1])
        exchange.note_returned(self._ready)
        exchange.note_returned(self._final)
        try:
            self._upstream.note_facts()
        except Exception:
            # the exchange ends with what is known without them
            logger.exception("unexpected error", extra={"request_id": exchange.request_id})
        outcome = exchange.outcome(state, status=200, error=error, now=self._gateway.clock())
        self._ending = outcome
        ended(exchange, self._gateway, outcome)

    def _let_go(self) -> None:
        """Close an answer that began after the iterator last looked: nobody reads it any more."""
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
            return
        answer = opening.result().answer
        if answer is not None:
            closing = self._loop.create_task(answer.close())
            _draining.add(closing)
            closing.add_done_callback(_draining.discard)

    def _hand_over(self) -> None:
        """Record an outcome that nobody will wait for: the client is gone."""
        if self._ending is not None:
            ending, self._ending = self._ending, None
            self._gateway.recorder.closed(ending)

    def _drain(self, *, at_once: bool = False) -> None:
        """Let the provider's body end, or cut it off when there is nothing to wait for."""
        self._inbox.discard()
        at_once = at_once or self._upstream.cut_short
        reader = self._reader
        if reader is not None:
            if not reader.done():
                _draining.add(reader)
                reader.add_done_callback(_draining.discard)
                # not before its first step: a task cancelled there never reaches its `finally`
                self._loop.call_later(0.0 if at_once else DRAIN_SECONDS, reader.cancel)
        elif self._answer is not None and not self._answer.complete:
            if at_once:
                self._answer.cut()
            else:
                self._loop.call_later(DRAIN_SECONDS, self._answer.cut)

    async def _release(self) -> None:
        """Stop everything that is still running, and wait for it."""
        if self._answer is not None:
            self._answer.cut()
        started = (self._opening, self._reader, self._judging)
        tasks = [task for task in started if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _abandon(self) -> None:
        if self._phase is not Phase.ENDED:
            self._end(CANCELLED)
            if self._answer is not None:
                self._answer.cut()
            for task in (self._opening, self._reader, self._judging):
                if task is not None:
                    task.cancel()
        self._hand_over()
