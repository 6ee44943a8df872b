"""MessageStream: a streamed chat completion in, the events of one message out (specification section 6).

A chat completion streams three things side by side: reasoning, content, and
fragments of any number of tool calls, told apart by an index and free to
interleave. A Messages stream is one sequence of blocks, numbered from 0, and
only one of them is open at a time. The work is split along that line:

    MessageStream (here)    reads chunks: what is said, in the order reasoning,
                            content, calls, finish, usage
    ConvertedStream         bytes -> server events; what the caller sees; how it ends
    AnswerWriter            writes: one open block, a queue for everything else,
                            and the table of states Idle, Started, Open, Done, Failed

`reasoning` judges what is thinking, `tool_calls` and `tool_args` what a call is.

The finish reason alone ends nothing: usage comes behind it, and some providers
even send content. `[DONE]` does, or a chunk with only usage after the finish
reason, or the end of the connection, or the caller's patience
(`awaiting_trailer`, then `finish`). An end without finish reason, `[DONE]` and
usage is a cut answer.
"""

from __future__ import annotations

from typing import Any

from gateway.conversion import reasoning, stops, upstream_errors
from gateway.conversion.answer_writer import IDLE
from gateway.conversion.citations import citations_of
from gateway.conversion.context import AnswerContext
from gateway.conversion.converted_stream import CUT, NOTHING, ConvertedStream
from gateway.conversion.ledger import Ledger
from gateway.conversion.repetition import Repetition
from gateway.conversion.tool_calls import pieces_of
from gateway.conversion.usage import counts_in
from gateway.conversion.web_search import cited_blocks
from gateway.errors import UpstreamBroken

JSONObject = dict[str, Any]


class MessageStream(ConvertedStream):
    """One streamed chat completion."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        carrier = self._writer.carrier
        self._note = None if carrier.idle else carrier.note
        self._read = reasoning.reader(context.profile.reasoning_in).read
        self._repetition = Repetition(self._writer, self._read)
        self._ends_with_usage = False  # the latest chunk was nothing but usage
        self._citations: list[JSONObject] = []

    def _read_data(self, chunk: JSONObject) -> None:
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
                if self._filters.settled:
                    self._filters = None
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

    def _cite(self, delta: JSONObject) -> None:
        found = citations_of(delta, self._writer.output.whole_text, self._context, self._ledger)
        self._citations += found
        if found and not self._writer.cite(found):
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    def _complete(self, *, explanation: str = "") -> None:
        if self._citations and not self.done:
            # the provider's search is known by its citations, and those come with the text
            if self._filters is not None and self._filters.matched is None:
                self._filtered(self._filters.flush())
            block_id = self._context.new_id("srvtoolu_")
            for block in cited_blocks(self._context.search_query, self._citations, block_id):
                self._writer.server_block(block)
        super()._complete(explanation=explanation)

    def _upstream_ended(self, *, told: bool) -> None:
        if not self.chunks:
            self._writer.fail(UpstreamBroken(NOTHING))
        elif told or self._finish is not None or self._ends_with_usage:
            self._complete()
        else:
            self._writer.fail(UpstreamBroken(CUT))


def _first_choice(choices: object) -> JSONObject | None:
    """The choice with index 0; a provider that was not asked for others may send some all the same."""
    if type(choices) is list:
        for choice in choices:
            if type(choice) is dict and choice.get("index") in (0, None):
                return choice
    return None
