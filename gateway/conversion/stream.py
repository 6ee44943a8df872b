"""MessageStream: a streamed chat completion in, the events of one message out (specification section 6).

A chat completion streams three things side by side: reasoning, content, and
fragments of any number of tool calls, told apart by an index and free to
interleave. A Messages stream is one sequence of blocks, numbered from 0, and
only one of them is open at a time. So the conversion is a queue with one writer:

    what arrives for the open block is sent at once;
    what arrives for another block waits until the open one is finished.

Thinking and text are finished as soon as something else arrives. A tool call is
finished when its arguments are one whole JSON object: it must not be closed
earlier, and while it is open nothing else may be sent, so everything behind it
waits in the order of its arrival.

The state is one of these values:

    Idle         nothing was sent; a failure can still become an HTTP error
    Started      message_start was sent, no block is open
    Open(block)  a block is open
    Done         message_stop was sent
    Failed       an error ends the answer; `fail` says so to the client

and this is what each arrival does to it (blank text: only white space):

                 reasoning       text            call fragment    blank text     end
    Idle         start, then as Started in every column                          failure
    Started      open thinking   open text       open tool        hold           finish
    thinking     delta           next            next             hold           close, finish
    text         next            delta           next             delta          close, finish
    whole tool   next            next            next             drop           close, finish
    other tool   wait            wait            delta or wait    drop           close, finish

"next" closes the block and opens the new one. A call whose name is still unknown
waits at the head of the queue without being open. Blank text that was held is
sent in front of the next text, or never: an empty text block helps nobody.
Leaving the state Open is where a block says its last word: the signature of
thinking, `{}` or repaired arguments of a call.

finish means: message_delta with stop reason and usage, then message_stop. The
finish reason alone does not finish: usage comes behind it. What does is `[DONE]`,
a chunk with only usage, the end of the connection, or the caller's patience.
An end without any of these words is a cut answer and never looks like a whole one.

Nothing here reads a clock or a socket. The caller feeds bytes, sends the events,
and asks `failure` and `done` after each step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from gateway.conversion import reasoning, stops, upstream_errors
from gateway.conversion.answer_blocks import Block, CallTable, TextBlock, ThinkingBlock, ToolBlock
from gateway.conversion.citations import citations_of
from gateway.conversion.context import AnswerContext
from gateway.conversion.envelope import NO_EDITS, envelope
from gateway.conversion.ledger import Ledger
from gateway.conversion.output import Output
from gateway.conversion.stops import Finish, Stop
from gateway.conversion.tool_args import MalformedArguments
from gateway.conversion.tool_calls import CallBlocks, CallPiece, pieces_of
from gateway.conversion.usage import Usage, counts_in, usage_at_start, usage_of
from gateway.conversion.visible_text import VisibleText
from gateway.errors import GatewayError, UpstreamBroken, UpstreamRefused
from gateway.wire import jsontext, messages, sse
from gateway.wire.messages import Event

JSONObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Started:
    """The message was started; no block is open."""


@dataclass(frozen=True, slots=True)
class Open:
    """`block` is being written, at position `index` of the message."""

    index: int
    block: Block


@dataclass(frozen=True, slots=True)
class Done:
    """The message is complete."""


@dataclass(frozen=True, slots=True)
class Failed:
    """`error` ends the answer; `before_start`: nothing was sent."""

    error: GatewayError
    before_start: bool


State = Idle | Started | Open | Done | Failed

IDLE: Final = Idle()
STARTED: Final = Started()
DONE: Final = Done()


class MessageStream:
    """One streamed answer. `feed` and `finish` never raise; they return what came before a failure."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._ledger = ledger
        self._decoder = sse.Decoder()
        self._state: State = IDLE
        self._queue: deque[Block] = deque()
        self._blocks = 0  # how many were opened: the index of the next one
        self._held = ""  # blank text that waits for text
        self._calls = CallTable()
        self._call_blocks = CallBlocks(context, ledger)
        self._surplus: set[int] = set()
        self._carrier = reasoning.Carrier(context, ledger)
        self._note = None if self._carrier.idle else self._carrier.note
        filters = VisibleText(context)
        self._filters = None if filters.plain else filters
        self._places = context.profile.reasoning_in
        self._shown = context.thinking_shown
        self._output = Output(keep_text=context.web_search_active)
        self._refusal: list[str] = []
        self._finish: Finish | None = None
        self._sequence: str | None = None
        self._counts: JSONObject | None = None
        self._tier: object = None
        self._told_usage = False  # the latest chunk was nothing but usage
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self.skipped = 0  # data which was neither a chunk nor an error

    # What the caller sees

    @property
    def started(self) -> bool:
        """message_start was returned: an HTTP error is no longer possible."""
        state = self._state
        return not (state is IDLE or (type(state) is Failed and state.before_start))

    @property
    def done(self) -> bool:
        """Nothing more is read: the message is complete or failed. Close the upstream."""
        return type(self._state) is Done or type(self._state) is Failed

    @property
    def failure(self) -> GatewayError | None:
        """What ended the answer early: raise it when not `started`, else send `fail(...)`."""
        return self._state.error if type(self._state) is Failed else None

    @property
    def awaiting_trailer(self) -> bool:
        """The model has finished; only usage may still come. Wait a few seconds, then call `finish`."""
        return (self._finish is not None) and not self.done

    @property
    def stop_reason(self) -> str | None:
        """Anthropic's stop reason, once the message is complete."""
        return self._stop.reason if self._stop else None

    @property
    def usage(self) -> Usage:
        """The numbers of the answer so far: the upstream's, or estimates."""
        return self._usage or usage_of(self._counts, self._context, self._output, Ledger(), tier=self._tier)

    @property
    def usage_estimated(self) -> bool:
        """Some number of `usage` is our estimate."""
        return self.usage.estimated

    @property
    def tool_names(self) -> list[str]:
        """The tools called, in the client's words."""
        return self._call_blocks.names

    @property
    def text_length(self) -> int:
        """Characters of visible text."""
        return self._output.text_length

    @property
    def thinking_length(self) -> int:
        """Characters of reasoning, shown or not."""
        return self._output.thinking_length

    def start(self) -> list[Event]:
        """Start the message before the upstream says anything (section 6.2); later calls give nothing."""
        out: list[Event] = []
        if self._state is IDLE:
            self._start(out)
        return out

    def feed(self, data: bytes) -> list[Event]:
        """Upstream bytes, cut anywhere -> events."""
        out: list[Event] = []
        try:
            for event in self._decoder.feed(data):
                if self.done:
                    break
                self._event(event, out)
        except sse.EventTooLong as problem:
            self._failed(UpstreamBroken(str(problem)))
        except MalformedArguments:
            self._failed(UpstreamBroken("upstream sent malformed tool arguments"))
        return out

    def finish(self) -> list[Event]:
        """The upstream closed the connection, or nothing came after the finish reason for long enough."""
        out: list[Event] = []
        try:
            for event in self._decoder.flush():
                if not self.done:
                    self._event(event, out)
            if not self.done:
                self._end_of_upstream(out)
        except sse.EventTooLong as problem:
            self._failed(UpstreamBroken(str(problem)))
        except MalformedArguments:
            self._failed(UpstreamBroken("upstream sent malformed tool arguments"))
        return out

    def fail(self, error: GatewayError, request_id: str) -> list[Event]:
        """End the answer with an error, found by the stream (`failure`) or by the caller (timeout, reset).

        Gives the one error event when the message was started, else nothing:
        then the error can still be an HTTP error. A complete message cannot fail.
        """
        self._failed(error)
        if type(self._state) is not Failed or self._state.before_start:
            return []
        return [messages.error_event(self._state.error.body(request_id))]

    def keepalive(self) -> list[Event]:
        """An empty delta, for clients for which pings are no sign of life; opens a block if none is open."""
        out = self.start()
        if self._state is STARTED:
            self._open(self._thinking_block() if self._shown else TextBlock(), out)
        state = self._state
        if type(state) is Open:
            out.append(state.block.nothing(state.index))
        return out

    # Events and chunks of the upstream

    def _event(self, event: sse.ServerEvent, out: list[Event]) -> None:
        if event.data == sse.DONE:
            self._end_of_upstream(out, told=True)
            return
        try:
            chunk = jsontext.loads(event.data)
        except jsontext.InvalidJSON:
            chunk = _loaded_leniently(event.data)
        if event.name == "error":
            self._error(upstream_errors.named_error(chunk, event.data, self._context), out)
        elif type(chunk) is dict:
            self._chunk(chunk, out)
        else:
            self.skipped += 1

    def _chunk(self, chunk: JSONObject, out: list[Event]) -> None:
        choices = chunk.get("choices")
        if not choices or chunk.get("error"):
            error = upstream_errors.error_inside(chunk, self._context)
            if error is not None:
                self._error(error, out)
                return
        choice = _first_choice(choices)
        if chunk.get("usage") or "x_groq" in chunk or (choice is not None and "usage" in choice):
            self._counts = counts_in(chunk, choice) or self._counts
            self._tier = chunk.get("service_tier", self._tier)
        if choice is None:
            self._usage_only(chunk, out)
            return
        finish = stops.finish_of(choice)
        error = stops.failure_of(finish)
        if error is not None:
            self._failed(error)
            return
        if self._state is IDLE:
            self._start(out)
        self._told_usage = False
        delta = choice.get("delta") or choice.get("message")
        if type(delta) is dict:
            self._delta(delta, out)
        if finish is not None and not self.done:
            self._finish = stops.stronger(self._finish, finish)
            self._sequence = self._sequence or stops.matched_sequence(choice, self._context)

    def _usage_only(self, chunk: JSONObject, out: list[Event]) -> None:
        if chunk.get("choices"):
            return  # another choice than the first
        if self._state is IDLE:
            self._start(out)
        self._told_usage = self._told_usage or bool(chunk.get("usage"))
        if self._finish is not None and self._told_usage:
            self._complete(self._finish, out)

    def _delta(self, delta: JSONObject, out: list[Event]) -> None:
        """Within a chunk: reasoning, then content, then tool calls."""
        if self._note is not None:
            self._note(delta)
        thinking, place, visible = reasoning.read(delta, self._places)
        if thinking:
            self._reasoning(thinking, place, out)
        elif self._note is not None and self._carrier.loaded and self._shown and not self._blocks:
            self._reasoning("", "", out)  # encrypted reasoning has its place in front, too
        if visible:
            if self._filters is None:
                self._text(visible, out)
            else:
                self._filtered(self._filters.feed(visible), out)
                if self._filters.matched is not None:
                    self._complete(Finish.STOP, out)
                    return
        if len(delta) > 1 or not visible:
            if "tool_calls" in delta or "function_call" in delta:
                for piece in pieces_of(delta):
                    self._fragment(piece, out)
            refusal = delta.get("refusal")
            if refusal and isinstance(refusal, str):
                self._refusal.append(refusal)
            if "annotations" in delta:
                self._citations(delta)

    # The facets of a chunk

    def _reasoning(self, thinking: str, place: str, out: list[Event]) -> None:
        self._output.thinking(thinking)
        if not self._shown:
            self._carrier.not_shown()
            return
        self._carrier.said(thinking, place)
        state = self._state
        if type(state) is Open and type(state.block) is ThinkingBlock and not self._queue:
            if thinking and not self._context.thinking_omitted:
                out.append(messages.thinking_delta(state.index, thinking))
            return
        last = self._queue[-1] if self._queue else None
        block = last if isinstance(last, ThinkingBlock) else self._thinking_block()
        if thinking:
            block.waiting.append(thinking)
        if block is not last:
            self._queue.append(block)
        self._advance(out)

    def _text(self, text: str, out: list[Event]) -> None:
        state = self._state
        if type(state) is Open and type(state.block) is TextBlock and not self._queue:
            if self._held:
                text, self._held = self._held + text, ""
            self._output.text(text)
            out.append(messages.text_delta(state.index, text))
            return
        last = self._queue[-1] if self._queue else None
        if isinstance(last, TextBlock):
            last.waiting.append(text)
        elif text.isspace():
            if not self._queue and not (type(state) is Open and type(state.block) is ToolBlock):
                self._held += text
            return
        else:
            text, self._held = self._held + text, ""
            block = TextBlock()
            block.waiting.append(text)
            self._queue.append(block)
        self._output.text(text)
        self._advance(out)

    def _filtered(self, pieces: tuple[str, str], out: list[Event]) -> None:
        thinking, text = pieces
        if thinking:
            self._reasoning(thinking, reasoning.TAGGED, out)
        if text:
            self._text(text, out)

    def _fragment(self, piece: CallPiece, out: list[Event]) -> None:
        block = self._calls.find(piece)
        if block is None:
            block = self._new_call(piece, out)
        else:
            self._calls.touch(piece, block)
        if id(block) in self._surplus:
            return
        text = block.take(piece)
        self._output.call(piece.name, text)
        state = self._state
        if type(state) is Open and state.block is block:
            if text:
                out.extend(block.forward(state.index, text))
        else:
            if text:
                block.waiting.append(text)
            self._advance(out)

    def _new_call(self, piece: CallPiece, out: list[Event]) -> ToolBlock:
        block = ToolBlock(self._context, self._call_blocks)
        if self._context.tools.single_call and self._calls.any:
            self._surplus.add(id(block))
            self._call_blocks.surplus()
        else:
            if self._filters is not None:
                self._filtered(self._filters.flush(), out)
            self._held = ""
            for earlier in self._queue:
                if isinstance(earlier, ToolBlock):
                    earlier.settle()
            self._queue.append(block)
        self._calls.add(piece, block)
        return block

    def _citations(self, delta: JSONObject) -> None:
        found = citations_of(delta, self._output.whole_text, self._context, self._ledger)
        state = self._state
        if found and type(state) is Open and isinstance(state.block, TextBlock):
            state.block.citations.extend(found)
        elif found:
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    # The queue and the writer

    def _advance(self, out: list[Event]) -> None:
        """Open what waits, as far as the open block allows."""
        while self._queue and self._queue[0].ready:
            if type(self._state) is Open and not self._state.block.finished:
                return
            self._open(self._queue.popleft(), out)

    def _open(self, block: Block, out: list[Event]) -> None:
        self._close(out)
        index = self._blocks
        self._blocks += 1
        self._state = Open(index, block)
        out.append(messages.block_start(index, block.content_block()))
        out.extend(block.opened(index))

    def _close(self, out: list[Event]) -> None:
        state = self._state
        if type(state) is Open:
            out.extend(state.block.ending(state.index, self._finish))
            out.append(messages.block_stop(state.index))
            self._state = STARTED

    def _thinking_block(self) -> ThinkingBlock:
        return ThinkingBlock(self._carrier, omitted=self._context.thinking_omitted)

    # Start and end

    def _start(self, out: list[Event]) -> None:
        usage = usage_at_start(self._counts, self._context)
        out.append(messages.message_start(envelope(self._context, [], None, usage.at_start())))
        out.append(messages.PING)
        self._state = STARTED

    def _end_of_upstream(self, out: list[Event], *, told: bool = False) -> None:
        """`told`: the upstream said [DONE]."""
        if self._state is IDLE or (not told and self._finish is None and not self._told_usage):
            cut = "upstream closed the stream before the response was complete"
            self._failed(
                UpstreamBroken("upstream returned no valid stream data" if self._state is IDLE else cut)
            )
        else:
            self._complete(self._finish, out)

    def _complete(self, finish: Finish | None, out: list[Event]) -> None:
        """Close what is open, send what waits, and end the message."""
        if self._filters is not None and self._filters.matched is None:
            self._filtered(self._filters.flush(), out)
        sequence = self._sequence if self._filters is None else self._filters.matched or self._sequence
        if self._filters is not None and self._filters.matched is not None:
            finish = Finish.STOP
        self._finish = finish
        self._drain(out)
        if self.done:
            return
        refusal = "".join(self._refusal)
        if refusal and not self._output.text_length:
            self._text(refusal, out)
        if (
            self._shown
            and self._carrier.loaded
            and not (type(self._state) is Open and isinstance(self._state.block, ThinkingBlock))
        ):
            self._open(self._thinking_block(), out)
        self._close(out)
        self._usage = usage = usage_of(
            self._counts, self._context, self._output, self._ledger, tier=self._tier
        )
        self._end(
            stops.stop_of(
                finish,
                called=bool(self.tool_names),
                refusal=refusal,
                sequence=sequence,
                usage=usage,
                context=self._context,
                ledger=self._ledger,
            ),
            usage,
            out,
        )

    def _drain(self, out: list[Event]) -> None:
        nameless = 0
        while self._queue:
            block = self._queue.popleft()
            if isinstance(block, ToolBlock):
                block.settle()
                if not block.ready:
                    self._call_blocks.nameless()
                    nameless += 1
                    continue
            if isinstance(block, ToolBlock) and self._finish is Finish.FILTERED and not block.whole:
                self._call_blocks.cut_off()
                continue
            self._open(block, out)
        if nameless and not self._blocks:
            self._failed(UpstreamBroken("upstream returned a tool call without a name"))

    def _end(self, stop: Stop, usage: Usage, out: list[Event]) -> None:
        delta: JSONObject = {"stop_reason": stop.reason, "stop_sequence": stop.sequence}
        if stop.details is not None:
            delta["stop_details"] = stop.details
        more = {"context_management": NO_EDITS} if self._context.report_context_management else {}
        out.append(messages.message_delta(delta, usage.at_end(), **more))
        out.append(messages.MESSAGE_STOP)
        self._stop = stop
        self._state = DONE

    def _error(self, error: GatewayError, out: list[Event]) -> None:
        """An error object in the stream. A content filter is no failure: the message ends as refused."""
        if not isinstance(error, UpstreamRefused):
            self._failed(error)
            return
        out.extend(self.start())
        self._refusal.append(error.explanation)
        self._complete(Finish.FILTERED, out)

    def _failed(self, error: GatewayError) -> None:
        if not self.done:
            self._state = Failed(error, before_start=self._state is IDLE)
            self._queue.clear()


def _first_choice(choices: object) -> JSONObject | None:
    """The choice with index 0; a provider that was not asked for others may send some all the same."""
    if not isinstance(choices, list):
        return None
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
