"""Thoughts: the reasoning of a streamed response, told once, and what the provider wants back of it.

A provider tells its reasoning as a summary, as its full text, or both. The one that is told first is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.conversion.answers.output import Pieces
from gateway.conversion.answers.writing.writer import AnswerWriter
from gateway.conversion.context import AnswerContext
from gateway.conversion.openai_responses.items import REASONING_TEXT
from gateway.conversion.openai_responses.told_items import ToldItem, part_index, part_text, parts_of
from gateway.wire.lenient import text_of
from gateway.wire.messages import JSONObject

# types of the parts of an item of reasoning
THOUGHTS: Final = ("reasoning_text", "summary_text")
SUMMARY: Final = "summary"
FULL_TEXT: Final = "content"


def thought_place(event: Mapping[str, object]) -> tuple[str, int]:
    """Which part of the reasoning an event is about: of the summary or of the full text, and its place."""
    if "summary_index" in event:
        return SUMMARY, part_index(event, "summary_index")
    return FULL_TEXT, part_index(event, "content_index")


class Thoughts:
    """The reasoning of one response; what is told of an item stands in the item."""

    __slots__ = ("_context", "_said", "_writer")

    def __init__(self, context: AnswerContext, writer: AnswerWriter) -> None:
        self._context, self._writer = context, writer
        self._said: dict[int, ToldItem] = {}  # reasoning since the last item began, by identity

    def add(self, told: ToldItem, source: str, part: int, text: str) -> None:
        """More of a part. Its parts are paragraphs."""
        if not text or told.source not in ("", source):
            return
        if told.source and part not in told.parts:
            text = "\n\n" + text
        told.source = source
        self._said[id(told)] = told
        told.parts.setdefault(part, Pieces()).add(text)
        self._writer.thinking(text, "")

    def whole(self, told: ToldItem, source: str, part: int, text: str) -> None:
        """A part as a whole: what of it was not told is told now."""
        if told.source in ("", source):
            known = told.parts.get(part)
            said = "" if known is None else known.text
            if text.startswith(said):
                self.add(told, source, part, text.removeprefix(said))

    def parts_of(self, told: ToldItem, item: Mapping[str, object]) -> None:
        """All parts of a whole item."""
        source = _source(told, item)
        for number, part in enumerate(parts_of(item.get(source))):
            self.whole(told, source, number, part_text(part))

    def end_others(self, but: ToldItem | None = None) -> None:
        """Another item begins, or the response is over: reasoning without an end of its own ends here."""
        said, self._said = self._said, {}
        for at, told in said.items():
            if told is but:
                self._said[at] = told
            elif not told.ended:
                self.end(told, told.announced)

    def end(self, told: ToldItem, item: Mapping[str, object]) -> None:
        """The item is whole and its parts are told: its block ends with what the provider wants back.

        It may be told as a whole more than once; what the provider wants back travels once.
        """
        if told.sealed:
            return
        encrypted = text_of(item.get("encrypted_content"))
        if not told.source:
            if not encrypted:
                return
            told.source = _source(told, item)
            self._writer.thinking("", "")
        sealed: JSONObject = {"ri": text_of(item.get("id"))}
        shown = self._context.thinking_shown
        whole = "\n\n".join(filter(None, map(part_text, parts_of(item.get("content")))))
        if told.source == FULL_TEXT:
            whole = whole or "".join(part.text for part in told.parts.values())
        if encrypted:
            sealed["ec"] = encrypted
        elif whole:
            sealed["f"] = REASONING_TEXT  # such a server wants the text itself back
            if not shown or told.source != FULL_TEXT:
                sealed["t"] = whole
        elif not shown:
            return  # a summary is nothing that the provider takes back
        told.sealed = len(sealed) > 1
        self._writer.end_thinking(sealed, needed=told.sealed)


def _source(told: ToldItem, item: Mapping[str, object]) -> str:
    return told.source or (SUMMARY if parts_of(item.get("summary")) else FULL_TEXT)
