"""The kinds of content block a stream writes.

Each knows how it starts, what it says when it has its turn, how it ends, and
whether something else may come behind it. A block that waits for its turn keeps
what arrives for it.

See docs/conversion.md, "Events to the client".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from gateway.conversion.answers.output import Pieces
from gateway.conversion.answers.reasoning import Carrier
from gateway.conversion.context import AnswerContext
from gateway.conversion.tool_calls.answer_calls import CallBlocks, CallPiece
from gateway.conversion.tool_calls.arguments import (
    Arguments,
    BufferedArguments,
    CallEnding,
    FreeformArguments,
    LiveArguments,
    arguments_text,
    input_of,
    is_whole,
    same_arguments,
)
from gateway.conversion.tool_calls.object_reader import (
    EMPTY,
    Completeness,
    MalformedArguments,
    without_placeholders,
)
from gateway.conversion.tool_calls.wrapped_calls import call_in
from gateway.wire import jsontext, messages
from gateway.wire.messages import (
    Citation,
    ContentBlock,
    Event,
    JSONObject,
    ServerToolUse,
    TextContent,
    ThinkingContent,
    ToolUse,
    WebSearchToolResult,
)

_NO_EXTRAS: Final[JSONObject] = {}


class TextBlock:
    """Visible text. `citations` are sent before it ends."""

    __slots__ = ("citations", "ended", "waiting")

    ready: Final = True
    finished: Final = True

    def __init__(self) -> None:
        self.ended = False  # text behind it is another block
        self.waiting: list[str] = []
        self.citations: list[Citation] = []

    def content_block(self) -> TextContent:
        return {"type": "text", "text": ""}

    def opened(self, index: int) -> list[Event]:
        return [messages.text_delta(index, text) for text in self.waiting]

    def nothing(self, index: int) -> Event:
        return messages.text_delta(index, "")

    def ending(self, index: int, ending: CallEnding) -> list[Event]:
        return [messages.citations_delta(index, citation) for citation in self.citations]


class ThinkingBlock:
    """Thinking; its signature carries what the provider wants back. Omitted thinking shows no text.

    `sealed`: what only this block's signature carries.
    """

    __slots__ = ("_carrier", "_omitted", "ended", "sealed", "waiting")

    ready: Final = True
    finished: Final = True

    def __init__(self, carrier: Carrier, *, omitted: bool) -> None:
        self._carrier = carrier
        self._omitted = omitted
        self.ended = False  # thinking behind it is another block
        self.sealed: JSONObject = {}
        self.waiting: list[str] = []

    def content_block(self) -> ThinkingContent:
        return {"type": "thinking", "thinking": "", "signature": ""}

    def opened(self, index: int) -> list[Event]:
        return [] if self._omitted else [messages.thinking_delta(index, text) for text in self.waiting]

    def nothing(self, index: int) -> Event:
        return messages.thinking_delta(index, "")

    def ending(self, index: int, ending: CallEnding) -> list[Event]:
        return [messages.signature_delta(index, self._carrier.signature(self.sealed))]


class ToolBlock:
    """One tool call, put together from fragments.

    It is `ready` to open when its name is complete: with the first arguments,
    with the next call, or at the end. Fragments go to `take`, which returns the
    arguments' text; that text goes to `forwarded` while the block is open, else to `wait`.

    `key`, `ids`: under which index and ids its fragments came. `said`: the text of its arguments.
    `repeats`: calls of which it may be a repetition; it is not ready until that is known.

    See docs/conversion.md, "Calls in a stream".
    """

    __slots__ = (
        "_arguments",
        "_calls",
        "_context",
        "_extras",
        "_freeform",
        "_held",
        "_input",
        "_keeps_extras",
        "_late",
        "_ready",
        "_settled",
        "call_id",
        "ended",
        "followed",
        "ids",
        "key",
        "name",
        "repeats",
        "said",
    )

    def __init__(self, context: AnswerContext, calls: CallBlocks, said: Pieces) -> None:
        self._context = context
        self._calls = calls
        self._extras: JSONObject = {}
        self._keeps_extras = bool(context.profile.tool_call_extras)
        self._held: BufferedArguments | None = None  # arguments that came before it was opened
        self._arguments: Arguments | None = None
        self._input: tuple[str, JSONObject] | None = None  # what a text of arguments says
        self._freeform = False
        self._late = False
        self._ready = False
        self._settled = False
        self.key: Hashable = None
        self.ids: set[str] = set()
        self.call_id = ""
        self.name = ""
        self.said = said
        self.repeats: list[ToolBlock] = []
        self.ended = False  # the provider says that this is all of it
        self.followed = False  # the model has said something else behind it

    @property
    def ready(self) -> bool:
        # its id carries what the provider wants back, which may come with the last fragment
        complete = self._settled or bool(self._extras) or not self._keeps_extras
        return self._ready and complete and not self.repeats

    @property
    def finished(self) -> bool:
        if self._arguments is None:
            return False
        return self._arguments.complete or (self.ended and self.standing in EMPTY)

    @property
    def standing(self) -> Completeness:
        """How far its arguments are."""
        reader = self._arguments or self._held
        return Completeness.NOTHING if reader is None else reader.standing

    @property
    def awaits_arguments(self) -> bool:
        """It has a name, and nothing of its arguments has come."""
        return bool(self.name) and self.standing in EMPTY

    @property
    def lacks_arguments(self) -> bool:
        """It awaits arguments, and its tool cannot be called without."""
        return self.awaits_arguments and self.name in self._context.tools.needing_input

    @property
    def whole(self) -> bool:
        """Whether all of a waiting call has come, at the end of an answer that was interrupted."""
        return is_whole(self.said.text) and (self.followed or self.standing not in EMPTY)

    def _own(self, ending: CallEnding) -> CallEnding:
        """How this call ended, given how the answer did: a model finishes one call before it goes on."""
        over = self.followed and (self._freeform or self.standing in EMPTY)
        return CallEnding.OVER if over else ending

    def may_be(self, name: str) -> bool:
        """Whether a fragment with this name can be of this call: a name may come in pieces."""
        if name == self.name or not self.name:
            return True
        if self._ready and self._calls.same_tool(name, self.name):
            return True
        if self._ready or self.standing is not Completeness.NOTHING:
            return False
        offered = self._context.tools.offered
        whole = name in offered and self.name in offered
        return not whole or self.name + name in offered

    @property
    def input(self) -> JSONObject:
        """What the arguments so far say. Worked out once, because later calls are compared with it."""
        text = self.said.text
        if self._input is None or self._input[0] != text:
            self._input = (text, input_of(text)[0])
        return self._input[1]

    def unwrap(self) -> None:
        """Become the call that the waiting arguments are, where they are one."""
        if self._held is None or self._freeform or self._held.standing is not Completeness.WHOLE:
            return
        found = call_in(self.input, self.name, self._context.tools)
        if found is not None:
            self.name, given = found
            self._input = (self.said.text, given)
            behind, self._held = self._held.behind, BufferedArguments()
            self._held.feed(jsontext.dumps_text(given))
            self._held.behind = behind
            self._calls.another()

    def agrees(self, piece: CallPiece) -> bool:
        """Whether what has come can be the beginning of a call that is told as a whole."""
        if piece.name and self.name and not self._calls.same_tool(piece.name, self.name):
            return False
        said, whole = self.said.text, arguments_text(piece.arguments)
        return self.standing in EMPTY or whole.startswith(said) or same_arguments(said, whole)

    def rest_of(self, whole: str) -> str:
        """What of the whole arguments has not come yet. They agree with what has."""
        if self.standing is Completeness.WHOLE:
            return ""
        said = self.said.text
        if whole.startswith(said):
            return whole.removeprefix(said)
        return whole if self.standing in EMPTY else ""  # the same in other words

    def take(self, piece: CallPiece) -> str:
        """Note everything of a fragment but its arguments, which are returned."""
        arguments = piece.arguments
        text = arguments if type(arguments) is str else arguments_text(arguments)
        extras = self._calls.extras(piece.raw) if self._keeps_extras else _NO_EXTRAS
        if self._arguments is None:
            self.call_id = self.call_id or piece.call_id
            self._extras.update(extras)
            self._freeform = self._freeform or piece.freeform
            if piece.name and piece.name != self.name and not self._ready:
                self.name += piece.name
            begun = bool(without_placeholders(text)) or self.standing not in EMPTY
            # of a whole answer nothing is shown before its end, which tells what was cut
            if self.name and (begun or piece.named) and not self._context.tools.in_one_piece:
                self._ready = True
        elif extras and not self._late:
            self._late = True
            self._calls.late_extras()
        return text

    def settle(self) -> None:
        """Nothing more of the name will come, nor of the opaque data."""
        self._ready = bool(self.name)
        self._settled = True

    def content_block(self) -> ToolUse:
        tools, live = self._context.tools, self._context.profile.tool_args == "live"
        if self._freeform:
            self._arguments = FreeformArguments()
        elif not tools.in_one_piece and (
            self.name in tools.live or (live and self.name not in tools.buffered)
        ):
            self._arguments = LiveArguments()
        else:
            self._arguments = BufferedArguments()
        return self._calls.block(self.name, self.call_id, self._extras)

    def wait(self, text: str) -> None:
        """Arguments of a call that is not open. Raises MalformedArguments when it ended without any."""
        if self._arguments is not None and self.standing in EMPTY and without_placeholders(text).strip():
            raise MalformedArguments
        if self._held is None:
            self._held = BufferedArguments()
        self._held.feed(text)

    @property
    def said_once(self) -> bool:
        """What waits is one whole object as it stands, or nothing."""
        return self._held is None or self._held.as_it_stands

    def whole_block(self) -> ToolUse:
        """The block of a call whose arguments have all come and wait."""
        block = self._calls.block(self.name, self.call_id, self._extras)
        if self._held is not None:
            block["input"] = self._held.input
        return block

    def behind(self) -> str:
        """What came behind the arguments and may be those of another call; given once."""
        reader = self._arguments or self._held
        if reader is None or not reader.behind:
            return ""
        text, reader.behind = reader.behind, ""
        return text

    def opened(self, index: int) -> list[Event]:
        text = "" if self._held is None else self._held.raw
        self._held = None
        sent = self.forwarded(text) if text else ""
        return [messages.input_json_delta(index, sent)] if sent else []

    def forwarded(self, text: str) -> str:
        """What of these arguments of the open block may be sent now. Raises MalformedArguments."""
        assert self._arguments is not None
        return self._arguments.feed(text)

    @property
    def forwarding(self) -> Callable[[str], str]:
        """`forwarded` of this open block, without looking whether it is open."""
        assert self._arguments is not None
        return self._arguments.feed

    def nothing(self, index: int) -> Event:
        return messages.input_json_delta(index, "")

    def ending(self, index: int, ending: CallEnding) -> list[Event]:
        """Raises MalformedArguments when the arguments are not whole and no token limit is the reason."""
        assert self._arguments is not None
        sent = self._arguments.finish(self._own(ending))
        if self._arguments.repaired:
            self._calls.repaired()
        if self._arguments.placeholder and self._arguments.complete:
            self._calls.placeholder()
        return [messages.input_json_delta(index, sent)] if sent else []


class ServerBlock:
    """A call of a server tool, or its result: whole when it comes.

    See docs/conversion.md, "The Responses API".
    """

    __slots__ = ("_block",)

    ready: Final = True
    finished: Final = True

    def __init__(self, block: ServerToolUse | WebSearchToolResult) -> None:
        self._block = block

    def content_block(self) -> ContentBlock:
        if self._block["type"] == "server_tool_use":
            return {**self._block, "input": {}}
        return self._block

    def opened(self, index: int) -> list[Event]:
        if self._block["type"] != "server_tool_use":
            return []
        return [messages.input_json_delta(index, jsontext.dumps_text(self._block["input"]))]

    def nothing(self, index: int) -> Event:
        return messages.PING

    def ending(self, index: int, ending: CallEnding) -> list[Event]:
        return []


Block = TextBlock | ThinkingBlock | ToolBlock | ServerBlock
