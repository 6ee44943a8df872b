"""ResponsesStream: the typed events of a Responses stream in, the events of one message out.

A response is a list of items: reasoning, messages, calls, searches. Each is
announced, told in deltas, and then repeated whole, up to twice: by its own end and
by the end of the response. Servers leave out any of these. What was told is not taken
from a repetition; what was not, is, and so a whole response is the same thing without
the deltas (`respond`). Which item an event is about is told by its place in the output,
else by its id, else it is the latest one; ids may change between events. Calls are told
apart by the table of `call_table`.

The message is not started by `response.created`, which says only that the
provider listens: an error may still come, and until the first item it can be an
honest HTTP error. The end is `response.completed` or `response.incomplete`, and
nothing else: not `[DONE]`, not the end of the connection.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.conversion import repairs
from gateway.conversion.answers import stop_reasons
from gateway.conversion.answers.base_stream import CUT, NOTHING, ConvertedStream
from gateway.conversion.answers.citations import citations_of
from gateway.conversion.answers.output import Pieces
from gateway.conversion.answers.stop_reasons import Finish
from gateway.conversion.answers.usage import latest
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.items import REASONING_TEXT, search_blocks
from gateway.conversion.tool_calls.answer_calls import CallPiece
from gateway.conversion.tool_calls.arguments import arguments_text, is_whole
from gateway.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from gateway.wire.messages import Event, JSONObject


@dataclass(slots=True)
class _Told:
    """What has been told of an item. `parts`: its text by part; `source`: which reasoning is read.

    `announced`: what it held when it was announced; of a call, its `call_id`.
    """

    kind: str = ""
    call_id: str = ""
    announced: JSONObject = field(default_factory=dict)
    parts: dict[int, Pieces] = field(default_factory=dict)
    source: str = ""
    named: bool = False
    ended: bool = False  # told as a whole


class ResponsesStream(ConvertedStream):
    """One streamed response."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        self._items: dict[int | str, _Told] = {}
        self._told: list[_Told] = []  # in the order of the output
        self._searches = 0
        self._part_text: list[str] = []  # of the open text, for its citations

    def respond(self, response: JSONObject) -> list[Event]:
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

    # Items

    def _item(self, event: JSONObject, kind: str = "") -> _Told:
        """What is known of the item that an event is about."""
        self._begin()
        told = self._items.get(_key(event))
        strange = told is not None and bool(kind and told.kind) and told.kind != kind
        if strange or (told is None and kind and type(event.get("output_index")) is not int):
            # an id that nobody has announced, or one place for all items: the item that is under way
            told = next((one for one in reversed(self._told) if one.kind == kind), None)
            told = None if told is None or told.ended else told
        return told or self._new_item(event, kind)

    def _new_item(self, event: JSONObject, kind: str) -> _Told:
        self._begin()
        told = self._items[_key(event)] = _Told(kind)
        self._told.append(told)
        return told

    def _added(self, event: JSONObject) -> None:
        item = _object(event.get("item"))
        kind, call_id = _text(item.get("type")), _text(item.get("call_id"))
        told = self._items.get(_key(event))
        if told is None or told.ended or (told.kind, told.call_id) not in ((kind, call_id), ("", "")):
            # where all items have one place in the output, this begins the next
            told = self._new_item(event, kind)
        told.kind, told.call_id, told.announced = kind, call_id, item
        if told.kind == "function_call":
            self._call(event, told, item, arguments="")
            if _text(item.get("arguments")).strip():
                self._again([self._whole_call(event, item)])

    def _done(self, event: JSONObject) -> None:
        item = _object(event.get("item"))
        self._ended(event, self._item(event, _text(item.get("type"))), item)

    def _ended(self, event: JSONObject, told: _Told, item: JSONObject) -> None:
        """An item as a whole: what of it was not told is told now."""
        told.kind, told.ended = _text(item.get("type")), True
        match item.get("type"):
            case "reasoning":
                self._reasoned(told, item)
            case "message":
                for index, part in enumerate(_objects(item.get("content"))):
                    self._part(told, index, part)
                self._end_text()
            case "function_call":
                self._called(event, told, item)
            case "web_search_call":
                self._searched(item)
            case kind:
                self._ledger.dropped("content", f"an output item of type {_text(kind)[:40] or 'unknown'}")

    # Text

    def _text_delta(self, event: JSONObject) -> None:
        text = _text(event.get("delta"))
        self._told_part(self._item(event, "message"), event).add(text)
        self._say(text)

    def _refusal_delta(self, event: JSONObject) -> None:
        text = _text(event.get("delta"))
        self._told_part(self._item(event, "message"), event).add(text)
        self._refuse(text)

    def _told_part(self, told: _Told, event: JSONObject) -> Pieces:
        return told.parts.setdefault(_index(event, "content_index"), Pieces())

    def _text_done(self, event: JSONObject) -> None:
        """The text or refusal of a part as a whole; what else the part has comes with its end."""
        pieces = self._told_part(self._item(event, "message"), event)
        if "refusal" in event:
            self._refuse(self._rest(pieces, _text(event["refusal"])))
        else:
            self._say(self._rest(pieces, _text(event.get("text"))))

    def _part_begun(self, event: JSONObject) -> None:
        """A part that holds something already; what nobody tells again is told at the end."""
        part = _object(event.get("part"))
        if _text(part.get("text")) and part.get("type") == "output_text":
            told = self._item(event, "message")
            content = [*_objects(told.announced.get("content")), part]
            told.announced = {"type": "message", "content": content}

    def _part_ended(self, event: JSONObject) -> None:
        part = _object(event.get("part"))
        if part.get("type") in _THOUGHTS:
            self._thought_done({**event, "text": part.get("text")})
        else:
            self._part(self._item(event, "message"), _index(event, "content_index"), part)
            self._end_text()

    def _part(self, told: _Told, index: int, part: JSONObject) -> None:
        """A content part as a whole."""
        if self._writer.state.over:
            return
        known = index in told.parts
        pieces = told.parts.setdefault(index, Pieces())
        if part.get("type") == "refusal":
            self._refuse(self._rest(pieces, _text(part.get("refusal"))))
        else:
            self._say(self._rest(pieces, _text(part.get("text"))))
            if not known:
                for annotation in _objects(part.get("annotations")):
                    self._cite(annotation)
        if not known:
            self._end_text()

    def _rest(self, pieces: Pieces, whole: str) -> str:
        """What of a text has not been told; it is told now."""
        said = pieces.text
        if not whole.startswith(said):
            self._ledger.repair(repairs.TEXT_DIFFERS)
            return ""
        rest = whole.removeprefix(said)
        pieces.add(rest)
        return rest

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
        if self._filters is not None:
            self._filtered(self._filters.flush())
        self._part_text.clear()
        self._writer.end_text()

    def _annotated(self, event: JSONObject) -> None:
        self._item(event)
        self._cite(_object(event.get("annotation")))

    def _cite(self, annotation: JSONObject) -> None:
        text = "".join(self._part_text)
        found = citations_of({"annotations": [annotation]}, text, self._context, self._ledger)
        if found and not self._writer.cite(found):
            self._ledger.dropped("content.text.citations", "citations came when no text was open")

    # Reasoning

    def _summary_delta(self, event: JSONObject) -> None:
        told = self._item(event, "reasoning")
        self._think(told, "summary", _index(event, "summary_index"), _text(event.get("delta")))

    def _reasoning_delta(self, event: JSONObject) -> None:
        told = self._item(event, "reasoning")
        self._think(told, "content", _index(event, "content_index"), _text(event.get("delta")))

    def _thought_done(self, event: JSONObject) -> None:
        """A part of the reasoning as a whole."""
        told = self._item(event, "reasoning")
        source, index = (
            ("summary", "summary_index") if "summary_index" in event else ("content", "content_index")
        )
        self._think_rest(told, source, _index(event, index), _text(event.get("text")))

    def _think_rest(self, told: _Told, source: str, part: int, whole: str) -> None:
        if told.source in ("", source):
            known = told.parts.get(part)
            said = "" if known is None else known.text
            if whole.startswith(said):
                self._think(told, source, part, whole.removeprefix(said))

    def _think(self, told: _Told, source: str, part: int, text: str) -> None:
        """Of summary and full text the one that is told first is shown, its parts as paragraphs."""
        if not text or told.source not in ("", source):
            return
        if told.source and part not in told.parts:
            text = "\n\n" + text
        told.source = source
        told.parts.setdefault(part, Pieces()).add(text)
        self._writer.thinking(text, "")

    def _reasoned(self, told: _Told, item: JSONObject) -> None:
        """The item is whole: its block ends with what the provider wants back."""
        encrypted = _text(item.get("encrypted_content"))
        source = told.source or ("summary" if _objects(item.get("summary")) else "content")
        for number, part in enumerate(_objects(item.get(source))):
            self._think_rest(told, source, number, _text(part.get("text")))
        if not told.source:
            if not encrypted:
                return
            told.source = source
            self._writer.thinking("", "")
        sealed: JSONObject = {"ri": _text(item.get("id"))}
        if encrypted:
            sealed["ec"] = encrypted
        elif told.source == "content":
            sealed["f"] = REASONING_TEXT  # such a server wants the text itself back
            if not self._context.thinking_shown:
                sealed["t"] = "\n\n".join(part.text for part in told.parts.values())
        elif not self._context.thinking_shown:
            return  # a summary is nothing that the provider takes back
        self._writer.end_thinking(sealed)

    # Calls

    def _arguments_delta(self, event: JSONObject) -> None:
        told = self._item(event, "function_call")
        delta = _text(event.get("delta"))
        if delta:
            self._call(event, told, {}, arguments=delta)

    def _arguments_done(self, event: JSONObject) -> None:
        self._item(event, "function_call")
        if _text(event.get("arguments")).strip():
            self._again([self._whole_call(event, {"arguments": event["arguments"]})])

    def _called(self, event: JSONObject, told: _Told, item: JSONObject) -> None:
        piece = self._whole_call(event, item)
        told.named = told.named or bool(piece.name)
        whole = arguments_text(piece.arguments)
        if self._finish is Finish.FILTERED and not is_whole(whole):
            self._ledger.repair(repairs.CALL_CUT)
            return
        self._again([piece])
        self._writer.end_call()

    def _whole_call(self, event: JSONObject, item: JSONObject) -> CallPiece:
        name, call_id = _text(item.get("name")), _text(item.get("call_id"))
        return CallPiece(_key(event), call_id, name, item.get("arguments"), False, item, named=bool(name))

    def _again(self, pieces: list[CallPiece]) -> None:
        if self._filters is not None:
            self._filtered(self._filters.flush())
        placed = all(type(piece.key) is int for piece in pieces)
        self._writer.told_again(pieces, placed=placed)

    def _call(self, event: JSONObject, told: _Told, item: JSONObject, *, arguments: str) -> None:
        if self._filters is not None:
            self._filtered(self._filters.flush())
        name = "" if told.named else _text(item.get("name"))
        call_id = "" if told.named else _text(item.get("call_id"))
        told.named = told.named or bool(name)
        piece = CallPiece(_key(event), call_id, name, arguments, False, item, named=told.named)
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
        self._read_counts(_object(event.get("response")))

    def _completed(self, event: JSONObject) -> None:
        response = _object(event.get("response"))
        finish = _finish_of(response)
        error = failure_of(response, self._context) or stop_reasons.failure_of(finish)
        if error is not None:
            self._error(error)
            return
        self._finish = finish
        self._begin()
        self._told_again(_objects(response.get("output")))
        for told in [one for one in self._told if not (one.ended or one.parts) and one.announced]:
            if told.kind == "message" and not self._writer.state.over:
                self._ended({}, told, told.announced)
        self._read_counts(response)
        if not self._writer.state.over:
            self._complete()

    def _told_again(self, output: list[JSONObject]) -> None:
        """All items once more: each is the next of its kind that was told, or a new one."""
        told = list(self._told)
        calls = []
        for index, item in enumerate(output):
            if self._writer.state.over:
                return
            kind = _text(item.get("type"))
            if kind == "function_call" and told:
                calls.append(self._whole_call({}, item)._replace(key=None))
                continue
            known = next((one for one in told if one.kind == kind), None)
            if known is None:
                self._done({"output_index": index if not told else f"again {index}", "item": item})
            else:
                told.remove(known)
                if not known.ended:
                    self._ended({}, known, item)
        if calls and not self._writer.state.over:
            self._again(calls)

    def _failed(self, event: JSONObject) -> None:
        self._error(failure_of(_object(event.get("response")), self._context) or _ended_badly())

    def _read_counts(self, response: JSONObject) -> None:
        self._tier = response.get("service_tier", self._tier)
        usage = response.get("usage")
        if isinstance(usage, dict) and usage:
            self._counts = latest(self._counts, _counts(usage, self._searches), self._ledger)


def failure_of(response: JSONObject, context: AnswerContext) -> UpstreamError | None:
    """The error that a response stands for by its status or by an error in it; None when it is an answer."""
    error = upstream.error_inside(response, context)
    if error is not None:
        return error
    if response.get("status") == "cancelled":
        return UpstreamRejected("the upstream provider cancelled the response")
    return _ended_badly() if response.get("status") == "failed" else None


def _ended_badly() -> UpstreamError:
    failure = stop_reasons.failure_of(Finish.ERROR)
    assert failure is not None
    return failure


def _finish_of(response: JSONObject) -> Finish:
    if response.get("status") in ("completed", None):
        return Finish.STOP
    reason = _object(response.get("incomplete_details")).get("reason")
    known = stop_reasons.finish_of({"finish_reason": reason})
    return Finish.UNKNOWN if known in (None, Finish.STOP, Finish.CALLS) else known


def _counts(usage: JSONObject, searches: int) -> JSONObject:
    """The numbers of a response in the words of chat, which `usage_of` reads."""
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens": usage.get("output_tokens"),
        "completion_tokens_details": usage.get("output_tokens_details"),
        "server_tool_use": {"web_search_requests": searches},
    }


def _key(event: JSONObject) -> int | str:
    """Which item an event is about: its place in the output, or its id where a server tells no place."""
    place = event.get("output_index")
    if type(place) is int:
        return place
    if type(place) is str:
        return place
    return _text(event.get("item_id")) or _text(_object(event.get("item")).get("id")) or 0


def _index(event: JSONObject, name: str) -> int:
    value = event.get(name)
    return value if type(value) is int else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[JSONObject]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


_THOUGHTS: Final = ("reasoning_text", "summary_text")
_READERS: Final[dict[str, Callable[[ResponsesStream, JSONObject], None]]] = {
    "response.created": ResponsesStream._listening,
    "response.in_progress": ResponsesStream._listening,
    "response.queued": ResponsesStream._listening,
    "response.output_item.added": ResponsesStream._added,
    "response.output_item.done": ResponsesStream._done,
    "response.content_part.added": ResponsesStream._part_begun,
    "response.content_part.done": ResponsesStream._part_ended,
    "response.reasoning_summary_part.done": ResponsesStream._part_ended,
    "response.reasoning_summary_text.done": ResponsesStream._thought_done,
    "response.reasoning_text.done": ResponsesStream._thought_done,
    "response.output_text.delta": ResponsesStream._text_delta,
    "response.output_text.done": ResponsesStream._text_done,
    "response.refusal.done": ResponsesStream._text_done,
    "response.function_call_arguments.done": ResponsesStream._arguments_done,
    "response.output_text.annotation.added": ResponsesStream._annotated,
    "response.refusal.delta": ResponsesStream._refusal_delta,
    "response.reasoning_summary_text.delta": ResponsesStream._summary_delta,
    "response.reasoning_text.delta": ResponsesStream._reasoning_delta,
    "response.function_call_arguments.delta": ResponsesStream._arguments_delta,
    "response.completed": ResponsesStream._completed,
    "response.incomplete": ResponsesStream._completed,
    "response.failed": ResponsesStream._failed,
    "response.cancelled": ResponsesStream._failed,
}
