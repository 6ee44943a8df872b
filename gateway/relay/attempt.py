"""One attempt: a converted request on its way to one target, until something can be answered.

An attempt counts as answered once the provider's first events (or its whole message) are here, so an
error in the first data item of a 200 stream is still a proper HTTP error. tries.py decides what
follows a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar

from gateway.conversion import repairs
from gateway.conversion.answers import chat_message
from gateway.conversion.context import Converted
from gateway.conversion.dialects import DIALECTS, AnswerStream
from gateway.conversion.tokens.client_window import scaled
from gateway.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamTimedOut
from gateway.history.record.capture import ByteLog
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.relay.safety.verdicts import JudgedStream, judge_for, judged_message, judged_stream
from gateway.relay.unsaid import unsay, without
from gateway.upstream.client import UpstreamAnswer
from gateway.upstream.failover.choices import AttemptChoice
from gateway.upstream.request_builder import upstream_call
from gateway.values import frozen
from gateway.wire import jsontext, sse
from gateway.wire.answer_forms import as_events, starts_as_json, without_comments
from gateway.wire.halves import HalfCharacters
from gateway.wire.messages import Message, Sent
from gateway.wire.trace_context import TRACEPARENT, traceparent

T = TypeVar("T")

MAX_ERROR_BODY: Final = 256 * 1024
ERROR_BODY_TIMEOUT: Final = 10.0
_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")
TIMED_OUT: Final = "the upstream provider timed out"


@frozen
class Opened:
    """The beginning of a stream: its first events, and the rest to read (None when there is none).

    `message`: the provider did not stream; these events are all of its message.
    """

    events: Sequence[Sent]
    message: Message | None = None
    answer: UpstreamAnswer | None = None
    pieces: AsyncIterator[bytes] | None = None


class Upstream:
    """One target with one credential, used by one attempt at a time; `stream` converts a streamed answer.

    `connect_timeout`: seconds; the provider's own when that is shorter.
    """

    __slots__ = (
        "_body",
        "call",
        "committed",
        "context",
        "dialect",
        "exchange",
        "gateway",
        "judge",
        "route",
        "stream",
    )

    def __init__(
        self,
        exchange: Exchange,
        gateway: Gateway,
        choice: AttemptChoice,
        converted: Converted,
        connect_timeout: float,
    ) -> None:
        self.exchange = exchange
        self.gateway = gateway
        self.route = choice.route
        self.context = converted.context
        self.dialect = DIALECTS[choice.route.profile.protocol]
        self.call = upstream_call(
            choice.route.provider,
            choice.route.profile.protocol,
            converted.body,
            _with_trace(converted.headers, exchange, choice.route.profile.trace_context),
            choice.credential.value if choice.credential else None,
            connect_timeout,
            query=converted.query,
        )
        self._body = converted.body
        self.judge = judge_for(exchange, gateway.configuration.snapshot, converted.context)
        self.stream: AnswerStream
        self.committed = False
        self.renew()

    @property
    def silence_limit(self) -> float:
        """Seconds without a byte after which the provider is considered gone."""
        profile, provider = self.route.profile, self.route.provider
        return profile.stream_idle_timeout or provider.silence_timeout or profile.idle_timeout

    def begin(self) -> None:
        """Start another attempt, whose request and answer the exchange keeps."""
        exchange = self.exchange
        exchange.route = self.route
        exchange.answered = ByteLog()
        if exchange.captures:
            exchange.sent = self.call.content
            exchange.sent_json = self._body

    def let_go(self) -> None:
        """Free the request: the answer is streaming, so it will not be sent again."""
        del self.call, self._body

    def renew(self) -> None:
        """Make a fresh stream and forget what an earlier one had begun."""
        if self.exchange.streamed:
            stream = self.dialect.stream(self.context, self.exchange.ledger)
            self.stream = stream if self.judge is None else judged_stream(stream, self.judge)

    @property
    def held_back(self) -> JudgedStream | None:
        """The stream if its last events wait for verdicts."""
        stream: Any = self.stream
        return stream if self.judge is not None and isinstance(stream, JudgedStream) and stream.held else None

    def commit(self) -> Sequence[Sent]:
        """The 200 is sent before the provider has answered."""
        self.committed = True
        return self.stream.start()

    async def message(self) -> Message:
        """The whole message of a request that is not streamed. Raises UpstreamError."""
        try:
            message = await self._try_message()
        except UpstreamRefused as refusal:
            message = self._refused(refusal)
        self.exchange.message_ended(message)
        return await self._for_client(message)

    async def first_events(self) -> Opened:
        """The first events of a streamed request. Raises UpstreamError when nothing was started."""
        try:
            return await self._try_stream()
        except UpstreamRefused as refusal:
            return await self._replayed(self._refused(refusal))

    async def _try_message(self) -> Message:
        answer = await self._open()
        try:
            return self._message(answer, await self._whole(answer))
        finally:
            await answer.close()

    async def _try_stream(self) -> Opened:
        answer = await self._open()
        try:
            if answer.content_type == "application/json":
                body = await self._whole(answer)
                await answer.close()
                return await self._opened(answer, body)
            return await self._first(answer)
        except BaseException:
            await answer.close()
            raise

    async def _open(self) -> UpstreamAnswer:
        """The head of a successful answer; everything else is raised as the error it stands for."""
        provider = self.route.provider
        try:
            async with asyncio.timeout(provider.first_byte_timeout):
                answer = await self.gateway.client.open(self.call)
        except TimeoutError:
            raise UpstreamTimedOut(TIMED_OUT) from None
        attempt = self.exchange.tries[-1]
        attempt.status = answer.status
        attempt.upstream_request_id = next(
            (answer.headers[name] for name in _REQUEST_ID_HEADERS if name in answer.headers), ""
        )
        if 200 <= answer.status < 300:
            passed = self.dialect.returned_headers
            self.exchange.answer_headers = {
                name: value for name, value in answer.headers.items() if passed and name.startswith(passed)
            }
            return answer
        try:
            raise await self._rejected(answer)
        finally:
            await answer.close()

    async def _rejected(self, answer: UpstreamAnswer) -> UpstreamError:
        body, whole = await answer.beginning(MAX_ERROR_BODY, ERROR_BODY_TIMEOUT)
        self.exchange.answered.add(body)
        return self._error(answer.status, answer, body, whole=whole)

    def _error(
        self, status: int, answer: UpstreamAnswer, body: bytes, *, whole: bool = True
    ) -> UpstreamError:
        return self.dialect.upstream_error(
            status,
            answer.headers,
            body,
            model=self.context.model,
            context_window=self.route.profile.context_window,
            estimated_tokens=self.context.estimated_input_tokens,
            max_tokens=self.context.max_tokens,
            ratelimit_prefix=self.route.provider.ratelimit_prefix,
            whole=whole,
            now=self.gateway.now().timestamp(),
        )

    async def _opened(self, answer: UpstreamAnswer, body: bytes) -> Opened:
        """A streamed answer that is complete already, whatever its form."""
        events = as_events(body)
        if events is None:
            message = self._message(answer, body)
            self.exchange.ledger.repair(repairs.OTHER_FORM)
            return await self._replayed(message)
        self.exchange.ledger.repair(repairs.OTHER_FORM)
        stream = self.stream
        told = [*self.feed(events), *([] if stream.done else stream.finish())]
        if stream.failure is not None and not self.committed:
            raise stream.failure
        return Opened(told)

    def _streamed_message(self, body: bytes) -> Message:
        """The message of an answer that was streamed although the request did not ask for that."""
        self.exchange.ledger.repair(repairs.OTHER_FORM)
        stream = self.dialect.stream(self.context, self.exchange.ledger)
        told = [*stream.feed(body), *([] if stream.done else stream.finish())]
        if stream.failure is not None:
            raise stream.failure
        events = [jsontext.loads(event.data) for event in sse.Decoder().feed(sse.encode_all(told))]
        usage = stream.usage
        self._counted(usage.estimated, usage.tier, usage.cache_told)
        return chat_message.put_together(events, usage.whole())

    def _message(self, answer: UpstreamAnswer, body: bytes) -> Message:
        self.exchange.answered.add(body)
        body = without_comments(body)
        try:
            completion: Any = jsontext.loads(body)
        except jsontext.InvalidJSON:
            events = as_events(body)
            if events is not None and self.route.profile.protocol != "anthropic":
                return self._streamed_message(events)
            completion = _leniently(answer, body)
        if isinstance(completion, list) and len(completion) == 1:
            # Gemini wraps an error in a list
            completion = completion[0]
        events = as_events(body) if isinstance(completion, list) else None
        if events is not None and self.route.profile.protocol != "anthropic":
            return self._streamed_message(events)
        if not isinstance(completion, dict):
            raise _invalid(answer)
        answered = self.dialect.whole_answer(completion, self.context, self.exchange.ledger)
        self._counted(answered.usage_estimated, answered.tier, answered.cache_told)
        return answered.message

    def _counted(self, estimated: bool, tier: str, cache_told: bool) -> None:
        """Note what the history must know of the counts of an answer."""
        exchange = self.exchange
        exchange.usage_estimated, exchange.service_tier, exchange.cache_told = estimated, tier, cache_told

    def _refused(self, refusal: UpstreamRefused) -> Message:
        self.exchange.usage_estimated = True
        return chat_message.refusal_message(self.context, refusal.explanation)

    async def _replayed(self, message: Message) -> Opened:
        """A whole message as a stream: the provider did not stream, or refused."""
        self.exchange.message_ended(message)
        told = await self._for_client(message)
        events = chat_message.message_events(told)
        return Opened(events[1:] if self.committed else events, told)

    async def _for_client(self, message: Message) -> Message:
        """The message as the client gets it; the history has noted the real counts."""
        if self.judge is not None:
            message = await judged_message(message, self.judge)
        scale = self.context.usage_scale
        return message if scale == 1.0 else {**message, "usage": scaled(message["usage"], scale)}

    async def _first(self, answer: UpstreamAnswer) -> Opened:
        pieces = answer.pieces()
        stream = self.stream
        begun = False
        while not stream.done:
            # the beginning often comes with the head
            piece = answer.at_hand() or await self._in_time(anext(pieces, b""))
            if not begun and piece:
                begun = True
                if starts_as_json(piece):
                    return await self._bare(answer, piece, pieces)
                if answer.content_type == "text/html" and not sse.begins_as_events(piece):
                    raise _invalid(answer)
            events = self.feed(piece) if piece else stream.finish()
            if stream.failure is not None and not self.committed:
                raise stream.failure
            if not piece:
                await answer.close()
                return Opened(events)
            if events or stream.failure is not None:
                return Opened(events, None, answer, pieces)
        return Opened([], None, answer, pieces)

    async def _bare(self, answer: UpstreamAnswer, piece: bytes, pieces: AsyncIterator[bytes]) -> Opened:
        """JSON where an event stream was announced: an error, a whole answer, or one chunk per line."""
        body = bytearray(piece)
        while more := answer.at_hand() or await self._in_time(anext(pieces, b"")):
            body += more
            if len(body) > self.gateway.max_answer_bytes:
                raise _invalid(answer)
        await answer.close()
        return await self._opened(answer, bytes(body))

    def unsaid(self, error: GatewayError) -> None:
        """Take out of an error what the provider was sent and repeats."""
        if isinstance(error, UpstreamError):
            unsay(error, self.route.provider.secrets)

    def failed(self, error: GatewayError) -> list[Sent]:
        """The last events of a stream that ends in `error`."""
        self.unsaid(error)
        events = self.stream.fail(error, self.exchange.request_id)
        return [without(event, self.route.provider.secrets) for event in events]

    def note_facts(self) -> None:
        """What the stream tells the history; a replayed message has told it already."""
        exchange, stream = self.exchange, self.stream
        if exchange.stop_reason or not stream.started:
            return
        exchange.stop_reason = stream.stop_reason or ""
        usage = stream.usage
        exchange.usage = usage.at_end()
        self._counted(usage.estimated, usage.tier, usage.cache_told)
        exchange.tools_called = list(stream.tool_names)

    @property
    def cut_short(self) -> bool:
        """The gateway ended the answer at a stop sequence; the provider would have continued."""
        return bool(self.context.local_stops) and self.stream.stop_reason == "stop_sequence"

    def feed(self, piece: bytes) -> Sequence[Sent]:
        """Bytes of the provider's stream in, events out."""
        if self.exchange.captures:
            self.exchange.answered.add(piece)
        return self.stream.feed(piece)

    async def _whole(self, answer: UpstreamAnswer) -> bytes:
        """The body of an answer that is not streamed; the silence between its pieces is limited."""
        body = answer.whole(self.gateway.max_answer_bytes)
        if body is not None:
            # usually it came with the head
            return body
        loop = asyncio.get_running_loop()
        limit = self.silence_limit
        try:
            async with asyncio.timeout(limit) as silence:
                return await answer.body(
                    self.gateway.max_answer_bytes, lambda: silence.reschedule(loop.time() + limit)
                )
        except TimeoutError:
            raise UpstreamTimedOut("upstream stream timed out") from None

    async def _in_time(self, reading: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.silence_limit):
                return await reading
        except TimeoutError:
            raise UpstreamTimedOut("upstream stream timed out") from None


def _leniently(answer: UpstreamAnswer, body: bytes) -> Any:
    """A body that is no JSON to the letter (NaN, a line end inside a text), or an error."""
    try:
        return HalfCharacters().loads(body)
    except jsontext.InvalidJSON:
        raise _invalid(answer) from None


def _invalid(answer: UpstreamAnswer) -> UpstreamBroken:
    kind = answer.content_type or "no content type"
    return UpstreamBroken(f"upstream returned an invalid response (HTTP {answer.status}, {kind})")


def _with_trace(headers: Mapping[str, str], exchange: Exchange, trace_context: str) -> Mapping[str, str]:
    """The provider's headers, with the client's traceparent where the profile passes it on."""
    value = traceparent(exchange.arrival.headers) if trace_context == "pass" else ""
    return {**headers, TRACEPARENT: value} if value else headers
