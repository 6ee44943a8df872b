"""AnswerWriter: the blocks of one message, written one at a time.

What arrives for the open block is sent at once; what arrives for another block
waits in a queue until the open one is finished. Thinking and text are finished
as soon as something else arrives. A tool call is finished when its arguments are
one whole JSON object: it must not be closed earlier, and while it is open nothing
else may be sent, so everything behind it waits in the order of its arrival.

The state is one of these values:

    Idle         nothing was sent; a failure can still become an HTTP error
    Started      message_start was sent, no block is open
    Open(block)  a block is open
    Done         message_stop was sent
    Failed       an error ended the answer

and this is what each arrival does to it (blank text: only white space):

                 reasoning       text            call fragment    blank text     end
    Idle         the message is started first, then as Started
    Started      open thinking   open text       open tool        hold           finish
    thinking     delta           next            next             hold           close, finish
    text         next            delta           next             delta          close, finish
    whole tool   next            next            next             drop           close, finish
    other tool   wait            wait            delta or wait    drop           close, finish

"next" closes the block and opens the new one. A call whose name is still unknown
waits at the head of the queue without being open. Blank text that was held is
sent in front of the next text, or never: an empty text block helps nobody.
Leaving Open is where a block says its last word: the signature of thinking, the
`{}` or the repaired arguments of a call.

See docs/conversion.md, "From chunks to blocks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion.answers.block_writers import Block, ServerBlock, TextBlock, ThinkingBlock, ToolBlock
from gateway.conversion.answers.call_table import CallTable, repeated
from gateway.conversion.answers.message import NO_EDITS, envelope
from gateway.conversion.answers.output import Output
from gateway.conversion.answers.reasoning import Carrier
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.usage import Usage
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tokens.client_window import scaled
from gateway.conversion.tool_calls.answer_calls import CallBlocks, CallPiece
from gateway.conversion.tool_calls.object_reader import (
    Completeness,
    MalformedArguments,
    is_placeholder,
    without_placeholders,
)
from gateway.errors import GatewayError
from gateway.wire import messages
from gateway.wire.messages import JSONObject, Sent

B = TypeVar("B", TextBlock, ThinkingBlock, ToolBlock)


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was sent."""

    over: ClassVar = False


@dataclass(frozen=True, slots=True)
class Started:
    """The message was started; no block is open."""

    over: ClassVar = False


@dataclass(frozen=True, slots=True)
class Open:
    """`block` is being written, at position `index` of the message."""

    over: ClassVar = False

    index: int
    block: Block


@dataclass(frozen=True, slots=True)
class Done:
    """The message is complete."""

    over: ClassVar = True


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """`error` ended the answer; `before_start`: nothing was sent."""

    over: ClassVar = True

    error: GatewayError
    before_start: bool


State = Idle | Started | Open | Done | AnswerFailed

IDLE: Final = Idle()
STARTED: Final = Started()
DONE: Final = Done()


class AnswerWriter:
    """Takes what an answer says in the order of its arrival; `taken` gives the events so far.

    `text`, `thinking`, `fragment` and `drain` raise MalformedArguments when the
    arguments of a call cannot become a JSON object any more.
    """

    __slots__ = (
        "_calls",
        "_context",
        "_events",
        "_held",
        "_next",
        "_queue",
        "_surplus",
        "_table",
        "_unshown",
        "carrier",
        "output",
        "send",
        "state",
    )

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._events: list[Sent] = []
        # a delta of the open block, as it is written; whoever sends it has told `output`
        self.send: Callable[[bytes], None] = self._events.append
        self._queue: list[Block] = []
        self._next = 0  # index of the next block
        self._held = ""  # blank text that waits for text
        self._table = CallTable()
        self._calls = CallBlocks(context, ledger)
        self._surplus: dict[ToolBlock, None] = {}
        self._unshown: list[JSONObject] = []  # sealed data of reasoning that is not shown
        self.carrier = Carrier(context, ledger)
        self.output = Output()
        self.state: State = IDLE

    def taken(self) -> list[Sent]:
        """The events since the last call."""
        events = self._events[:]
        self._events.clear()
        return events

    @property
    def tool_names(self) -> list[str]:
        return self._calls.names

    @property
    def empty(self) -> bool:
        """No block was opened."""
        return self._next == 0

    @property
    def waits(self) -> bool:
        """Something waits behind the open block."""
        return bool(self._queue)

    @property
    def shows_thinking(self) -> bool:
        """The client gets the text of an open thinking block."""
        return not self._context.thinking_omitted

    def is_of(self, piece: CallPiece, block: ToolBlock) -> bool:
        """Whether a fragment belongs to this call."""
        return self._table.judge(piece).call is block and block not in self._surplus

    # What an answer says

    def start(self, usage: Usage) -> None:
        """Idle -> Started."""
        if self.state is IDLE:
            told = scaled(usage.at_start(), self._context.usage_scale)
            start = envelope(self._context, [], None, told)
            self._events += (messages.message_start(start), messages.PING)
            self.state = STARTED
            for block in self._context.leading:
                self.server_block(block)

    def thinking(self, text: str, place: str) -> None:
        """Reasoning; an empty text makes room for what only the signature carries."""
        self.output.thinking(text)
        if not self._context.thinking_shown:
            if text:
                self.carrier.not_shown()
            return
        self.carrier.said(text, place)
        state = self.state
        if type(state) is Open and type(state.block) is ThinkingBlock and not self._queue:
            if text and not self._context.thinking_omitted:
                self._events.append(messages.thinking_delta(state.index, text))
            return
        last = self._queue[-1] if self._queue else None
        block = last if type(last) is ThinkingBlock and not last.ended else self._thinking_block()
        if text:
            block.waiting.append(text)
        if block is not last:
            self._queue.append(block)
        self._advance()

    def text(self, text: str) -> None:
        """Visible text."""
        state = self.state
        if type(state) is Open and type(state.block) is TextBlock and not self._queue:
            if self._held:
                text, self._held = self._held + text, ""
            self.output.text(text)
            self._events.append(messages.text_delta(state.index, text))
            return
        last = self._queue[-1] if self._queue else None
        if type(last) is TextBlock and not last.ended:
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
        self.output.text(text)
        self._advance()

    def fragment(self, piece: CallPiece) -> None:
        """A tool call, or a piece of one."""
        verdict = self._table.judge(piece)
        block = verdict.call
        if block is None:
            block = self._new_call(piece, verdict.repeats)
        else:
            self._table.note(piece, block)
        if verdict.odd:
            self._calls.assembled()
        self._say(block, block.take(piece))

    def told_again(self, pieces: Iterable[CallPiece], *, placed: bool = False) -> None:
        """Calls as a whole, each for the first time or once more: what has not come yet is taken.

        `placed`: as for `CallTable.told_already`.
        Raises MalformedArguments when one says another thing than what has come.
        """
        told: list[ToolBlock] = []
        for piece in pieces:
            block = self._table.told_already(piece, told, placed=placed)
            if block is None:
                if self._table.contradicted(piece, told, placed=placed):
                    raise MalformedArguments
                block = self._new_call(piece, None)
                self._say(block, block.take(piece))
            else:
                self._table.note(piece, block)
                self._say(block, block.rest_of(block.take(piece)))
            told.append(block)

    def more(self, block: ToolBlock, text: str) -> None:
        """What came behind the arguments of a call: the next call of the same tool, or nothing."""
        while text:
            if is_placeholder(text):
                self._calls.placeholder()
                return
            piece = CallPiece(block.key, "", "", text, False, {})
            verdict = self._table.judge(piece)
            block = verdict.call or self._new_call(piece, verdict.repeats)
            text = self._said(block, block.take(piece))

    def _say(self, block: ToolBlock, text: str) -> None:
        """More of the arguments of a call, and of the calls behind it."""
        behind = self._said(block, text)
        if behind:
            self.more(block, behind)

    def _said(self, block: ToolBlock, text: str) -> str:
        """More of the arguments of a call. Gives what is none of it."""
        if text:
            block.said.add(text)
        if block in self._surplus:
            return ""
        state = self.state
        if type(state) is Open and state.block is block:
            sent = block.forwarded(text) if text else ""
            if sent:
                self._events.append(messages.input_json_delta(state.index, sent))
            return block.behind()
        if text:
            block.wait(text)
        behind = block.behind()
        if block.repeats:
            self._settle_repetition(block)
        self._advance()
        return behind

    def end_thinking(self, sealed: JSONObject) -> None:
        """The thinking so far is a block of its own, whose signature also carries `sealed`.

        Thinking that is not shown has no block; what is sealed goes in front of the next call.
        """
        if not self._context.thinking_shown:
            self._unshown.append(sealed)
            return
        block = self._latest(ThinkingBlock)
        if block is not None:
            block.ended, block.sealed = True, sealed
            self._close_ended()

    def end_text(self) -> None:
        """The text so far is a block of its own."""
        block = self._latest(TextBlock)
        if block is not None:
            block.ended = True
            self._close_ended()

    def end_call(self) -> None:
        """The call is whole, so blank text behind it may be the beginning of a text."""
        block = self._latest(ToolBlock)
        if block is not None:
            block.ended = True
            if block.finished:
                self._close_ended()

    def server_block(self, block: JSONObject) -> None:
        """A call of a server tool or its result, as a whole."""
        self._held = ""
        self._queue.append(ServerBlock(block))
        self._advance()

    def cite(self, citations: list[JSONObject]) -> bool:
        """Citations of the open text, sent before it ends; False when no text is open."""
        state = self.state
        if type(state) is not Open or type(state.block) is not TextBlock:
            return False
        state.block.citations += citations
        return True

    def keepalive(self) -> None:
        """An empty delta; without an open block the one that is likely to come is opened for it."""
        if self.state is STARTED:
            self._open(self._thinking_block() if self._context.thinking_shown else TextBlock())
        state = self.state
        if type(state) is Open:
            self._events.append(state.block.nothing(state.index))

    # How it ends

    def drain(self, *, cut: bool, filtered: bool) -> bool:
        """Nothing more comes: write what waits, whole or not.

        `cut`: the token limit ended the answer, so a call may be incomplete.
        `filtered`: the content filter did; incomplete calls are left out then.
        False when a call with arguments has no name, or nothing else is there.
        """
        nameless = lost = False
        while self._queue:
            block = self._queue.pop(0)
            if type(block) is ToolBlock:
                if block.repeats and not self._is_another(block, cut=cut):
                    continue
                block.settle()
                if not block.ready:
                    self._calls.nameless()
                    nameless, lost = True, lost or bool(without_placeholders(block.said.text))
                    continue
                if filtered and not block.whole:
                    self._calls.cut_off()
                    continue
            self._open(block, cut=cut)
        if lost or (nameless and self.empty):
            return False
        state = self.state
        open_thinking = type(state) is Open and type(state.block) is ThinkingBlock
        travels = self._context.thinking_shown or (self.carrier.needed and self.tool_names)
        if self.carrier.loaded and not travels:
            self.carrier.not_shown()
        elif self.carrier.loaded and not open_thinking:
            self._open(self._thinking_block(), cut=cut)
        self._close(cut=cut)
        return True

    def end(self, stop: Stop, usage: Usage) -> None:
        """Started -> Done."""
        delta: JSONObject = {"stop_reason": stop.reason, "stop_sequence": stop.sequence}
        if stop.details is not None:
            delta["stop_details"] = stop.details
        if self._context.safeguard_results is not None:
            delta[RESULTS] = self._context.safeguard_results
        more = {"context_management": NO_EDITS} if self._context.report_context_management else {}
        told = scaled(usage.at_end(), self._context.usage_scale)
        self._events += (messages.message_delta(delta, told, **more), messages.MESSAGE_STOP)
        self.state = DONE

    def fail(self, error: GatewayError) -> None:
        """Any state but Done -> Failed; the first error stays."""
        if not self.state.over:
            self.state = AnswerFailed(error, before_start=self.state is IDLE)
            self._queue.clear()

    # The queue

    def _new_call(self, piece: CallPiece, repeats: ToolBlock | None) -> ToolBlock:
        """Begin a call. `repeats`: it may be a repetition of that one, and has its name and evidence."""
        block = ToolBlock(self._context, self._calls, self.output.call())
        if repeats is not None:
            block.repeats = self._table.like(repeats)
            block.name = piece.name or repeats.name
            piece = piece._replace(key=repeats.key if piece.key is None else piece.key)
            for call_id in repeats.ids:
                self._table.note(piece._replace(call_id=call_id), block)
        if self._context.tools.single_call and self._table.calls:
            self._surplus[block] = None
            self._calls.surplus()
        else:
            self._held = ""
            for earlier in self._queue:
                if type(earlier) is ToolBlock:
                    earlier.settle()
            self._carry_unshown()
            self._queue.append(block)
        self._table.add(piece, block)
        return block

    def _carry_unshown(self) -> None:
        """The provider refuses the next turn of a call without the reasoning that led to it."""
        for sealed in self._unshown:
            thinking = self._thinking_block()
            thinking.ended, thinking.sealed = True, sealed
            self._queue.append(thinking)
        self._unshown.clear()

    def _settle_repetition(self, block: ToolBlock) -> None:
        """When the arguments of a call that may be a repetition are whole, that is known."""
        waits = block in self._queue  # else it is a repetition already
        if waits and block.standing is Completeness.WHOLE and not self._is_another(block, cut=False):
            self._queue.remove(block)

    def _is_another(self, block: ToolBlock, *, cut: bool) -> bool:
        """Whether a call is none that was said already. Raises MalformedArguments when that stays unknown."""
        if block.standing in (Completeness.NOTHING, Completeness.PLACEHOLDER) or repeated(
            block, block.repeats
        ):
            self._calls.repeated()
            return False
        if block.standing is Completeness.PARTIAL and not cut:
            raise MalformedArguments
        self._calls.another()
        block.repeats = []
        block.settle()
        return True

    def _advance(self) -> None:
        """Open what waits, as far as the open block allows."""
        while self._queue and self._queue[0].ready:
            if type(self.state) is Open and not self.state.block.finished:
                return
            self._open(self._queue.pop(0))

    def _latest(self, kind: type[B]) -> B | None:
        """The block that was begun last, if it is of this kind."""
        if self._queue:
            block = self._queue[-1]
        elif type(self.state) is Open:
            block = self.state.block
        else:
            return None
        return block if isinstance(block, kind) else None

    def _close_ended(self) -> None:
        """Close the open block when it has ended; one that waits keeps its place."""
        if not self._queue:
            self._close(cut=False)

    def _open(self, block: Block, *, cut: bool = False) -> None:
        self._close(cut=cut)
        if type(block) is ToolBlock:
            self.output.names.append(block.name)
        index, self._next = self._next, self._next + 1
        self.state = Open(index, block)
        self._events.append(messages.block_start(index, block.content_block()))
        self._events += block.opened(index)

    def _close(self, *, cut: bool) -> None:
        state = self.state
        if type(state) is Open:
            self._events += state.block.ending(state.index, cut=cut)
            self._events.append(messages.block_stop(state.index))
            self.state = STARTED

    def _thinking_block(self) -> ThinkingBlock:
        return ThinkingBlock(self.carrier, omitted=self._context.thinking_omitted)
