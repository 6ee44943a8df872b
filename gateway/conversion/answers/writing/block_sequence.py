"""BlockSequence: the blocks of one message, written one at a time.

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

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from gateway.conversion.answers.output import Output
from gateway.conversion.answers.reasoning import Carrier
from gateway.conversion.answers.writing.block_writers import Block, TextBlock, ThinkingBlock, ToolBlock
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.arguments import CallEnding
from gateway.errors import GatewayError
from gateway.wire import messages
from gateway.wire.messages import Sent

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


class BlockSequence:
    """The state of a message being written; `taken` gives the events so far."""

    __slots__ = ("_context", "_events", "_next", "_queue", "carrier", "output", "send", "state")

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._events: list[Sent] = []
        # a delta of the open block, as it is written; whoever sends it has told `output`
        self.send: Callable[[bytes], None] = self._events.append
        self._queue: list[Block] = []
        self._next = 0  # index of the next block
        self.carrier = Carrier(context, ledger)
        self.output = Output()
        self.state: State = IDLE

    def taken(self) -> list[Sent]:
        """The events since the last call."""
        events = self._events[:]
        self._events.clear()
        return events

    @property
    def empty(self) -> bool:
        """No block was opened."""
        return self._next == 0

    @property
    def waits(self) -> bool:
        """Something waits behind the open block."""
        return bool(self._queue)

    def keepalive(self) -> None:
        """An empty delta; without an open block the one that is likely to come is opened for it."""
        if self.state is STARTED:
            self._open(self._thinking_block() if self._context.thinking_shown else TextBlock())
        state = self.state
        if type(state) is Open:
            self._events.append(state.block.nothing(state.index))

    def fail(self, error: GatewayError) -> None:
        """Any state but Done -> Failed; the first error stays."""
        if not self.state.over:
            self.state = AnswerFailed(error, before_start=self.state is IDLE)
            self._queue.clear()

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
            self._close(CallEnding.OVER)

    def _open(self, block: Block, ending: CallEnding = CallEnding.OVER) -> None:
        self._close(ending)
        if type(block) is ToolBlock:
            block.unwrap()
            self.output.names.append(block.name)
        index, self._next = self._next, self._next + 1
        self.state = Open(index, block)
        self._events.append(messages.block_start(index, block.content_block()))
        self._events += block.opened(index)

    def _close(self, ending: CallEnding) -> None:
        state = self.state
        if type(state) is Open:
            self._events += state.block.ending(state.index, ending)
            self._events.append(messages.block_stop(state.index))
            self.state = STARTED

    def _thinking_block(self) -> ThinkingBlock:
        return ThinkingBlock(self.carrier, omitted=self._context.thinking_omitted)
