"""MessageStream: a streamed chat completion in, the events of one message out.

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
even send content, which takes it back. `[DONE]` ends, or a chunk with only usage
after the finish reason, or the end of the connection, or the caller's patience
(`awaiting_trailer`, then `finish`). An end without finish reason, `[DONE]` and
usage is a cut answer.

We ask for one choice. A provider that sends several has spread one answer over
them, so they are joined. A whole completion is read as a stream of one piece
(`respond`).

See docs/conversion.md, "Streams".
"""

from __future__ import annotations

from typing import Final

from gateway.conversion import repairs
from gateway.conversion.answers import reasoning, stop_reasons
from gateway.conversion.answers.base_stream import CUT, NOTHING, ConvertedStream
from gateway.conversion.answers.choices import in_order
from gateway.conversion.answers.chunk_fast_path import Repetition
from gateway.conversion.answers.citations import citations_of
from gateway.conversion.answers.growth import Growth
from gateway.conversion.answers.stop_reasons import Finish
from gateway.conversion.answers.text_filters import VisibleText
from gateway.conversion.answers.usage import counts_in, latest, tells_counts
from gateway.conversion.answers.writing.block_sequence import IDLE
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger, Repair
from gateway.conversion.tool_calls.answer_calls import pieces_of
from gateway.conversion.tools.web_search import cited_blocks
from gateway.errors import UpstreamBroken
from gateway.wire.answer_forms import unwrapped
from gateway.wire.messages import Citation, Event, JSONObject

_TOLD_OTHERWISE: Final = ("tool_calls", "function_call", "refusal")


class MessageStream(ConvertedStream):
    """One streamed chat completion."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        carrier = self._writer.carrier
        self._note = None if carrier.idle else carrier.note
        self._read = reasoning.reader(context.profile.reasoning_in).read
        self._thoughts, self._texts = Growth(), Growth()
        self._place = ""  # where thinking that is held back was
        self._unnoted: list[JSONObject] = []  # deltas whose thinking is held back
        self._repetition = Repetition(self._writer, self._read, self._thoughts, self._texts, self._filtered)
        self._ends_with_usage = False  # the latest chunk was nothing but usage
        self._doubtful = False  # a finish reason was taken back: the next one may be, too
        self._number: int | None = None  # of the choice that spoke last
        self._deltas = False  # the provider says things in deltas
        self._citations: list[Citation] = []

    @property
    def awaiting_trailer(self) -> bool:
        """As in ConvertedStream. A model that has only thought has not finished, whatever the reason says."""
        if self._finish is Finish.STOP and (
            self._doubtful or not (self.text_length or self.tool_names or self._refusal)
        ):
            return False
        return super().awaiting_trailer

    def respond(self, completion: JSONObject) -> list[Event]:
        """The events of a whole completion, which is no error. Nothing is raised, as in `feed`."""
        told = self._taken(lambda: self._respond(completion))
        return [event for event in told if not isinstance(event, bytes)]

    def _respond(self, completion: JSONObject) -> None:
        choices = _choices(completion.get("choices"))
        self._counts = next((counts for choice in choices if (counts := counts_in(completion, choice))), None)
        self._tier = completion.get("service_tier")
        self.chunks += 1
        self._whole = True
        self._begin()
        if len(choices) > 1:
            self._ledger.repair(repairs.CHOICES)
        for choice in sorted(choices, key=_number):
            if self.text_length and type(message := choice.get("message")) is dict:
                choice = {**choice, "message": self._without_repetition(message)}
            self._choice(in_order(choice, completion), whole=True)
        if not self.done:
            self._complete()

    def _read_data(self, chunk: JSONObject) -> None:
        choices = chunk.get("choices")
        if choices is None:
            chunk = unwrapped(chunk)
            choices = chunk.get("choices")
        if not choices or "error" in chunk:
            error = upstream.error_inside(chunk, self._context)
            if error is not None:
                self._error(error)
                return
        self.chunks += 1
        known = _choices(choices)
        if tells_counts(chunk) or (known and "usage" in known[0]):
            self._counts = latest(self._counts, counts_in(chunk, known[0] if known else None), self._ledger)
            self._tier = chunk.get("service_tier", self._tier)
        for choice in known:
            if _number(choice) != self._number:
                self._another_choice(choice)
            if not self._writer.state.over:
                self._choice(in_order(choice, chunk))
            if self._writer.state.over:
                return
        if known:
            return
        self._begin()
        if not choices and tells_counts(chunk):
            self._ends_with_usage = True
            if self._finish is not None:
                self._complete()

    def _another_choice(self, choice: JSONObject) -> None:
        if self._number is not None:
            self._settle()
            # candidates usually begin alike, and neither goes on with the other
            for growth in (self._thoughts, self._texts):
                growth.deltas = growth.deltas or not growth.grows
            self._ledger.repair(repairs.CHOICES, once=True)
        self._number = _number(choice)

    def _choice(self, choice: JSONObject, *, whole: bool = False) -> None:
        error = upstream.error_of_choice(choice, self._context)
        finish = stop_reasons.finish_of(choice) if error is None and choice.get("finish_reason") else None
        if finish is not None:
            error = stop_reasons.failure_of(finish)
        if error is not None:
            self._error(error)
            return
        if self._writer.state is IDLE:
            self._begin()
        self._ends_with_usage = False
        delta, message = choice.get("delta"), choice.get("message")
        if delta is None and message is None and type(choice.get("text")) is str:
            delta = {"content": choice["text"]}  # in the words of the older completions
        if type(delta) is dict and not (whole and message):
            self._deltas = True
            delta = self._without_repetition(delta, _number(choice), at_end=finish is not None)
            if delta and self._delta(delta, _number(choice), whole=whole) and self._finish is not None:
                self._finish, self._doubtful = None, True
                self._ledger.repair(repairs.REASON_TAKEN_BACK, once=True)
        if type(message) is dict:
            self._settle()
        if type(message) is dict and not self._writer.state.over:
            grows = self.text_length and self._read(message)[2].startswith(self._writer.output.whole_text)
            if whole or not (self._deltas or finish is not None or grows):
                self._delta(message, _number(choice), whole=whole)
            else:
                self._repeated(message, _number(choice))
        if finish is not None:
            self._finish = stop_reasons.stronger(self._finish, finish)
            self._sequence = self._sequence or stop_reasons.matched_sequence(choice, self._context)

    def _delta(self, delta: JSONObject, choice: int, *, whole: bool = False) -> bool:
        """Within a chunk: reasoning, then content, then tool calls. Whether it says any of them."""
        writer = self._writer
        thinking, place, visible = self._read(delta)
        if thinking and not whole:
            thinking = self._new_of(self._thoughts, thinking, repairs.THINKING_GROWS)
            self._place = place
        # what was only said again is no news behind a finish reason
        said = bool(thinking) or self._thoughts.holds_news
        if self._note is not None:
            self._note_in_turn(delta, whole=whole)
        if thinking:
            self._settle_text()
            if writer.state.over:
                return True
            writer.thinking(thinking, place)
        elif self._note is not None and writer.carrier.loaded and writer.empty:
            writer.thinking("", "")  # encrypted reasoning has its place in front, too
        if visible:
            self._settle_thinking()
            if not whole:
                visible = self._new_of(self._texts, visible, repairs.TEXT_GROWS)
            said = said or bool(visible) or self._texts.holds_news
            if visible and self._visible(visible):
                return True
            if len(delta) == 1 and type(delta.get("content")) is not list:
                return said
        if delta.get("annotations"):
            self._cite(delta)  # of the text, which is over when a call begins
        pieces = pieces_of(delta, choice, whole=whole)
        if pieces:
            self._settle()
            if writer.state.over:
                return True
            if self._filters is not None:
                self._filtered(self._filters.flush())
            for piece in pieces:
                writer.fragment(piece)
            if len(delta) == 1:
                return True
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            self._refusal.append(refusal)
        return bool(said or pieces or refusal)

    def _visible(self, text: str) -> bool:
        """Content of the answer. True when a stop sequence in it has ended the answer."""
        if self._filters is None:
            self._writer.text(text)
            return False
        self._filtered(self._filters.feed(text))
        if self._filters.matched is not None:
            self._complete()
            return True
        if self._filters.settled:
            self._filters.note_repairs(self._ledger)
            self._filters = None
        return False

    def _new_of(self, growth: Growth, text: str, repair: Repair) -> str:
        known = growth.grows
        text = growth.rest(text)
        if growth.grows is not known:
            self._ledger.repair(repair)
        return text

    def _note_in_turn(self, delta: JSONObject, *, whole: bool) -> None:
        """Opaque data of a delta; while it is open whether thinking grows, so is what belongs together."""
        assert self._note is not None
        self._unnoted.append(delta)
        if not self._thoughts.holds:
            for each in self._unnoted:
                self._note(each, whole=whole, grown=self._thoughts.grows)
            self._unnoted.clear()

    def _settle(self) -> None:
        """Something else follows: say what was held back."""
        self._settle_thinking()
        self._settle_text()

    def _settle_thinking(self) -> None:
        if self._thoughts.holds:
            thinking = self._thoughts.settle()
            if not thinking:
                self._ledger.repair(repairs.THINKING_REPEATED, once=True)
            if self._note is not None:
                for each in self._unnoted:
                    self._note(each, grown=not thinking)
            self._unnoted.clear()
            if thinking:
                self._writer.thinking(thinking, self._place)

    def _settle_text(self) -> None:
        if self._texts.holds:
            text = self._texts.settle()
            if text:
                self._visible(text)
            else:
                self._ledger.repair(repairs.TEXT_REPEATED, once=True)

    def _without_repetition(self, delta: JSONObject, choice: int = 0, *, at_end: bool = True) -> JSONObject:
        """A delta or message without what it repeats: some providers send everything again in the last one.

        A repetition that is not `at_end` waits for what follows, which may show that it was none.
        """
        if not at_end and self._in_doubt is None and not _long_enough(delta, self.text_length):
            return delta
        thinking, place, visible = self._read(delta)
        said = self._writer.output
        news = self._news_in(visible) if visible else None
        if self._in_doubt is not None and (thinking or visible or at_end or pieces_of(delta)):
            # text behind it makes it the model's own, even the same words a third time; thinking does not
            self._settle_repetition(goes_on=bool(visible) and not thinking)
            if self._writer.state.over:
                return {}
            news = self._news_in(visible) if visible else None
        if news == "" and not at_end and not any(delta[key] for key in delta.keys() - {"role", "content"}):
            self._in_doubt = (delta, choice)
            return {}
        if news is not None and at_end:
            self._ledger.repair(repairs.TEXT_REPEATED)
            delta = {key: value for key, value in delta.items() if key != "content"}
            if news:
                delta["content"] = news
        if not at_end:
            return delta
        if thinking and said.repeated_thinking(thinking):
            self._ledger.repair(repairs.THINKING_REPEATED)
            delta = {key: value for key, value in delta.items() if key != place}
        return delta

    def _news_in(self, visible: str) -> str | None:
        """What a content that repeats all of the text says beyond it; None for one that does not repeat it.

        What was said has gone through filters, so the content goes through the same ones first.
        """
        said, thinking, text = self._writer.output, "", visible
        if self._texts.holds:
            return None
        filters = VisibleText(self._context)
        if not filters.plain:
            parts = (filters.feed(visible), filters.flush())
            thinking, text = ("".join(part) for part in zip(*parts, strict=True))
        length = self.text_length
        if not said.repeated_text(text[:length]) or (thinking and thinking != said.whole_thinking):
            return None
        return text[length:]

    def _settle_repetition(self, *, goes_on: bool) -> None:
        """A text that was said again in one piece: the model's own if it goes on behind it."""
        if self._in_doubt is not None:
            (delta, choice), self._in_doubt = self._in_doubt, None
            if goes_on:
                self._delta(delta, choice)
            else:
                self._ledger.repair(repairs.TEXT_REPEATED, once=True)

    def _repeated(self, message: JSONObject, choice: int) -> None:
        """A whole message behind deltas: what they have not said is said."""
        thinking, _, visible = self._read(message)
        rest = {key: value for key, value in message.items() if key not in _TOLD_OTHERWISE}
        said = self._writer.output.whole_text
        if thinking and self.thinking_length:
            self._ledger.repair(repairs.THINKING_REPEATED, once=True)
            for place in self._context.profile.reasoning_in:
                rest.pop(place, None)
        if visible and said:
            self._ledger.repair(repairs.TEXT_REPEATED, once=True)
            rest["content"] = (
                visible.removeprefix(said) if visible.startswith(said) else self._news_in(visible) or ""
            )
        if not self._refusal and isinstance(message.get("refusal"), str):
            rest["refusal"] = message["refusal"]
        self._delta(rest, choice)
        pieces = pieces_of(message, choice)
        if pieces and not self._writer.state.over:
            self._flush()
            self._writer.told_again(pieces)

    def _cite(self, delta: JSONObject) -> None:
        found = citations_of(delta, self._writer.output.whole_text, self._context, self._ledger)
        self._citations += found
        if found and not self._writer.cite(found):
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    def _complete(self, *, explanation: str = "") -> None:
        self._settle_repetition(goes_on=False)
        self._settle()
        if self.done:
            return  # what was held back had a stop sequence in it
        if self._citations:
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


def _long_enough(delta: JSONObject, length: int) -> bool:
    """Whether the content of a delta may be a text of so many characters once more."""
    content = delta.get("content")
    return length > 0 and content is not None and not (type(content) is str and len(content) < length)


def _choices(choices: object) -> list[JSONObject]:
    if type(choices) is not list:
        return []
    return [choice for choice in choices if type(choice) is dict]


def _number(choice: JSONObject) -> int:
    index = choice.get("index")
    return index if type(index) is int else 0
