"""ResponsesStream: the typed events of a Responses stream in, the events of one message out (section 8.1).

A response is a list of items: reasoning, messages, calls, searches. Each is
announced, told in deltas, and then repeated whole. What was told in deltas is
not taken from the repetition; what was not, is, and so a whole response is the
same thing without the deltas (`respond`).

The message is not started by `response.created`, which says only that the
provider listens: an error may still come, and until the first item it can be an
honest HTTP error. The end is `response.completed` or `response.incomplete`, and
nothing else: not `[DONE]`, not the end of the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.conversion import stops, upstream_errors
from gateway.conversion.citations import citations_of
from gateway.conversion.context import AnswerContext
from gateway.conversion.converted_stream import CUT, NOTHING, ConvertedStream
from gateway.conversion.ledger import Ledger
from gateway.conversion.responses.search import search_blocks
from gateway.conversion.stops import Finish
from gateway.conversion.tool_args import arguments_text, is_whole
from gateway.conversion.tool_calls import CallPiece
from gateway.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from gateway.wire.messages import Event

JSONObject = dict[str, Any]

_INCOMPLETE: Final = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.FILTERED}


@dataclass(slots=True)
class _Told:
    """What deltas have told of an item. `parts`: the content parts; `source`: which reasoning is read."""

    parts: set[int] = field(default_factory=set)
    source: str = ""
    named: bool = False
    arguments: bool = False


class ResponsesStream(ConvertedStream):
    """One streamed response."""

    def __init__(self, context: AnswerContext, ledger: Ledger) -> None:
        super().__init__(context, ledger)
        self._items: dict[int | str, _Told] = {}
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
        error = upstream_errors.error_inside(event, self._context)
        if error is not None:
            self._error(error)
        elif type(kind) is not str or not kind.startswith("response."):
            self.skipped += 1

    def _upstream_ended(self, *, told: bool) -> None:
        self._writer.fail(UpstreamBroken(CUT if self.chunks else NOTHING))

    # Items

    def _item(self, event: JSONObject) -> _Told:
        """What is known of the item that an event is about."""
        self._begin()
        return self._items.setdefault(_key(event), _Told())

    def _added(self, event: JSONObject) -> None:
        told, item = self._item(event), _object(event.get("item"))
        if item.get("type") == "function_call":
            self._call(event, told, item, arguments="")

    def _done(self, event: JSONObject) -> None:
        told, item = self._item(event), _object(event.get("item"))
        match item.get("type"):
            case "reasoning":
                self._reasoned(told, item)
            case "message":
                for index, part in enumerate(_objects(item.get("content"))):
                    if index not in told.parts:
                        self._part(part)
                self._end_text()
            case "function_call":
                self._called(event, told, item)
            case "web_search_call":
                self._searched(item)
            case kind:
                self._ledger.dropped("content", f"an output item of type {_text(kind)[:40] or 'unknown'}")

    # Text

    def _text_delta(self, event: JSONObject) -> None:
        self._item(event).parts.add(_index(event, "content_index"))
        self._say(_text(event.get("delta")))

    def _refusal_delta(self, event: JSONObject) -> None:
        self._item(event).parts.add(_index(event, "content_index"))
        self._refuse(_text(event.get("delta")))

    def _part_ended(self, event: JSONObject) -> None:
        """A part that no delta told is told by the end of its item."""
        if _index(event, "content_index") in self._item(event).parts:
            self._end_text()

    def _part(self, part: JSONObject) -> None:
        """A content part as a whole."""
        if self._writer.state.over:
            return
        if part.get("type") == "refusal":
            self._refuse(_text(part.get("refusal")))
        else:
            self._say(_text(part.get("text")))
            for annotation in _objects(part.get("annotations")):
                self._cite(annotation)
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
        told = self._item(event)
        self._think(told, "summary", _index(event, "summary_index"), _text(event.get("delta")))

    def _reasoning_delta(self, event: JSONObject) -> None:
        told = self._item(event)
        self._think(told, "content", _index(event, "content_index"), _text(event.get("delta")))

    def _think(self, told: _Told, source: str, part: int, text: str) -> None:
        """Of summary and full text the one that is told first is shown, its parts as paragraphs."""
        if not text or told.source not in ("", source):
            return
        if told.source and part not in told.parts:
            text = "\n\n" + text
        told.source = source
        told.parts.add(part)
        self._writer.thinking(text, "")

    def _reasoned(self, told: _Told, item: JSONObject) -> None:
        """The item is whole: its block ends with what the provider wants back."""
        encrypted = _text(item.get("encrypted_content"))
        if not told.source:
            summary = _objects(item.get("summary")) or _objects(item.get("content"))
            text = "\n\n".join(said for part in summary if (said := _text(part.get("text"))))
            if not text and not encrypted:
                return
            self._writer.thinking(text, "")
        sealed = {"ri": _text(item.get("id")), "ec": encrypted} if encrypted else {}
        self._writer.end_thinking(sealed)

    # Calls

    def _arguments_delta(self, event: JSONObject) -> None:
        told = self._item(event)
        delta = _text(event.get("delta"))
        if delta:
            told.arguments = True
            self._call(event, told, {}, arguments=delta)

    def _called(self, event: JSONObject, told: _Told, item: JSONObject) -> None:
        arguments = "" if told.arguments else arguments_text(item.get("arguments"))
        if self._finish is Finish.FILTERED and not told.arguments and not is_whole(arguments):
            self._ledger.dropped("content.tool_use", "the content filter cut the tool call off")
            return
        if not told.arguments and not arguments.strip():
            arguments = "{}"
        self._call(event, told, item, arguments=arguments)
        self._writer.end_call()

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
        self._finish = _finish_of(response)
        self._begin()
        if not self._items:
            for index, item in enumerate(_objects(response.get("output"))):
                if not self._writer.state.over:
                    self._done({"output_index": index, "item": item})
        self._read_counts(response)
        if not self._writer.state.over:
            self._complete()

    def _failed(self, event: JSONObject) -> None:
        self._error(failure_of(_object(event.get("response")), self._context) or _ended_badly())

    def _read_counts(self, response: JSONObject) -> None:
        self._tier = response.get("service_tier", self._tier)
        usage = response.get("usage")
        if isinstance(usage, dict) and usage:
            self._counts = _counts(usage, self._searches)


def failure_of(response: JSONObject, context: AnswerContext) -> UpstreamError | None:
    """The error that a response stands for by its status or by an error in it; None when it is an answer."""
    error = upstream_errors.error_inside(response, context)
    if error is not None:
        return error
    if response.get("status") == "cancelled":
        return UpstreamRejected("the upstream provider cancelled the response")
    return _ended_badly() if response.get("status") == "failed" else None


def _ended_badly() -> UpstreamError:
    failure = stops.failure_of(Finish.ERROR)
    assert failure is not None
    return failure


def _finish_of(response: JSONObject) -> Finish:
    if response.get("status") in ("completed", None):
        return Finish.STOP
    reason = _object(response.get("incomplete_details")).get("reason")
    return _INCOMPLETE.get(reason, Finish.UNKNOWN) if isinstance(reason, str) else Finish.UNKNOWN


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


_READERS: Final[dict[str, Callable[[ResponsesStream, JSONObject], None]]] = {
    "response.created": ResponsesStream._listening,
    "response.in_progress": ResponsesStream._listening,
    "response.queued": ResponsesStream._listening,
    "response.output_item.added": ResponsesStream._added,
    "response.output_item.done": ResponsesStream._done,
    "response.content_part.done": ResponsesStream._part_ended,
    "response.output_text.delta": ResponsesStream._text_delta,
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
