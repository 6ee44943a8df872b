"""MessageStream: a streamed chat completion in, the events of one message out (specification section 6).

A chat completion streams three things side by side: reasoning, content, and
fragments of any number of tool calls, told apart by an index and free to
interleave. A Messages stream is one sequence of blocks, numbered from 0, and
only one of them is open at a time. The work is split along that line:

    MessageStream (here)    reads: bytes -> server events -> chunks -> what is said,
                            in the order reasoning, content, calls, finish, usage
    AnswerWriter            writes: one open block, a queue for everything else,
                            and the table of states Idle, Started, Open, Done, Failed

Between the two the facets judge, each for streams and whole messages alike:
`reasoning` what is thinking, `visible_text` what of the content is shown,
`tool_calls` and `tool_args` what a call is, `stops` why it ended, `usage` what it
cost, `upstream_errors` what went wrong.

How a stream ends is the part to be careful with, because a client takes any
complete sequence of events for a complete answer and runs the tools in it:

    * The finish reason alone ends nothing: usage comes behind it, and some
      providers even send content. `[DONE]` does, or a chunk with only usage after
      the finish reason, or the end of the connection, or the caller's patience
      (`awaiting_trailer`, then `finish`).
    * An end without finish reason, `[DONE]` and usage is a cut answer. It fails;
      it never looks like a whole one.
    * A call whose arguments were sent in part and are not whole at the end fails
      the stream, unless the token limit is the reason: then the client is told so.
    * A failure is one error event and nothing behind it: no content_block_stop, no
      message_delta. While the state is Idle it can still be an HTTP error.

Nothing here reads a clock or a socket. The caller feeds bytes, sends the events,
and looks at `failure` and `done` after each step:

    events = stream.feed(data)
    if stream.failure and stream.started:
        events += stream.fail(stream.failure, request_id)
"""

from __future__ import annotations

from typing import Any

from gateway.conversion import reasoning, stops, upstream_errors
from gateway.conversion.answer_writer import IDLE, AnswerWriter, Failed
from gateway.conversion.citations import citations_of
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.stops import Finish, Stop
from gateway.conversion.tool_args import MalformedArguments
from gateway.conversion.tool_calls import pieces_of
from gateway.conversion.usage import Usage, counts_in, usage_at_start, usage_of
from gateway.conversion.visible_text import VisibleText
from gateway.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamRefused
from gateway.wire import jsontext, messages, sse
from gateway.wire.messages import Event

JSONObject = dict[str, Any]


class MessageStream:
    """One streamed answer. `feed` and `finish` never raise: they return what came before a failure."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._ledger = ledger
        self._decoder = sse.Decoder()
        self._writer = AnswerWriter(context, ledger)
        carrier = self._writer.carrier
        self._note = None if carrier.idle else carrier.note
        filters = VisibleText(context)
        self._filters = None if filters.plain else filters
        self._read = reasoning.Reader(context.profile.reasoning_in).read
        self._refusal: list[str] = []
        self._finish: Finish | None = None
        self._sequence: str | None = None
        self._counts: JSONObject | None = None
        self._tier: object = None
        self._ends_with_usage = False  # the latest chunk was nothing but usage
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self.chunks = 0
        self.skipped = 0  # data that was neither a chunk nor an error

    # What the caller sees

    @property
    def started(self) -> bool:
        """message_start was returned: an HTTP error is no longer possible."""
        state = self._writer.state
        return not (state is IDLE or (type(state) is Failed and state.before_start))

    @property
    def done(self) -> bool:
        """Nothing more is read: the message is complete, or failed. Close the upstream."""
        return self._writer.state.over

    @property
    def failure(self) -> GatewayError | None:
        """What ended the answer early: raise it when not `started`, else send `fail(...)`."""
        state = self._writer.state
        return state.error if type(state) is Failed else None

    @property
    def awaiting_trailer(self) -> bool:
        """The model has finished, only usage may still come: wait a few seconds, then call `finish`."""
        return self._finish is not None and not self.done

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
    def text_length(self) -> int:
        """Characters of visible text."""
        return self._writer.output.text_length

    @property
    def thinking_length(self) -> int:
        """Characters of reasoning, shown or not."""
        return self._writer.output.thinking_length

    # What the caller does

    def start(self) -> list[Event]:
        """Start the message before the upstream says anything (section 6.2); later calls give nothing."""
        self._writer.start(usage_at_start(None, self._context))
        return self._writer.taken()

    def keepalive(self) -> list[Event]:
        """An empty delta, for clients for which pings are no sign of life; opens a block if none is open."""
        self._writer.start(usage_at_start(None, self._context))
        self._writer.keepalive()
        return self._writer.taken()

    def feed(self, data: bytes) -> list[Event]:
        """Upstream bytes, cut anywhere -> events."""
        try:
            for event in self._decoder.feed(data):
                if self._writer.state.over:
                    break
                self._event(event)
        except (sse.EventTooLong, MalformedArguments) as problem:
            self._writer.fail(_broken(problem))
        return self._writer.taken()

    def finish(self) -> list[Event]:
        """The upstream closed the connection, or nothing came behind the finish reason for long enough."""
        try:
            for event in self._decoder.flush():
                if self.done:
                    break
                self._event(event, cut=True)
            if not self.done:
                self._upstream_ended(told=False)
        except (sse.EventTooLong, MalformedArguments) as problem:
            self._writer.fail(_broken(problem))
        return self._writer.taken()

    def fail(self, error: GatewayError, request_id: str) -> list[Event]:
        """End the answer with an error that the stream (`failure`) or the caller (timeout, reset) found.

        Gives the one error event when the message was started, else nothing: the
        error can be an HTTP error then. The first error stays, and a complete
        message cannot fail any more. Call it once.
        """
        self._writer.fail(error)
        failure = self.failure
        if failure is None or not self.started:
            return []
        return [messages.error_event(failure.body(request_id))]

    # Server events and chunks

    def _event(self, event: sse.ServerEvent, *, cut: bool = False) -> None:
        if event.data == sse.DONE:
            self._upstream_ended(told=True)
            return
        try:
            chunk = jsontext.loads(event.data)
        except jsontext.InvalidJSON:
            if event.data.strip() == sse.DONE:
                self._upstream_ended(told=True)
                return
            chunk = _loaded_leniently(event.data)
        if event.name == "error":
            self._error(upstream_errors.named_error(chunk, event.data, self._context))
        elif type(chunk) is dict:
            self._chunk(chunk)
        elif chunk is None and not cut and self._finish is None and event.data.lstrip().startswith(b"{"):
            # a chunk that cannot be read: what was in it is lost, so this is no whole answer any more
            self._error(UpstreamBroken("upstream sent malformed stream data"))
        else:
            self.skipped += 1

    def _chunk(self, chunk: JSONObject) -> None:
        choices = chunk.get("choices")
        if not choices or "error" in chunk:
            error = upstream_errors.error_inside(chunk, self._context)
            if error is not None:
                self._error(error)
                return
        self.chunks += 1
        choice = _first_choice(choices)
        if chunk.get("usage") or "x_groq" in chunk or (choice is not None and "usage" in choice):
            self._counts = counts_in(chunk, choice) or self._counts
            self._tier = chunk.get("service_tier", self._tier)
        if choice is not None:
            self._choice(choice)
            return
        self._begin()
        if not choices and chunk.get("usage"):
            self._ends_with_usage = True
            if self._finish is not None:
                self._complete()

    def _choice(self, choice: JSONObject) -> None:
        finish = stops.finish_of(choice) if choice.get("finish_reason") else None
        error = None if finish is None else stops.failure_of(finish)
        if error is not None:
            self._error(error)
            return
        if self._writer.state is IDLE:
            self._begin()
        self._ends_with_usage = False
        delta = choice.get("delta") or choice.get("message")
        if type(delta) is dict:
            self._delta(delta)
        if finish is not None:
            self._finish = stops.stronger(self._finish, finish)
            self._sequence = self._sequence or stops.matched_sequence(choice, self._context)

    def _delta(self, delta: JSONObject) -> None:
        """Within a chunk: reasoning, then content, then tool calls."""
        writer = self._writer
        if self._note is not None:
            self._note(delta)
        thinking, place, visible = self._read(delta)
        if thinking:
            writer.thinking(thinking, place)
        elif self._note is not None and writer.carrier.loaded and writer.empty:
            writer.thinking("", "")  # encrypted reasoning has its place in front, too
        if visible:
            if self._filters is None:
                writer.text(visible)
            else:
                self._filtered(self._filters.feed(visible))
                if self._filters.matched is not None:
                    self._complete()
                    return
            if len(delta) == 1:
                return
        pieces = pieces_of(delta)
        if pieces:
            if self._filters is not None:
                self._filtered(self._filters.flush())
            for piece in pieces:
                writer.fragment(piece)
            if len(delta) == 1:
                return
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            self._refusal.append(refusal)
        if delta.get("annotations"):
            self._cite(delta)

    def _filtered(self, split: tuple[str, str]) -> None:
        thinking, text = split
        if thinking:
            self._writer.thinking(thinking, reasoning.TAGGED)
        if text:
            self._writer.text(text)

    def _cite(self, delta: JSONObject) -> None:
        found = citations_of(delta, self._writer.output.whole_text, self._context, self._ledger)
        if found and not self._writer.cite(found):
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    # Begin and end

    def _begin(self) -> None:
        if self._writer.state is IDLE:
            self._writer.start(usage_at_start(self._counts, self._context))

    def _upstream_ended(self, *, told: bool) -> None:
        """`told`: the upstream said [DONE]; else its connection ended."""
        if not self.chunks:
            self._writer.fail(UpstreamBroken("upstream returned no valid stream data"))
        elif told or self._finish is not None or self._ends_with_usage:
            self._complete()
        else:
            self._writer.fail(UpstreamBroken("upstream closed the stream before the response was complete"))

    def _complete(self, *, explanation: str = "") -> None:
        """Write what waits, say why it ended and what it cost. `explanation`: of a content filter."""
        writer = self._writer
        matched = None
        if self._filters is not None:
            if self._filters.matched is None:
                self._filtered(self._filters.flush())
            matched = self._filters.matched
        finish = Finish.STOP if matched else self._finish
        refusal = "".join(self._refusal)
        if refusal and not writer.output.text_length:
            writer.text(refusal)
        if not writer.drain(cut=finish is Finish.LENGTH, filtered=finish is Finish.FILTERED):
            writer.fail(UpstreamBroken("upstream returned a tool call without a name"))
            return
        self._usage = self._usage_now(self._ledger)
        self._stop = stops.stop_of(
            finish,
            called=bool(writer.tool_names),
            refusal=refusal or explanation,
            sequence=matched or self._sequence,
            usage=self._usage,
            context=self._context,
            ledger=self._ledger,
        )
        writer.end(self._stop, self._usage)

    def _error(self, error: UpstreamError) -> None:
        """The upstream sent an error. A content filter is no failure: the message ends as refused."""
        if not isinstance(error, UpstreamRefused):
            self._writer.fail(error)
            return
        self._begin()
        self._finish = Finish.FILTERED
        self._complete(explanation=error.explanation)

    def _usage_now(self, ledger: Ledger) -> Usage:
        return usage_of(self._counts, self._context, self._writer.output, ledger, tier=self._tier)


def _first_choice(choices: object) -> JSONObject | None:
    """The choice with index 0; a provider that was not asked for others may send some all the same."""
    if type(choices) is list:
        for choice in choices:
            if type(choice) is dict and choice.get("index") in (0, None):
                return choice
    return None


def _loaded_leniently(data: bytes) -> object:
    """Data with broken UTF-8 inside; None when it is no JSON even so."""
    try:
        return jsontext.loads(data.decode("utf-8", "replace"))
    except jsontext.InvalidJSON:
        return None


def _broken(problem: Exception) -> UpstreamBroken:
    if isinstance(problem, MalformedArguments):
        return UpstreamBroken("upstream sent malformed tool arguments")
    return UpstreamBroken(str(problem))
