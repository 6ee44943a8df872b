"""Pump: a stream from the commit point on; bytes in, bytes out.

It is the response's iterator; on a server that supports it, pieces bypass the iterator and go straight
to the client (write_through.py). Everything that arrived from the provider in one read leaves as one
piece. While nothing arrives, a timer wakes it for what is due then (silence.py).

    OPENING   the 200 is out (late commit), the provider has not answered yet
    READING   events come from the provider
    JUDGING   the provider is done; the last events wait for a verdict on the answer's calls
    ENDED     the last piece is ready, or the client left

The last event waits until the outcome is recorded; everything before it does not. An answer that breaks gets
an `error` event and nothing after it, even when the fault is the gateway's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Sequence
from typing import Any, Final

from gateway.errors import AuthenticationFailed, GatewayError, InternalError, Saturated, UpstreamTimedOut
from gateway.history.outcome import BROKEN, CANCELLED, INTERRUPTED, OK, State
from gateway.relay.attempt import Opened, Upstream
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.exchange.live import Progress, progress_of
from gateway.relay.exchange.timeline import LONG_GAP
from gateway.relay.gateway import Gateway
from gateway.relay.safety.verdicts import JudgedStream
from gateway.relay.streaming.deadline_timer import Alarm
from gateway.relay.streaming.inbox import Inbox
from gateway.relay.streaming.provider_body import ProviderBody, close_unread
from gateway.relay.streaming.silence import Due, Silence
from gateway.relay.streaming.stream_end import StreamEnd, encoded
from gateway.relay.streaming.write_through import WriteThrough
from gateway.relay.tries import Tries
from gateway.routing.snapshot import KeyEntry
from gateway.wire import sse
from gateway.wire.messages import PING, Sent, error_event

logger = logging.getLogger("gateway.relay")

_PING: Final = sse.encode(PING)


class Phase(enum.Enum):
    OPENING = enum.auto()
    READING = enum.auto()
    JUDGING = enum.auto()
    ENDED = enum.auto()


class Pump:
    """Async iterator of the response's bytes. `commit` comes first, `aclose` last."""

    __slots__ = (
        *("_alarm", "_answering", "_body", "_captures", "_curfew", "_end_of_stream", "_exchange", "_fed"),
        *("_gateway", "_inbox", "_interruption", "_judging", "_loop", "_opening", "_phase"),
        *("_provider_body", "_ready", "_silence", "_tries"),
    )

    def __init__(self, exchange: Exchange, gateway: Gateway, tries: Tries) -> None:
        self._exchange = exchange
        self._gateway = gateway
        # None once a target has answered, so that its request can be freed
        self._tries: Tries | None = tries
        self._answering: Upstream | None = None
        self._inbox = Inbox()
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.OPENING
        self._ready = b""
        self._body: WriteThrough | None = None
        # read by write-through, for the iterator to continue with
        self._fed: Sequence[Sent] | Exception | None = None
        self._opening: asyncio.Task[Opened] | None = None
        self._judging: asyncio.Task[Sequence[Sent]] | None = None
        self._provider_body = ProviderBody(self._inbox, self._loop, exchange.request_id)
        self._alarm = Alarm(self._loop, lambda: self._silence.next_at(self._upstream), self._inbox.tick)
        self._end_of_stream = StreamEnd(exchange, gateway)
        self._interruption: GatewayError | None = None
        self._captures = exchange.captures
        self._silence = Silence(gateway, self._loop.time())

    async def commit(self) -> None:
        """Wait until there is something to send: the first events, or `commit_after` of silence.

        Raises GatewayError when the provider failed before that; nothing has been sent then.
        """
        tries = self._tries
        assert tries is not None
        self._opening = self._loop.create_task(tries.first_events())
        self._gateway.live.add(self)
        # until the provider answers; from then on the alarm ends answers that take too long
        self._curfew = self._loop.call_at(self._silence.until, self._took_too_long)
        try:
            done, _ = await asyncio.wait({self._opening}, timeout=self._gateway.commit_after)
            if self._interruption is not None:
                raise self._interruption
            if done:
                self._ready = self._begun(self._opening.result())
            else:
                self._exchange.timeline.committed(self._gateway.clock())
                self._ready = encoded(tries.commit())
        except BaseException:
            self._curfew.cancel()
            self._gateway.live.discard(self)
            close_unread(self._opening, self._loop)
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
        return self._phase is Phase.ENDED and not self._ready and not self._end_of_stream.waits

    @property
    def progress(self) -> Progress | None:
        """The progress of the answer, for those who watch."""
        return progress_of(self._exchange, self._upstream.stream.characters, self._gateway.clock())

    def __aiter__(self) -> Pump:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._phase is not Phase.ENDED:
                self._ready = await self._next()
            elif self._end_of_stream.waits:
                return await self._end_of_stream.settle()
            else:
                raise StopAsyncIteration
        piece, self._ready = self._ready, b""
        self._silence.sent = self._loop.time()
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
        self._end_of_stream.hand_over()

    def close(self) -> None:
        """`aclose` for a caller in another thread or without a loop (Django's response.close)."""
        if self._phase is not Phase.ENDED or self._end_of_stream.waits:
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
            if self._end_of_stream.waits:
                # the answer is over, and the rest of it is known
                return self._ready
            return self._broken(InternalError())

    async def _while_opening(self) -> bytes:
        assert self._opening is not None
        if not await self._done(self._opening):
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
        self._silence.received = self._loop.time()
        self._exchange.first_byte_at = self._gateway.clock()
        if opened.message is not None:
            return self._last(opened.events)
        if opened.answer is not None:
            self._provider_body.begin(opened)
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
        """Convert data and write it at once, for a client that keeps up. False: the iterator must do it.

        Nearly every piece of every answer goes through here, so it calls little.
        """
        body = self._body
        if body is None or body.held_back or self._phase is not Phase.READING:
            return False
        now, silence = self._loop.time(), self._silence
        if now - silence.received > LONG_GAP:
            self._note_arrival()
        silence.received = now
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
                silence.sent = silence.content = now
        except Exception as problem:
            # re-raised where the iterator's caller can log it and end the answer
            self._fed = problem
        if self._fed is not None:
            self._inbox.tick()
        elif closing:
            self._alarm.arm()
        return True

    def _note_arrival(self) -> None:
        before, now = self._silence.received, self._loop.time()
        self._silence.received = now
        if now - before > LONG_GAP:
            self._exchange.timeline.gap(self._gateway.clock(), now - before)

    def _out(self, events: Sequence[Sent]) -> bytes:
        """Encode events of the stream, and end the answer if they were the last."""
        stream = self._upstream.stream
        if events:
            self._silence.content = self._loop.time()
        if stream.failure is not None:
            return self._broken(stream.failure, events)
        if stream.done:
            held = self._upstream.held_back
            return self._last(events) if held is None else self._judged(held, events)
        if stream.awaiting_trailer:
            self._alarm.arm()
        return encoded(events)

    def _judged(self, held: JudgedStream, events: Sequence[Sent]) -> bytes:
        """Send everything before the end, which waits for the verdict."""
        self._phase = Phase.JUDGING
        self._alarm.cancel()
        self._drain()
        self._judging = self._loop.create_task(held.released())
        return encoded(events)

    async def _while_judging(self) -> bytes:
        assert self._judging is not None
        done = await self._done(self._judging)
        if self._interruption is not None:
            return self._broken(self._interruption)
        if done:
            return self._last(self._judging.result())
        self._exchange.timeline.ping(self._gateway.clock())
        return _PING

    async def _done(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task ends before a sign of life is due."""
        await asyncio.wait({task}, timeout=self._silence.until_ping(self._loop.time()))
        return task.done()

    def _last(self, events: Sequence[Sent]) -> bytes:
        self._end(OK, events)
        self._drain()
        return self._ready

    def _broken(self, error: GatewayError, events: Sequence[Sent] = ()) -> bytes:
        """The one `error` event, after the `events` that came before it."""
        try:
            last = self._upstream.failed(error)
        except Exception:
            # the stream may be in no state to report its own failure
            logger.exception("unexpected error", extra={"request_id": self._exchange.request_id})
            last = [error_event(error.body(self._exchange.request_id))]
        ours = isinstance(error, Saturated | AuthenticationFailed)
        self._end(INTERRUPTED if ours else BROKEN, [*events, *last], error=error)
        self._drain(at_once=True)
        return self._ready

    def _on_tick(self) -> bytes:
        now, piece = self._loop.time(), b""
        match self._silence.due(self._upstream, now):
            case Due.END:
                return self._out(self._upstream.stream.finish())
            case Due.SILENT:
                return self._broken(UpstreamTimedOut("upstream stream timed out"))
            case Due.TOO_LONG:
                self._took_too_long()
                return b""
            case Due.SIGN_OF_LIFE:
                piece = self._sign_of_life()
        self._silence.sent = now if piece else self._silence.sent
        self._alarm.arm()
        return piece

    def _sign_of_life(self) -> bytes:
        now = self._loop.time()
        self._exchange.timeline.ping(self._gateway.clock())
        if not self._silence.stale(now):
            return _PING
        self._silence.content = now
        return encoded(self._upstream.stream.keepalive())

    def _end(self, state: State, events: Sequence[Sent] = (), *, error: GatewayError | None = None) -> None:
        """End the answer with its outcome. `events`: those still to be sent, including the last."""
        if self._phase is Phase.OPENING:
            close_unread(self._opening, self._loop)
        self._phase = Phase.ENDED
        self._curfew.cancel()
        self._gateway.live.discard(self)
        self._alarm.cancel()
        self._ready = encoded(events[:-1])
        self._end_of_stream.decide(self._upstream, state, self._ready, encoded(events[-1:]), error)

    def _drain(self, *, at_once: bool = False) -> None:
        self._provider_body.drain(at_once=at_once or self._upstream.cut_short)

    async def _release(self) -> None:
        """Stop everything that is still running, and wait for it."""
        self._provider_body.cut()
        tasks = [task for task in self._tasks() if not task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _abandon(self) -> None:
        if self._phase is not Phase.ENDED:
            self._end(CANCELLED)
            self._provider_body.cut()
            for task in self._tasks():
                task.cancel()
        self._end_of_stream.hand_over()

    def _tasks(self) -> list[asyncio.Task[Any]]:
        started = (self._opening, self._provider_body.reader, self._judging)
        return [task for task in started if task is not None]
