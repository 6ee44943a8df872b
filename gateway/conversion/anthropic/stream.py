"""PassedStream: a Messages stream in, the same stream out.

Events pass as the bytes they came in, including pings, comments, unknown events and blocks. The model's
name in message_start is rewritten. What the history and the limits need is read on the way; deltas,
nearly all of a stream, are not even parsed.

Servers other than Anthropic's break the protocol in ways in which clients lose what was said: they do not
close a block, put its content into content_block_start, or leave out the events' names. Such events are
mended, each with a ledger entry.

The caller may have started the message before the provider did (a late commit). Then the provider's
message_start is left out, and its counts go into message_delta, because the client would not learn them
otherwise.

See docs/conversion.md, "Passthrough".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion import repairs
from gateway.conversion.answers.base_stream import CUT, NOTHING
from gateway.conversion.answers.message import envelope
from gateway.conversion.answers.usage import Usage, own_usage
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.errors import GatewayError, UpstreamBroken, UpstreamError
from gateway.wire import jsontext, messages, sse
from gateway.wire.event_bytes import EventSplitter, fields
from gateway.wire.messages import ContentBlock, Event, JSONObject, Sent

_DELTA: Final = b"event: content_block_delta\n"
# the bytes of a delta other than its text
_AROUND_A_DELTA: Final = 110
CHARACTERS_A_TOKEN: Final = 4
LONGEST_REASON: Final = 40
_EMPTY_DELTAS: Final[dict[str, Callable[[int, str], Event]]] = {
    "text": messages.text_delta,
    "thinking": messages.thinking_delta,
    "tool_use": messages.input_json_delta,
    "server_tool_use": messages.input_json_delta,
}
_CALL: Final = "tool_use"
# the text of a delta, and the kind of block that one begins whose start never came
_DELTAS: Final[Mapping[str, tuple[str, str]]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "thinking"),
    "input_json_delta": ("partial_json", ""),
}
_MALFORMED: Final = "upstream sent malformed stream data"
# how a block begins: its content comes in deltas, and clients do not read it here
_AT_THE_START: Final[dict[str, tuple[str, str | JSONObject]]] = {
    "text": ("text", ""),
    "thinking": ("thinking", ""),
    "tool_use": ("input", {}),
    "server_tool_use": ("input", {}),
}


class PassedStream:
    """One streamed answer that passes; its members are those of MessageStream."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        self._context = context
        self._ledger = ledger
        self._splitter = EventSplitter()
        self._out: list[Sent] = []
        self._started_early = False  # by the caller, in a late commit
        self._stopped = False
        self._counts: JSONObject = {}
        self._error_event: bytes | None = None
        # index and type of the block that is open; the type is "" for one whose start cannot be read
        self._open: tuple[object, str] | None = None
        self._left: list[object] = []  # calls that were open when the next one began
        self._blocks = 0  # that have begun
        self._numbers: dict[int, int] = {}  # the provider's indexes to those of the client, where they differ
        self._input: JSONObject | str | None = None  # of the open block, while no delta has told it
        self.started = False
        self.failure: GatewayError | None = None
        self.stop_reason: str | None = None
        self.tool_names: list[str] = []
        self.characters = 0  # approximate size of everything that the answer says
        self.events = 0

    @property
    def done(self) -> bool:
        return self._stopped or self.failure is not None

    @property
    def closing(self) -> bool:
        """The model has finished, or the answer is over: look at `done` and `awaiting_trailer`."""
        return self.stop_reason is not None or self.done

    @property
    def awaiting_trailer(self) -> bool:
        """Everything has been said; only message_stop may still come."""
        return self.stop_reason is not None and not self.done

    @property
    def usage(self) -> Usage:
        """The provider's numbers; for an answer that was cut, the output is estimated."""
        counts = dict(self._counts)
        if self.stop_reason is None:
            counts.pop("output_tokens", None)  # sent at the start, it counts nothing yet
        return own_usage(counts, self._context, written=self.characters // CHARACTERS_A_TOKEN)

    @property
    def usage_estimated(self) -> bool:
        return self.usage.estimated

    def start(self) -> list[Sent]:
        """Start the message before the provider does."""
        if self.started:
            return []
        self.started = self._started_early = True
        usage = Usage(self._context.estimated_input_tokens, 0)
        begun = envelope(self._context, [], None, usage.at_start())
        return [messages.message_start(begun), messages.PING]

    def keepalive(self) -> list[Sent]:
        """An empty delta; a ping where no block is open, because a block of ours would shift all others."""
        started = self.start()
        index, kind = self._open or (0, "")
        delta = _EMPTY_DELTAS.get(kind)
        return [*started, delta(index, "") if delta is not None and type(index) is int else messages.PING]

    def feed(self, data: bytes) -> list[Sent]:
        try:
            for event in self._splitter.feed(data):
                if self.done:
                    break
                self._event(event)
        except sse.EventTooLong as problem:
            self.failure = UpstreamBroken(str(problem))
        return self._taken()

    def finish(self) -> list[Sent]:
        """The connection ended, or nothing followed the stop reason for long enough."""
        rest = self._splitter.flush()
        if rest and not self.done:
            self._event(rest)
        if not self.done:
            if self.stop_reason is not None:
                self._stopped = True
                self._out.append(messages.MESSAGE_STOP)
            else:
                self.failure = UpstreamBroken(CUT if self.events else NOTHING)
        return self._taken()

    def fail(self, error: GatewayError, request_id: str) -> list[Sent]:
        """End with an error; the provider's own error event passes as it came."""
        if not self.done:
            self.failure = error
        if self.failure is None or not self.started:
            return []
        return [self._error_event or messages.error_event(self.failure.body(request_id))]

    def _taken(self) -> list[Sent]:
        out, self._out = self._out, []
        return out

    def _event(self, raw: bytes) -> None:
        if raw.startswith(_DELTA) and self._open is not None and self._input is None and not self._numbers:
            self.characters += max(0, len(raw) - _AROUND_A_DELTA)
            self._out.append(raw)
            return
        name, data = fields(raw)
        try:
            event = jsontext.loads(data) if data else {}
        except jsontext.InvalidJSON:
            event = None
        if not isinstance(event, dict):
            event = {}
            if data.lstrip().startswith(b"{"):
                # its content is lost, so this is no longer a complete answer
                self.failure = UpstreamBroken(_MALFORMED)
                return
        kind = event.get("type")
        kind = name or (kind if isinstance(kind, str) else "")
        read = _READERS.get(kind)
        if read is not None:
            self.events += 1
            # an event that is written anew gets the type of its name
            event["type"] = kind
            if not self.started and kind in _NEEDS_A_START:
                self._ledger.repair(repairs.MESSAGE_START, once=True)
                self._out += self.start()
            if not name:  # clients do not read such an event
                raw = b"event: %b\n%b" % (kind.encode(), raw)
                self._ledger.repair(repairs.EVENT_NAME, once=True)
            read(self, raw, event)
        elif event and (error := upstream.error_inside(event, self._context)) is not None:
            self._failed(error, None)
        elif self.started:
            self._out.append(raw)

    def _message_start(self, raw: bytes, event: Mapping[str, object]) -> None:
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        self._note_counts(message.get("usage"))
        if not self.started:
            self.started = True
            self._out.append(sse.encode({**event, "message": {**message, "model": self._context.model}}))

    def _block_start(self, raw: bytes, event: Mapping[str, object]) -> None:
        block, index = event.get("content_block"), event.get("index")
        if type(index) is int:
            self._numbers.pop(index, None)
            if index != self._blocks:
                # clients take the index for a position in their list
                self._ledger.repair(repairs.BLOCK_INDEX, once=True)
                self._numbers[index] = self._blocks
            self._blocks += 1
            raw, event = self._renumbered(raw, event)
            index = event["index"]
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == _CALL and self._open is not None and self._open[1] == _CALL and self._input is None:
            # parallel calls may be told by turns, each by its index
            self._left.append(self._open[0])
            self._open = None
        self._end_block()
        if not isinstance(block, dict) or type(index) is not int or not isinstance(kind, str):
            self._open = (index, "")
            self._pass(raw, event)
            return
        self._open = (index, kind)
        if kind == "tool_use" and isinstance(block.get("name"), str):
            self.tool_names.append(block["name"])
        key, empty = _AT_THE_START.get(kind, ("type", kind))
        given = block.get(key)
        if given == empty:
            self._pass(raw, event)
            return
        self._ledger.repair(repairs.BLOCK_START, once=True)
        begun = {**block, key: empty}
        signature = begun.get("signature") if kind == "thinking" and given else None
        if isinstance(signature, str) and signature:
            begun["signature"] = ""
        self._send(messages.block_start(index, cast(ContentBlock, begun)))
        if isinstance(empty, dict):
            self._input = given or None if isinstance(given, dict | str) else None
        elif given and isinstance(given, str):
            self._send(_EMPTY_DELTAS[kind](index, given))
            if isinstance(signature, str) and signature:
                self._send(messages.signature_delta(index, signature))

    def _block_delta(self, raw: bytes, event: Mapping[str, object]) -> None:
        delta = event.get("delta")
        raw, event = self._renumbered(raw, event)
        at = event.get("index")
        kind = delta.get("type") if isinstance(delta, dict) else None
        known = _DELTAS.get(kind) if isinstance(kind, str) else None
        if not isinstance(delta, dict) or (known is not None and not isinstance(delta.get(known[0]), str)):
            self.failure = UpstreamBroken(_MALFORMED)
            return
        if (self._open is None or self._open[0] != at) and at not in self._left:
            if known is not None and not delta.get(known[0]):
                # says nothing of a block that has ended
                return
            if known is None:
                # clients fail at it, and nothing is lost without it
                self._ledger.repair(repairs.BLOCK_ENDS, once=True)
                return
            if not known[1] or type(event.get("index")) is not int:
                # a call without a name, or a place that cannot be read
                self.failure = UpstreamBroken(_MALFORMED)
                return
            self._ledger.repair(repairs.BLOCK_START, once=True)
            block = {"type": known[1], _AT_THE_START[known[1]][0]: ""}
            begun = {"type": "content_block_start", "index": event["index"], "content_block": block}
            self._block_start(sse.encode(begun), begun)
            raw, event = self._renumbered(raw, event)
        self.characters += max(0, len(raw) - _AROUND_A_DELTA)
        if delta.get("partial_json") and self._open and self._open[0] == event.get("index"):
            self._input = None
        self._pass(raw, event)

    def _renumbered(self, raw: bytes, event: Mapping[str, object]) -> tuple[bytes, Mapping[str, object]]:
        """The event with the index that its block has for the client."""
        index = event.get("index")
        number = self._numbers.get(index) if type(index) is int else None
        if number is None:
            return raw, event
        event = {**event, "index": number}
        return sse.encode(event), event

    def _block_stop(self, raw: bytes, event: Mapping[str, object]) -> None:
        raw, event = self._renumbered(raw, event)
        if event.get("index") in self._left:
            self._left.remove(event.get("index"))
            self._pass(raw, event)
            return
        if self._open is None or event.get("index") != self._open[0]:
            # a client would take a block twice, or fail
            self._ledger.repair(repairs.BLOCK_ENDS, once=True)
            return
        self._tell_input()
        self._open = None
        self._pass(raw, event)

    def _end_block(self) -> None:
        """Close the block that the provider left open."""
        if self._open is not None and self._open[1]:
            self._tell_input()
            self._close(self._open[0])
        self._open = None

    def _end_blocks(self) -> None:
        """Close all that the provider left open."""
        while self._left:
            self._close(self._left.pop(0))
        self._end_block()

    def _close(self, index: object) -> None:
        self._ledger.repair(repairs.BLOCK_ENDS, once=True)
        if type(index) is int:
            self._send(messages.block_stop(index))

    def _tell_input(self) -> None:
        """The input of a call that came with its start alone."""
        index = None if self._open is None else self._open[0]
        if self._input is not None and type(index) is int:
            text = self._input if isinstance(self._input, str) else jsontext.dumps_text(self._input)
            self._send(messages.input_json_delta(index, text))
        self._input = None

    def _send(self, event: Event) -> None:
        if self.started:
            self._out.append(event)

    def _message_delta(self, raw: bytes, event: Mapping[str, object]) -> None:
        delta = event.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if isinstance(reason, str):
            self._end_blocks()
            self.stop_reason = reason[:LONGEST_REASON]
        self._note_counts(event.get("usage"))
        verdicts = self._context.safeguard_results
        if verdicts is not None and isinstance(delta, dict):
            event = {**event, "delta": {**delta, RESULTS: verdicts}}
        if self._started_early and self._counts:
            told = "input_tokens" in self._counts
            counts = self._counts if told else {**self.usage.at_end(), **self._counts}
            self._out.append(sse.encode({**event, "usage": counts}))
        elif verdicts is not None and self.started:
            self._out.append(sse.encode(dict(event)))
        else:
            self._pass(raw, event)

    def _message_stop(self, raw: bytes, event: Mapping[str, object]) -> None:
        self._end_blocks()
        if self.started:
            self._stopped = True
        self._pass(raw, event)

    def _error(self, raw: bytes, event: Mapping[str, object]) -> None:
        self._failed(upstream.named_error(event, fields(raw).data, self._context), raw)

    def _failed(self, error: UpstreamError, raw: bytes | None) -> None:
        self.failure = error
        self._error_event = raw

    def _pass(self, raw: bytes, event: Mapping[str, object]) -> None:
        """Nothing may precede message_start, so whatever does is left out."""
        if self.started:
            self._out.append(raw)

    def _note_counts(self, usage: object) -> None:
        """The latest number counts; null says nothing."""
        if isinstance(usage, dict):
            self._counts |= {name: value for name, value in usage.items() if value is not None}


# what says something of the answer; nothing may precede message_start
_NEEDS_A_START: Final = frozenset({"content_block_start", "content_block_delta", "message_delta"})
_READERS: Final[dict[str, Callable[[PassedStream, bytes, JSONObject], None]]] = {
    "message_start": PassedStream._message_start,
    "content_block_start": PassedStream._block_start,
    "content_block_delta": PassedStream._block_delta,
    "content_block_stop": PassedStream._block_stop,
    "message_delta": PassedStream._message_delta,
    "message_stop": PassedStream._message_stop,
    "error": PassedStream._error,
}
