"""AnswerWriter: what an answer says, as the blocks of one message.

It decides which block each arrival belongs to; `block_sequence` decides when a block is written, and has the
table of states. Calls are told apart by `call_table`.

See docs/conversion.md, "From chunks to blocks".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion.answers.message import NO_EDITS, envelope
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.usage import Usage
from gateway.conversion.answers.writing.block_sequence import DONE, IDLE, STARTED, BlockSequence, Open
from gateway.conversion.answers.writing.block_writers import (
    ServerBlock,
    TextBlock,
    ThinkingBlock,
    ToolBlock,
)
from gateway.conversion.answers.writing.call_table import CallTable, repeated
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.tokens.client_window import scaled
from gateway.conversion.tool_calls.answer_calls import CallBlocks, CallPiece
from gateway.conversion.tool_calls.arguments import CallEnding
from gateway.conversion.tool_calls.object_reader import (
    Completeness,
    MalformedArguments,
    is_placeholder,
    without_placeholders,
)
from gateway.wire import messages
from gateway.wire.messages import Citation, JSONObject, MessageEnd, ServerToolUse, WebSearchToolResult

# calls of one answer: each is compared with those before it
MOST_CALLS: Final = 500


class TooManyCalls(MalformedArguments):
    """The answer has more than MOST_CALLS calls."""

    def __init__(self) -> None:
        super().__init__(f"more than {MOST_CALLS} tool calls in one answer")


class AnswerWriter(BlockSequence):
    """Takes what an answer says, in the order of its arrival.

    `text`, `thinking`, `fragment` and `drain` raise MalformedArguments when the arguments of a call can no
    longer become a JSON object, and TooManyCalls.
    """

    __slots__ = ("_calls", "_held", "_surplus", "_table", "_unshown")

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        self._held = ""  # blank text that waits for text
        self._table = CallTable()
        self._calls = CallBlocks(context, ledger)
        self._surplus: dict[ToolBlock, None] = {}
        self._unshown: list[JSONObject] = []  # sealed data of reasoning that is not shown

    @property
    def tool_names(self) -> list[str]:
        return self._calls.names

    @property
    def calls(self) -> list[ToolBlock]:
        """The calls that have begun, in this order; some may turn out to be repetitions."""
        return self._table.calls

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
            if not self._queue and not self._in_call:
                self._held += text
            return
        else:
            text, self._held = self._held + text, ""
            block = TextBlock()
            block.waiting.append(text)
            self._go_on()
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

    def told_again(self, pieces: Iterable[CallPiece], *, placed: bool = False) -> list[ToolBlock]:
        """Calls as a whole, each for the first time or once more: what has not come yet is taken.

        Gives the call of each. `placed`: as for `CallTable.told_already`.
        Raises MalformedArguments when one says another thing than what has come.
        """
        told: dict[ToolBlock, None] = {}
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
            told[block] = None
        return list(told)

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

    def end_thinking(self, sealed: JSONObject, *, needed: bool = True) -> None:
        """The thinking so far is a block of its own, whose signature also carries `sealed`.

        When something else was said since, an empty block carries what is `needed`.

        Thinking that is not shown has no block; what is sealed goes in front of the next call.
        """
        if not self._context.thinking_shown:
            self._unshown.append(sealed)
            return
        block = self._latest(ThinkingBlock)
        if (block is None or block.ended) and needed:
            self.thinking("", "")
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

    def end_call(self, *, whole: bool = False) -> None:
        """The provider ends the call, so blank text behind it may be the beginning of a text.

        One without arguments stays open unless it is `whole`: some providers end a call in the same way when
        a limit cut it.
        """
        block = self._latest(ToolBlock)
        if block is not None:
            block.ended, block.followed = True, block.followed or whole
            if whole:
                # of a whole answer nothing opens before its end, and what comes behind must not be joined
                block.settle()
                self._advance()
            if block.finished and (whole or block.standing is Completeness.WHOLE):
                self._close_ended()

    def server_block(self, block: ServerToolUse | WebSearchToolResult) -> None:
        """A call of a server tool or its result, as a whole."""
        self._held = ""
        self._go_on()
        self._queue.append(ServerBlock(block))
        self._advance()

    def cite(self, citations: list[Citation]) -> bool:
        """Citations of the open text, sent before it ends; False when no text is open."""
        state = self.state
        if type(state) is not Open or type(state.block) is not TextBlock:
            return False
        state.block.citations += citations
        return True

    # How it ends

    def drain(self, ending: CallEnding) -> bool:
        """Nothing more comes: write what waits, whole or not. Behind a filter, incomplete calls are left out.

        False when a call with arguments has no name, or nothing else is there.
        """
        nameless = lost = False
        while self._queue:
            block = self._queue.pop(0)
            if type(block) is ToolBlock:
                if block.repeats and not self._is_another(block, ending):
                    continue
                block.settle()
                if not block.ready:
                    self._calls.nameless()
                    nameless, lost = True, lost or bool(without_placeholders(block.said.text))
                    continue
                if ending is CallEnding.FILTER and not block.whole:
                    self._calls.cut_off()
                    continue
            self._open(block, ending)
        if lost or (nameless and self.empty):
            return False
        state = self.state
        open_thinking = type(state) is Open and type(state.block) is ThinkingBlock
        travels = self._context.thinking_shown or (self.carrier.needed and self.tool_names)
        if self.carrier.loaded and not travels:
            self.carrier.not_shown()
        elif self.carrier.loaded and not open_thinking:
            self._open(self._thinking_block(), ending)
        self._close(ending)
        return True

    def whole_text(self, text: str) -> None:
        """A text block behind everything else, of what `output` knows already."""
        block = TextBlock()
        block.waiting.append(text)
        self._open(block)
        self._close(CallEnding.OVER)

    def end(self, stop: Stop, usage: Usage) -> None:
        """Started -> Done."""
        delta: MessageEnd = {"stop_reason": stop.reason, "stop_sequence": stop.sequence}
        if stop.details is not None:
            delta["stop_details"] = stop.details
        if self._context.safeguard_results is not None:
            delta[RESULTS] = self._context.safeguard_results
        end = messages.message_delta(delta, scaled(usage.at_end(), self._context.usage_scale))
        if self._context.report_context_management:
            end["context_management"] = NO_EDITS
        self._events += (end, messages.MESSAGE_STOP)
        self.state = DONE

    # Calls

    @property
    def _in_call(self) -> bool:
        """A call is open that the provider has not ended."""
        block = self.state.block if type(self.state) is Open else None
        return type(block) is ToolBlock and not block.ended

    def _go_on(self) -> None:
        """The model says something else, so it had finished its latest call."""
        if self._table.calls:
            self._table.calls[-1].followed = True

    def _new_call(self, piece: CallPiece, repeats: ToolBlock | None) -> ToolBlock:
        """Begin a call. `repeats`: it may be a repetition of that one, and has its name and evidence."""
        if len(self._table.calls) >= MOST_CALLS:
            raise TooManyCalls
        block = ToolBlock(self._context, self._calls, self.output.call())
        if repeats is not None:
            block.repeats = self._table.like(repeats)
            block.name = piece.name or repeats.name
            piece = piece._replace(key=repeats.key if piece.key is None else piece.key)
            for call_id in repeats.ids:
                self._table.note(piece._replace(call_id=call_id), block)
        self._go_on()
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
        if waits and block.standing is Completeness.WHOLE and not self._is_another(block, CallEnding.OVER):
            self._queue.remove(block)

    def _is_another(self, block: ToolBlock, ending: CallEnding) -> bool:
        """Whether a call is none that was said already. Raises MalformedArguments when that stays unknown."""
        block.unwrap()
        if block.standing in (Completeness.NOTHING, Completeness.PLACEHOLDER) or repeated(
            block, block.repeats
        ):
            self._calls.repeated()
            return False
        if block.standing is Completeness.PARTIAL and ending is not CallEnding.LIMIT:
            raise MalformedArguments
        self._calls.another()
        block.repeats = []
        block.settle()
        return True
