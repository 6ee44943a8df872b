"""Repetition: the fast path for chunks that differ from the previous one only in their text.

A provider serialises all chunks of a text, of its reasoning, or of one call's arguments alike: they
differ in a single string. So a fully parsed chunk is remembered as what precedes and follows its string.
A chunk with the same surroundings says the same about another text, and that text goes straight to the
open block: only the string is parsed, and the client's event is written around it.

The memory is valid until a chunk has to be parsed in full, because that one may begin a call, end the
message, or do anything else. A stream whose chunks never repeat soon stops being learnt from.

See docs/conversion.md, "From chunks to blocks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway import patterns
from gateway.conversion.answers.growth import Growth
from gateway.conversion.answers.output import Output
from gateway.conversion.answers.text_filters import VisibleText
from gateway.conversion.answers.writing.block_sequence import Open
from gateway.conversion.answers.writing.block_writers import TextBlock, ThinkingBlock, ToolBlock
from gateway.conversion.answers.writing.writer import AnswerWriter
from gateway.conversion.tool_calls.answer_calls import pieces_of
from gateway.wire import jsontext, messages, sse
from gateway.wire.messages import JSONObject

# takes a text, and the same text as JSON
Say = Callable[[str, bytes], None]

# lessons in a row that no chunk has repeated
PATIENCE: Final = 16
# characters; a shorter text is not taken for a repetition of the whole
_SHORT: Final = 3
# no chunk begins like this
_NONE: Final = b"\x00"
_TELLING: Final = ("usage", "x_groq", "error")
# what a choice contains beside its delta
_MORE: Final = ("index", "finish_reason", "usage", "message", "error")
_HALF: Final = patterns.compiled(rb"\\u[dD][89a-fA-F]")
_STRINGS: Final = patterns.compiled(rb'[{,]\s*"(\w+)"\s*:\s*("(?:[^"\\]|\\.)*")')


class Repetition:
    """`read` a chunk's data when it repeats the last one that was `learn`t from.

    `split` gives (thinking, its place, visible text) of a delta (reasoning.Reader.read).
    `thoughts` and `texts` tell whether thinking and text come in deltas, which alone can be said from
    here. `filtered` takes what filters made of a text.
    """

    __slots__ = (
        *("_before", "_behind", "_end", "_filtered", "_patience", "_say"),
        *("_split", "_start", "_state", "_text_in", "_texts", "_thoughts", "_writer"),
    )

    def __init__(
        self,
        writer: AnswerWriter,
        split: Callable[[Mapping[str, object]], tuple[str, str, str]],
        thoughts: Growth,
        texts: Growth,
        filtered: Callable[[tuple[str, str]], None],
    ) -> None:
        self._writer = writer
        self._split = split
        self._thoughts = thoughts
        self._texts = texts
        self._filtered = filtered
        self._patience = PATIENCE
        self._state: Open | None = None
        self._before, self._behind, self._start, self._end = _NONE, _NONE, 0, 0
        self._say: Say = _nothing
        self._text_in: Output | None = None  # where visible text is counted, while that is what repeats

    def read(self, data: bytes) -> bool:
        """Say the text of a repeating chunk. False: nothing was done, and it has to be parsed in full.

        Raises MalformedArguments.
        """
        if not (data.startswith(self._before) and data.endswith(self._behind)):
            self._before = _NONE
            return False
        if self._writer.state is not self._state:
            return False
        quoted = data[self._start : self._end]
        if b"\\u" in quoted and _HALF.search(quoted) is not None:
            self._before = _NONE  # its other half may be in the next chunk, or was in the previous one
            return False
        try:
            text = jsontext.loads(quoted)
        except jsontext.InvalidJSON:
            return False
        if type(text) is not str or not text:
            return False
        if self._text_in is not None and _SHORT < self._text_in.text_length <= len(text):
            self._before = _NONE  # it may be all of the text once more
            return False
        # without escapes, the provider serialises a string as we do
        self._say(text, quoted if b"\\" not in quoted else jsontext.dumps(text))
        self._patience = PATIENCE
        return True

    def learn(self, data: bytes, chunk: Mapping[str, object], filters: VisibleText | None) -> None:
        """`data`, which is `chunk`, has been read in full; what was learnt before is over.

        `filters`: what visible text goes through, if anything. When they may end the answer, or hold all
        of it back, no text is said from here.
        """
        self._before = _NONE
        if self._patience and type(self._writer.state) is Open and not self._writer.waits:
            self._patience -= 1
            self._learn(data, chunk, self._writer.state, filters)

    def _learn(
        self, data: bytes, chunk: Mapping[str, object], state: Open, filters: VisibleText | None
    ) -> None:
        delta = _plain_delta(chunk)
        said = None if delta is None else self._said(delta, state, filters)
        if said is None:
            return
        holder, key, say = said
        places = [match.span(2) for match in _STRINGS.finditer(data) if match[1] == key.encode()]
        if len(places) != 1:
            return
        start, end = places[0]
        before, behind = data[:start], data[end:]
        text = holder[key]
        # proof that this is the place: with another text there, nothing else has changed
        other = text + "x"
        holder[key] = other
        try:
            proven = jsontext.loads(before + jsontext.dumps(other) + behind) == chunk
        except jsontext.InvalidJSON:
            return  # such as NaN, which only a full parse forgives
        finally:
            holder[key] = text
        if proven:
            self._state, self._say = state, say
            self._text_in = self._writer.output if type(state.block) is TextBlock else None
            self._before, self._behind = before, behind
            self._start, self._end = start, end - len(data) or len(data)

    def _said(
        self, delta: JSONObject, state: Open, filters: VisibleText | None
    ) -> tuple[JSONObject, str, Say] | None:
        """Where the single text of `delta` stands, and who takes it; None when it is not for the
        open block.
        """
        keys = [key for key, value in delta.items() if value and key != "role"]
        if len(keys) != 1:
            return None
        [key] = keys
        writer, block, index = self._writer, state.block, state.index
        if key == "tool_calls":
            pieces, told = pieces_of(delta), delta[key]
            alone = type(told) is list and len(pieces) == len(told) == 1
            function = told[0].get("function") if alone else None
            if (
                type(block) is not ToolBlock
                or type(function) is not dict
                or type(function.get("arguments")) is not str
                or pieces[0].name
                or not writer.is_of(pieces[0], block)
            ):
                return None
            return function, "arguments", self._arguments_to(block, index)
        if type(delta[key]) is not str:
            return None
        thinking, place, visible = self._split(delta)
        if key == "content" and visible == delta[key] and not thinking and type(block) is TextBlock:
            if not self._texts.deltas:
                return None
            if filters is None:
                return delta, key, _text_to(writer, index)
            return (delta, key, self._marked_text_to(filters, index)) if filters.only_marks else None
        told = key == place and thinking == delta[key] and not visible
        if told and self._thoughts.deltas and type(block) is ThinkingBlock:
            return delta, key, _thinking_to(writer, index, place)
        return None

    def _marked_text_to(self, filters: VisibleText, index: int) -> Say:
        plainly = _text_to(self._writer, index)
        passes, feed, filtered = filters.passes, filters.feed, self._filtered

        def say(text: str, quoted: bytes) -> None:
            if passes(text):
                plainly(text, quoted)
            else:
                filtered(feed(text))

        return say

    def _arguments_to(self, block: ToolBlock, index: int) -> Say:
        before, behind = sse.around(messages.input_json_delta(index, ""))
        note, forwarded, send = block.said.add, block.forwarding, self._writer.send

        def say(text: str, quoted: bytes) -> None:
            note(text)
            sent = forwarded(text)
            if sent is text:
                send(before + quoted + behind)
                return
            if sent:
                send(before + jsontext.dumps(sent) + behind)
            if block.finished:
                # what follows may belong to another call
                self._before = _NONE
                self._writer.more(block, block.behind())

        return say


def _plain_delta(chunk: Mapping[str, object]) -> JSONObject | None:
    """The delta of a chunk that does nothing but say it."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or any(chunk.get(key) for key in _TELLING):
        return None
    choice = choices[0]
    if type(choice) is not dict or any(choice.get(key) for key in _MORE):
        return None
    delta = choice.get("delta")
    return delta if type(delta) is dict else None


def _text_to(writer: AnswerWriter, index: int) -> Say:
    before, behind = sse.around(messages.text_delta(index, ""))
    note, send = writer.output.text, writer.send

    def say(text: str, quoted: bytes) -> None:
        note(text)
        send(before + quoted + behind)

    return say


def _thinking_to(writer: AnswerWriter, index: int, place: str) -> Say:
    before, behind = sse.around(messages.thinking_delta(index, ""))
    note, carry, send, shown = (
        writer.output.thinking, writer.carrier.said, writer.send, writer.shows_thinking,
    )  # fmt: skip

    def say(text: str, quoted: bytes) -> None:
        note(text)
        carry(text, place)
        if shown:
            send(before + quoted + behind)

    return say


def _nothing(text: str, quoted: bytes) -> None:
    raise AssertionError("nothing was learnt")
