"""ResponsesStream: the typed events of a Responses stream in, the events of one message out.

A response is a list of items: reasoning, messages, calls, searches. Each is announced, told in deltas, and
then repeated whole, up to twice: by its own end and by the end of the response. A repetition adds only what
was not told before, so a whole response is the same thing without the deltas (`respond`). Calls are told
apart by the table of `call_table`.

`response.created` does not start the message: an error may still come, and until the first item it can be an
HTTP error. Only `response.completed` or `response.incomplete` is the end, not `[DONE]` and not the end of
the connection.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.conversion import repairs
from gateway.conversion.answers import stop_reasons
from gateway.conversion.answers.base_stream import CUT, NOTHING, ConvertedStream
from gateway.conversion.answers.citations import citations_of
from gateway.conversion.answers.output import Pieces
from gateway.conversion.answers.stop_reasons import Finish
from gateway.conversion.answers.usage import latest
from gateway.conversion.answers.writing.block_writers import ToolBlock
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.event_types import READER_OF
from gateway.conversion.openai_responses.items import search_blocks
from gateway.conversion.openai_responses.response_end import counts_of, ended_badly, failure_of, finish_of
from gateway.conversion.openai_responses.thoughts import FULL_TEXT, SUMMARY, THOUGHTS, Thoughts, thought_place
from gateway.conversion.openai_responses.told_items import (
    ToldItem,
    ToldItems,
    part_index,
    part_text,
    parts_of,
    rest_of,
    says_something,
    unfinished,
    whole_call,
)
from gateway.conversion.tool_calls.answer_calls import CallPiece, name_and_arguments
from gateway.conversion.tool_calls.arguments import arguments_text
from gateway.conversion.tool_calls.object_reader import EMPTY, MalformedArguments
from gateway.errors import UpstreamBroken
from gateway.wire.lenient import object_of, objects_of, text_of
from gateway.wire.messages import Event, JSONObject


class ResponsesStream(ConvertedStream):
    """One streamed response."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        self._items = ToldItems()
        self._thoughts = Thoughts(context, self._writer)
        self._searches = 0
        self._begun: list[ToldItem] = []  # with parts that began since the last item did
        self._cut_calls: list[ToolBlock] = []  # their items say that they are incomplete
        self._part_text: list[str] = []  # of the open text, for its citations

    def respond(self, response: Mapping[str, object]) -> list[Event]:
        """The events of a whole response, which has not failed. Nothing is raised, as in `feed`."""
        told = self._taken(lambda: self._completed({"response": response}))
        return [event for event in told if not isinstance(event, bytes)]

    def _read_data(self, event: JSONObject) -> None:
        kind = event.get("type")
        read = _READERS.get(kind) if type(kind) is str else None
        if read is not None:
            self.chunks += 1
            read(self, event)
            return
        error = upstream.error_inside(event, self._context)
        if error is not None:
            self._error(error)
        elif type(kind) is not str or not kind.startswith("response."):
            self.skipped += 1

    def _upstream_ended(self, *, told: bool) -> None:
        self._writer.fail(UpstreamBroken(CUT if self.chunks else NOTHING))

    def _named(self, name: str, data: JSONObject) -> JSONObject:
        """Some servers tell the type of an event in its name alone."""
        return data if "type" in data or name not in _READERS else {**data, "type": name}

    # Items

    def _item(self, event: JSONObject, kind: str = "") -> ToldItem:
        """What is known of the item that an event is about."""
        self._begin()
        known = len(self._items.in_order)
        told = self._items.about(event, kind)
        if len(self._items.in_order) != known:
            self._thoughts.end_others(told)
        return told

    def _added(self, event: JSONObject) -> None:
        item = object_of(event.get("item"))
        kind, call_id = text_of(item.get("type")), text_of(item.get("call_id"))
        self._begin()
        self._tell_begun()
        told = self._items.at(event)
        if told is None or told.ended or (told.kind, told.call_id) not in ((kind, call_id), ("", "")):
            # where all items have one place in the output, this begins the next
            told = self._items.add(event, kind)
        told.kind, told.call_id, told.announced = kind, call_id, item
        self._items.announce(told, item)
        self._thoughts.end_others(told)
        if told.kind == "function_call":
            self._call(told, item, arguments="")
            if arguments_text(item.get("arguments")).strip():
                self._again([whole_call(told.key, item)])

    def _done(self, event: JSONObject) -> None:
        item = object_of(event.get("item"))
        self._ended(self._item(event, text_of(item.get("type"))), item)

    def _ended(self, told: ToldItem, item: JSONObject) -> None:
        """An item as a whole: what of it was not told is told now."""
        told.kind, told.ended = text_of(item.get("type")), True
        match item.get("type"):
            case "reasoning":
                self._reasoned(told, item)
            case "message":
                for index, part in enumerate(parts_of(item.get("content"))):
                    self._part(told, index, part)
                self._begun_parts(told)
                self._end_text()
            case "function_call":
                self._called(told, item)
            case "web_search_call":
                self._searched(item)
            case kind:
                self._ledger.dropped("content", f"an output item of type {text_of(kind)[:40] or 'unknown'}")

    # Text

    def _text_delta(self, event: JSONObject) -> None:
        text = text_of(event.get("delta"))
        told, index = self._item(event, "message"), part_index(event, "content_index")
        begun = told.begun.get(index)
        if begun is not None and text:
            # deltas begin where the part began, or go on from there
            if not part_text(begun).startswith(text):
                self._part(told, index, begun)
            told.begun.pop(index, None)
        self._told_part(told, event).add(text)
        self._say(text)

    def _refusal_delta(self, event: JSONObject) -> None:
        text = text_of(event.get("delta"))
        self._told_part(self._item(event, "message"), event).add(text)
        self._refuse(text)

    def _told_part(self, told: ToldItem, event: JSONObject) -> Pieces:
        return told.parts.setdefault(part_index(event, "content_index"), Pieces())

    def _text_done(self, event: JSONObject) -> None:
        """The text or refusal of a part as a whole; what else the part has comes with its end."""
        pieces = self._told_part(self._item(event, "message"), event)
        if "refusal" in event:
            self._refuse(rest_of(pieces, text_of(event["refusal"]), self._ledger))
        else:
            self._say(rest_of(pieces, part_text(event), self._ledger))

    def _part_begun(self, event: JSONObject) -> None:
        """A part that holds something already; what nobody tells again is told when its item is over."""
        part = object_of(event.get("part"))
        if not says_something(part):
            return
        if part.get("type") in THOUGHTS:
            told, index = self._item(event, "reasoning"), thought_place(event)[1]
        else:
            told, index = self._item(event, "message"), part_index(event, "content_index")
        told.begun[index] = part
        self._begun.append(told)

    def _begun_parts(self, told: ToldItem, before: int | None = None) -> None:
        for index, part in told.untold(before):
            if part.get("type") in THOUGHTS:
                source = SUMMARY if part["type"] == "summary_text" else FULL_TEXT
                self._thoughts.whole(told, source, index, part_text(part))
            else:
                self._part(told, index, part)

    def _tell_begun(self) -> None:
        """Another item begins, or the response is over: what was told of the items before is said now."""
        begun, self._begun = self._begun, []
        for told in begun:
            if not told.ended:
                self._begun_parts(told)

    def _part_ended(self, event: JSONObject) -> None:
        part = object_of(event.get("part"))
        if part.get("type") in THOUGHTS:
            self._thought_done({**event, "text": part_text(part)})
            return
        told, index = self._item(event, "message"), part_index(event, "content_index")
        if says_something(part):
            self._begun_parts(told, before=index)
            self._part(told, index, part)
        else:
            self._begun_parts(told)
        self._end_text()

    def _part(self, told: ToldItem, index: int, part: JSONObject) -> None:
        """A content part as a whole."""
        if self._writer.state.over:
            return
        known = index in told.parts
        pieces = told.parts.setdefault(index, Pieces())
        if part.get("type") == "refusal":
            self._refuse(rest_of(pieces, text_of(part.get("refusal")), self._ledger))
        else:
            self._say(rest_of(pieces, part_text(part), self._ledger))
            if not known:
                for annotation in objects_of(part.get("annotations")):
                    self._cite(annotation)
        if not known:
            self._end_text()

    def _say(self, text: str) -> None:
        if not text:
            return
        if self._context.web_search_active:
            self._part_text.append(text)
        if self._filters is None:
            self._writer.text(text)
            return
        self._filtered(self._filters.feed(text))
        if self._filters.matched is not None:
            self._complete()

    def _refuse(self, text: str) -> None:
        if text:
            self._refusal.append(text)
            self._writer.text(text)

    def _end_text(self) -> None:
        if self._writer.state.over:
            return  # at a stop sequence
        self._flush()
        self._part_text.clear()
        self._writer.end_text()

    def _annotated(self, event: JSONObject) -> None:
        self._item(event)
        self._cite(object_of(event.get("annotation")))

    def _cite(self, annotation: JSONObject) -> None:
        text = "".join(self._part_text)
        found = citations_of({"annotations": [annotation]}, text, self._context, self._ledger)
        if found and not self._writer.cite(found):
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    # Reasoning

    def _summary_delta(self, event: JSONObject) -> None:
        told, part = self._item(event, "reasoning"), part_index(event, "summary_index")
        self._thoughts.add(told, SUMMARY, part, text_of(event.get("delta")))

    def _reasoning_delta(self, event: JSONObject) -> None:
        told, part = self._item(event, "reasoning"), part_index(event, "content_index")
        self._thoughts.add(told, FULL_TEXT, part, text_of(event.get("delta")))

    def _thought_done(self, event: JSONObject) -> None:
        """A part of the reasoning as a whole."""
        self._thoughts.whole(self._item(event, "reasoning"), *thought_place(event), part_text(event))

    def _reasoned(self, told: ToldItem, item: JSONObject) -> None:
        self._thoughts.parts_of(told, item)
        self._begun_parts(told)
        self._thoughts.end(told, item)

    # Calls

    def _arguments_delta(self, event: JSONObject) -> None:
        told = self._item(event, "function_call")
        if delta := arguments_text(event.get("delta")):
            self._call(told, {}, arguments=delta)

    def _arguments_done(self, event: JSONObject) -> None:
        told = self._item(event, "function_call")
        if event.get("name") and not told.named:
            self._call(told, {"name": event["name"]}, arguments="")
        if arguments_text(event.get("arguments")).strip():
            self._again([whole_call(told.key, {"arguments": event["arguments"]})])

    def _called(self, told: ToldItem, item: JSONObject) -> None:
        piece = whole_call(told.key, item)
        told.named = told.named or bool(piece.name)
        if self._finish is Finish.FILTERED and unfinished(piece, completed=item.get("status") == "completed"):
            self._ledger.repair(repairs.CALL_CUT)
            return
        self._again([piece])
        self._writer.end_call(whole=bool(piece.arguments) and item.get("status") == "completed")

    def _again(self, pieces: list[CallPiece]) -> None:
        self._flush()
        calls = self._writer.told_again(pieces, placed=all(type(piece.key) is int for piece in pieces))
        for piece, call in zip(pieces, calls, strict=True):
            if piece.raw.get("status") == "incomplete":
                self._cut_calls.append(call)

    def _call(self, told: ToldItem, item: JSONObject, *, arguments: str) -> None:
        self._flush()
        name = "" if told.named else name_and_arguments(item.get("name"), None)[0]
        call_id = "" if told.named else text_of(item.get("call_id"))
        told.named = told.named or bool(name)
        piece = CallPiece(told.key, call_id, name, arguments, False, item, named=told.named)
        self._writer.fragment(piece)

    # Searches

    def _searched(self, item: JSONObject) -> None:
        blocks = search_blocks(item, self._context.new_id("srvtoolu_"))
        if not blocks:
            self._ledger.dropped("content", "a step of the web search that is no query")
            return
        self._searches += 1
        self._end_text()
        for block in blocks:
            self._writer.server_block(block)

    # Begin and end

    def _listening(self, event: JSONObject) -> None:
        self._read_counts(object_of(event.get("response")))

    def _completed(self, event: JSONObject) -> None:
        response = object_of(event.get("response"))
        cut = event.get("type") == "response.incomplete"
        finish = finish_of(response, cut=cut)
        error = failure_of(response, self._context) or stop_reasons.failure_of(finish)
        if error is not None:
            self._error(error)
            return
        self._finish = finish
        self._begin()
        self._told_again(objects_of(response.get("output")))
        if not self._writer.state.over:
            self._tell_begun()
        for told in [one for one in self._items.in_order if not (one.ended or one.parts) and one.announced]:
            if told.kind == "message" and not self._writer.state.over:
                self._ended(told, told.announced)
        if not (self._writer.state.over or self._writer.output.something):
            self._say(text_of(response.get("output_text")))
        self._read_counts(response if response.get("usage") else event)
        if not self._writer.state.over:
            self._thoughts.end_others()
            finish = self._finish = finish_of(response, cut=cut, called=bool(self._writer.calls))
            if finish in (Finish.STOP, Finish.UNKNOWN) and any(
                call.standing in EMPTY for call in self._cut_calls
            ):
                raise MalformedArguments
            if finish is Finish.STOP and self._writer.calls:
                self._finish = Finish.CALLS  # a status tells no calls apart
            self._complete()

    def _told_again(self, output: list[JSONObject]) -> None:
        """All items once more: each is the next of its kind that was told, or a new one."""
        told = list(self._items.in_order)
        calls = []
        for index, item in enumerate(output):
            if self._writer.state.over:
                return
            kind = text_of(item.get("type"))
            if kind == "function_call" and told:
                calls.append(whole_call(None, item))
                continue
            known = next((one for one in told if one.kind == kind), None)
            if known is None:
                self._done({"output_index": index if not told else f"again {index}", "item": item})
            else:
                told.remove(known)
                if not known.ended or kind == "message" or (kind == "reasoning" and not known.source):
                    self._ended(known, item)
        if calls and not self._writer.state.over:
            self._again(calls)

    def _failed(self, event: JSONObject) -> None:
        self._error(failure_of(object_of(event.get("response")), self._context) or ended_badly())

    def _read_counts(self, response: JSONObject) -> None:
        self._tier = response.get("service_tier", self._tier)
        usage = response.get("usage")
        if isinstance(usage, dict) and usage:
            self._counts = latest(self._counts, counts_of(usage, self._searches), self._ledger)


_READERS: Final[dict[str, Callable[[ResponsesStream, JSONObject], None]]] = {
    kind: getattr(ResponsesStream, name) for kind, name in READER_OF.items()
}
