"""ConvertedStream: what every converted stream has in common.

Bytes become server events here; a protocol's subclass reads what an event says, and the AnswerWriter
writes it. In between, these modules judge, for streams and whole messages alike: `text_filters` what
part of the content is shown, `stop_reasons` why it ended, `usage` what it cost, `errors.upstream` what
went wrong.

Take care with how a stream ends, because a client takes any complete sequence of events for a complete
answer and runs the tools in it:

    * An end that the protocol does not define as one is a cut answer. It fails, and never looks
      complete.
    * A call whose arguments were sent in part and are incomplete at the end fails the stream, unless
      the token limit is the reason, which the client is then told.
    * A failure is one error event and nothing after it: no content_block_stop, no message_delta. While
      the state is Idle it can still be an HTTP error.

Nothing here reads a clock or a socket. The caller feeds bytes, sends the events, and looks at `failure`
and `done` after each step:

    events = stream.feed(data)
    if stream.failure and stream.started:
        events += stream.fail(stream.failure, request_id)

See docs/conversion.md, "Streams".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.conversion import repairs
from gateway.conversion.answers import reasoning, stop_reasons
from gateway.conversion.answers.chunk_fast_path import Repetition
from gateway.conversion.answers.stop_reasons import Finish, Stop
from gateway.conversion.answers.text_filters import VisibleText
from gateway.conversion.answers.usage import Usage, usage_at_start, usage_of
from gateway.conversion.answers.writing.block_sequence import IDLE, AnswerFailed
from gateway.conversion.answers.writing.writer import AnswerWriter
from gateway.conversion.answers.written_calls import is_written
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.arguments import CallEnding
from gateway.conversion.tool_calls.object_reader import MalformedArguments
from gateway.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamRefused
from gateway.wire import jsontext, messages, sse
from gateway.wire.halves import HalfCharacters
from gateway.wire.messages import Event, JSONObject, Sent

CUT: Final = "upstream closed the stream before the response was complete"
NOTHING: Final = "upstream returned no valid stream data"


class ConvertedStream:
    """One streamed answer. `feed` and `finish` never raise: they return what came before a failure.

    A subclass defines what a piece of data means (`_read_data`) and what the end of the connection does
    (`_upstream_ended`); it sets `_finish`, `_sequence`, `_counts` and `_tier`, and `_repetition` when its
    chunks repeat each other.
    """

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._ledger = ledger
        self._decoder = sse.Decoder()
        self._halves = HalfCharacters()
        self._writer = AnswerWriter(context, ledger)
        filters = VisibleText(context)
        self._filters = None if filters.plain else filters
        self._repetition: Repetition | None = None
        self._in_doubt: tuple[JSONObject, int] | None = (
            None  # a delta that may only say all of the text again
        )
        self._refusal: list[str] = []
        self._finish: Finish | None = None
        self._sequence: str | None = None
        self._counts: Mapping[str, object] | None = None
        self._tier: object = None
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self._whole = False  # the answer came in one piece, so nothing of it is missing
        self.chunks = 0
        self.skipped = 0  # data that was neither a chunk nor an error

    # What the caller sees

    @property
    def started(self) -> bool:
        """message_start was returned: an HTTP error is no longer possible."""
        state = self._writer.state
        return not (state is IDLE or (type(state) is AnswerFailed and state.before_start))

    @property
    def done(self) -> bool:
        """Nothing more is read: the message is complete, or failed. Close the upstream."""
        return self._writer.state.over

    @property
    def failure(self) -> GatewayError | None:
        """What ended the answer early: raise it when not `started`, else send `fail(...)`."""
        state = self._writer.state
        return state.error if type(state) is AnswerFailed else None

    @property
    def awaiting_trailer(self) -> bool:
        """The model has finished and only usage may still come: wait a few seconds, then call `finish`."""
        return self._finish is not None and not self.done

    @property
    def closing(self) -> bool:
        """The model has finished, or the answer is over: look at `done` and `awaiting_trailer`."""
        return self._finish is not None or self._writer.state.over

    @property
    def stop_reason(self) -> str | None:
        """Anthropic's stop reason, once the message is complete."""
        return self._stop.reason if self._stop else None

    @property
    def usage(self) -> Usage:
        """The numbers of the answer so far: the upstream's, or estimates."""
        return self._usage or self._usage_now(Ledger())

    @property
    def usage_estimated(self) -> bool:
        """Some number of `usage` is our estimate."""
        return self.usage.estimated

    @property
    def tool_names(self) -> list[str]:
        """The tools called, in the client's words."""
        return self._writer.tool_names

    @property
    def characters(self) -> int:
        """Characters of text and reasoning so far, for progress displays."""
        return self.text_length + self.thinking_length

    @property
    def text_length(self) -> int:
        """Characters of visible text."""
        return self._writer.output.text_length

    @property
    def thinking_length(self) -> int:
        """Characters of reasoning, shown or not."""
        return self._writer.output.thinking_length

    # What the caller does

    def start(self) -> list[Sent]:
        """Start the message before the upstream says anything; later calls give nothing.

        See docs/conversion.md, "When the 200 goes out".
        """
        self._writer.start(usage_at_start(None, self._context))
        return self._writer.taken()

    def keepalive(self) -> list[Sent]:
        """An empty delta, for clients that do not take pings as a sign of life; opens a block if none is
        open.
        """
        self._writer.start(usage_at_start(None, self._context))
        self._writer.keepalive()
        return self._writer.taken()

    def feed(self, data: bytes) -> list[Sent]:
        """Upstream bytes, cut anywhere, to events; one that repeats the previous comes already serialised."""
        try:
            bodies = self._decoder.bodies(data)
            if bodies is None:
                self._each(self._decoder.lines(data))
                return self._writer.taken()
            repetition = self._repetition
            for body in bodies:
                if repetition is not None and repetition.read(body):
                    continue
                if self._writer.state.over:
                    break
                self._event(None, body)
        except (sse.EventTooLong, MalformedArguments) as problem:
            self._writer.fail(UpstreamBroken(str(problem)))
        return self._writer.taken()

    def finish(self) -> list[Sent]:
        """The upstream closed the connection, or nothing followed the finish reason for long enough."""
        return self._taken(self._end_of_connection)

    def fail(self, error: GatewayError, request_id: str) -> list[Event]:
        """End the answer with an error that the stream (`failure`) or the caller (timeout, reset) found.

        Returns the one error event if the message was started, else nothing: the error can still be an HTTP
        error. The first error stays, and a complete message cannot fail any more. Call it once.
        """
        self._writer.fail(error)
        failure = self.failure
        if failure is None or not self.started:
            return []
        return [messages.error_event(failure.body(request_id))]

    # What a protocol adds

    def _read_data(self, data: JSONObject) -> None:
        """One piece of data that is an object."""
        raise NotImplementedError

    def _named(self, name: str, data: JSONObject) -> JSONObject:
        """The same with what the name of its event adds."""
        return data

    def _upstream_ended(self, *, told: bool) -> None:
        """`told`: the upstream said [DONE]; else its connection ended."""
        raise NotImplementedError

    # What every protocol does

    def _each(self, events: Iterable[sse.ServerEvent]) -> None:
        for event in events:
            if self._writer.state.over:
                break
            self._event(event.name, event.data)

    def _taken(self, read: Callable[[], None]) -> list[Sent]:
        """The events of what `read` does, up to the failure if there is one."""
        try:
            read()
        except (sse.EventTooLong, MalformedArguments) as problem:
            self._writer.fail(UpstreamBroken(str(problem)))
        return self._writer.taken()

    def _end_of_connection(self) -> None:
        for event in self._decoder.flush():
            if self.done:
                break
            self._event(event.name, event.data, cut=True)
        if not self.done:
            self._upstream_ended(told=False)

    def _event(self, name: str | None, data: bytes, *, cut: bool = False) -> None:
        if data == sse.DONE:
            self._upstream_ended(told=True)
            return
        try:
            chunk = self._halves.loads(data)
        except jsontext.InvalidJSON:
            if data.strip() == sse.DONE:
                self._upstream_ended(told=True)
                return
            chunk = self._loaded_leniently(data)
            if chunk is None and data.startswith(b"data:") and not data.startswith(b"data:", 5):
                framed_again = data[5:].strip()
                if not framed_again.startswith(b"data:"):
                    self._event(name, framed_again, cut=cut)
                    return
        if name == "error":
            self._error(upstream.named_error(chunk, data, self._context))
        elif type(chunk) is dict:
            self._read_data(chunk if name is None else self._named(name, chunk))
            if self._repetition is not None and not (self._halves.waiting or self._in_doubt):
                self._repetition.learn(data, chunk, self._filters)
        elif type(chunk) is list and chunk and all(type(item) is dict for item in chunk):
            # Gemini wraps an error in a list
            for item in chunk:
                if not self._writer.state.over:
                    self._read_data(item)
        elif chunk is None and not cut and self._finish is None and data.lstrip().startswith(b"{"):
            # an unreadable chunk: its content is lost, so this is no longer a complete answer
            self._error(UpstreamBroken("upstream sent malformed stream data"))
        else:
            self.skipped += 1

    def _filtered(self, split: tuple[str, str]) -> None:
        thinking, text = split
        if thinking:
            self._writer.thinking(thinking, reasoning.TAGGED)
        if text:
            self._writer.text(text)

    def _flush(self) -> None:
        """Say what the filters hold back: something other than text follows."""
        if self._filters is not None:
            self._filtered(self._filters.flush())

    def _begin(self) -> None:
        if self._writer.state is IDLE:
            self._writer.start(usage_at_start(self._counts, self._context))

    def _complete(self, *, explanation: str = "") -> None:
        """Write what is waiting, then why it ended and what it cost. `explanation`: a content filter's."""
        writer = self._writer
        matched = None
        if self._filters is not None:
            if self._filters.matched is None:
                self._filtered(self._filters.flush())
            matched = self._filters.matched
            self._filters.note_repairs(self._ledger)
        finish = Finish.STOP if matched else self._finish
        if finish is not Finish.LENGTH and self._cut_at_the_cap(finish):
            self._ledger.repair(repairs.REASON_LIMIT)
            finish = Finish.LENGTH
        refusal = "".join(self._refusal)
        if refusal and not writer.output.text_length:
            writer.text(refusal)
        told = self._whole or stop_reasons.counted_below(self.usage, self._context.max_tokens)
        if not writer.drain(stop_reasons.ending_of(finish, whole=told)):
            writer.fail(UpstreamBroken("upstream returned a tool call without a name"))
            return
        if matched is None and self._call_written(finish):
            self._ledger.repair(repairs.CALL_WRITTEN)
            writer.fail(UpstreamBroken("the model wrote a tool call that the provider did not read as one"))
            return
        if matched is None and self._thought_alone(finish, refusal or explanation):
            matched = self._say_what_was_thought()
        if self.skipped:
            self._ledger.repair(repairs.SKIPPED)
        if self._halves.waiting:
            self._ledger.repair(repairs.HALF_CHARACTER)
        self._usage = self._usage_now(self._ledger)
        nothing = writer.empty and not self.characters and not writer.tool_names
        overflow = stop_reasons.overflow_of(finish, self._usage, self._context) if nothing else None
        if overflow is not None:
            writer.fail(overflow)
            return
        self._stop = stop_reasons.stop_of(
            finish,
            called=bool(writer.tool_names),
            refusal=refusal or explanation,
            sequence=matched or self._sequence,
            usage=self._usage,
            context=self._context,
            ledger=self._ledger,
        )
        writer.end(self._stop, self._usage)

    def _cut_at_the_cap(self, finish: Finish | None) -> bool:
        """The answer ends in half a call and has all tokens that were asked for, whatever its reason says."""
        calls, cap = self._writer.calls, self._context.max_tokens
        if not calls or calls[-1].whole or stop_reasons.ending_of(finish, whole=True) is not CallEnding.OVER:
            return False
        usage = self.usage
        return not usage.estimated and 0 < cap <= usage.output_tokens

    def _call_written(self, finish: Finish | None) -> bool:
        """The model has finished with a call in its text, or in thinking behind which it said nothing."""
        output, offered = self._writer.output, self._context.tools.offered
        if (
            self.tool_names
            or not offered
            or stop_reasons.ending_of(finish, whole=True) is not CallEnding.OVER
        ):
            return False
        return is_written(output.whole_text if self.text_length else output.whole_thinking, offered)

    def _thought_alone(self, finish: Finish | None, refusal: str) -> bool:
        """The model has finished, and the client, which did not ask for thinking, would get nothing.

        See docs/conversion.md, "Showing thinking".
        """
        writer, context = self._writer, self._context
        return bool(
            self.thinking_length
            and not (self.text_length or writer.tool_names or refusal or context.thinking_requested)
            and context.profile.emit_thinking == "requested"
            and finish in (Finish.STOP, Finish.CALLS, Finish.UNKNOWN, None)
        )

    def _say_what_was_thought(self) -> str | None:
        """As text, with all that is done to text. The stop sequence that was met in it."""
        filters, thinking = VisibleText(self._context), self._writer.output.whole_thinking
        text = filters.feed(thinking)[1] + filters.flush()[1]
        if thinking.strip():
            self._ledger.repair(repairs.THINKING_ALONE)
            self._writer.whole_text(text if text.strip() or filters.matched else thinking)
        return filters.matched

    def _error(self, error: UpstreamError) -> None:
        """The upstream sent an error. A content filter is not a failure: the message ends as refused."""
        if not isinstance(error, UpstreamRefused):
            self._writer.fail(error)
            return
        self._begin()
        self._finish = Finish.FILTERED
        self._complete(explanation=error.explanation)

    def _loaded_leniently(self, data: bytes) -> object:
        """Data with broken UTF-8 inside; None when it is not JSON even so."""
        try:
            loaded = self._halves.loads(data.decode("utf-8", "replace"))
        except jsontext.InvalidJSON:
            return None
        if not data.isascii():
            self._ledger.repair(repairs.CHARACTERS, once=True)
        return loaded

    def _usage_now(self, ledger: Ledger) -> Usage:
        return usage_of(self._counts, self._context, self._writer.output, ledger, tier=self._tier)
