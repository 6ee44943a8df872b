"""The arguments of a tool call: repaired while they stream, or as a whole.

`LiveArguments` forwards every piece at once, so that a file is seen growing while it is written. It repairs
models' mistakes where the meaning is beyond doubt, and reports what cannot be repaired. `input_of` does the
same for a whole text, with the same reader.

See docs/conversion.md, "Tool calls" and "Calls in a stream".
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from gateway import patterns
from gateway.conversion.tool_calls.object_literal import object_literal
from gateway.conversion.tool_calls.object_reader import (
    EMPTY,
    Completeness,
    MalformedArguments,
    ObjectReader,
    without_placeholders,
)
from gateway.wire import jsontext
from gateway.wire.messages import JSONObject

# Anthropic's guide to fine-grained streaming uses this key for the purpose: a client that checks schemas
# answers with an error result, and the model corrects itself.
INVALID: Final = "INVALID_JSON"

_FENCE: Final = patterns.compiled(r"\A\s*```[A-Za-z0-9_]*\s*\n?(.*?)(?:```.*)?\Z", patterns.DOTALL)


class CallEnding(Enum):
    """Why nothing more comes for a call. It decides what an unfinished one may become."""

    OVER = "the model has finished the call: arguments that never came are an empty object"
    LIMIT = "a token limit ended the answer: what is unfinished is sent as it is"
    FILTER = "the content filter ended the answer: what is unfinished must not run"
    UNTOLD = "nobody says that the model has finished: what is unfinished must not run"


class LiveArguments(ObjectReader):
    """Forwards arguments as they come.

    `feed` takes a piece and returns what of it may be sent; `finish` returns what is left to send at the end.
    Arguments that do not begin like a JSON object are kept and interpreted as a whole at the end. Both raise
    MalformedArguments when a part was sent and the rest cannot be repaired.
    """

    __slots__ = ()

    def finish(self, ending: CallEnding) -> str:
        """What is left to send. At a token limit the object stays open, even one without any argument.

        Clients take a call without a delta for one with an empty object, hence the lone brace.
        """
        if self.complete:
            return ""
        if not self._forwarded:
            if self.standing in EMPTY and ending is CallEnding.OVER:
                return "{}"
            kept = self.kept
            if kept is not None:
                value, self.repaired = input_of(kept)
                return jsontext.dumps_text(value)
        if ending is not CallEnding.LIMIT:
            raise MalformedArguments
        return "" if self._forwarded else "{"


class BufferedArguments:
    """Keeps arguments until all have come, then gives the checked object in one piece.

    What comes as a whole object is parsed at once: reading it character by character, to know how far it is,
    takes ten to twenty times as long.
    """

    __slots__ = ("_broken", "_raw", "_reader", "_value", "behind", "repaired")

    def __init__(self) -> None:
        self._raw: list[str] = []
        self._value: JSONObject | None = None  # all of it, when it came in one piece
        self._reader: ObjectReader | None = None  # only to know how complete they are
        self._broken = False
        self.behind = ""
        self.repaired = False

    @property
    def complete(self) -> bool:
        return self._value is not None or (
            self._reader is not None and not self._broken and self._reader.complete
        )

    @property
    def placeholder(self) -> bool:
        return self._reader is not None and self._reader.placeholder

    @property
    def standing(self) -> Completeness:
        if self._value is not None:
            return Completeness.WHOLE
        if self._reader is None:
            return Completeness.NOTHING
        return Completeness.PARTIAL if self._broken else self._reader.standing

    def feed(self, text: str) -> str:
        if self._reader is None:
            if not self._raw:
                self._value = _object_of(text)
            elif text and not text.isspace():
                self._value, self._reader = None, ObjectReader()
                self._reader.feed(self.raw)
            if self._value is not None:
                self._raw.append(text)
                return ""
            self._reader = self._reader or ObjectReader()
        if not self._broken:
            try:
                self._reader.feed(text)
            except MalformedArguments:
                self._broken = True
        behind, self._reader.behind = self._reader.behind, ""
        self.behind += behind
        self._raw.append(text.removesuffix(behind))
        return ""

    @property
    def raw(self) -> str:
        """What has come."""
        return "".join(self._raw)

    @property
    def as_it_stands(self) -> bool:
        """Nothing has to be repaired or disambiguated: it is one object, or stands for none."""
        return self._value is not None or (not self.behind and self.standing in EMPTY)

    @property
    def input(self) -> JSONObject:
        """The object that they are; `repaired` says whether they had to be mended for it."""
        if self._value is not None:
            return self._value
        value, self.repaired = input_of(self.raw)
        return value

    def finish(self, ending: CallEnding) -> str:
        """The checked object; what was cut before the first argument is told as unusable."""
        if self.standing in EMPTY and ending is not CallEnding.OVER:
            if ending is not CallEnding.LIMIT:
                raise MalformedArguments
            return jsontext.dumps_text({INVALID: self.raw})
        return jsontext.dumps_text(self.input)


class FreeformArguments:
    """The text of a custom tool call: not JSON, so the client gets it as {"input": text}."""

    __slots__ = ("_raw", "behind", "repaired")

    complete: Final = False
    placeholder: Final = False

    def __init__(self) -> None:
        self._raw: list[str] = []
        self.behind = ""
        self.repaired = False

    @property
    def standing(self) -> Completeness:
        return Completeness.PARTIAL if self._raw else Completeness.NOTHING

    def feed(self, text: str) -> str:
        self._raw.append(text)
        return ""

    def finish(self, ending: CallEnding) -> str:
        """Nothing shows whether a text is whole: one that may be cut is not handed on as whole."""
        text = "".join(self._raw)
        if ending is CallEnding.OVER:
            return jsontext.dumps_text(freeform_input(text))
        if ending is CallEnding.LIMIT:
            return jsontext.dumps_text({INVALID: text})
        raise MalformedArguments


Arguments = LiveArguments | BufferedArguments | FreeformArguments


def freeform_input(text: str) -> JSONObject:
    """The input of a custom tool call."""
    return {"input": text}


def arguments_text(arguments: object) -> str:
    """The arguments of a call or fragment as text; providers also send objects, and null."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else jsontext.dumps_text(arguments)


def input_of(arguments: object) -> tuple[JSONObject, bool]:
    """The input object of whole arguments, and whether they had to be repaired.

    What is not an object and cannot be made one is wrapped: {"INVALID_JSON": raw text}.
    """
    if isinstance(arguments, dict):
        return arguments, False
    raw = arguments_text(arguments)
    text = without_placeholders(raw)
    if not text:
        return {}, False
    value = _parsed(text)
    if isinstance(value, dict):
        return value, False
    if isinstance(value, str):
        value = _parsed(value) or _mended(value)  # encoded twice
    elif value is None:
        value = _mended(text)
    return (value, True) if isinstance(value, dict) else ({INVALID: raw}, True)


def is_whole(arguments: object) -> bool:
    """Whether whole arguments are an object (or nothing), however it is written."""
    return isinstance(arguments, dict) or INVALID not in input_of(arguments)[0]


def same_arguments(one: str, other: str) -> bool:
    """Whether two whole texts give a call the same input."""
    return one == other or input_of(one)[0] == input_of(other)[0]


def _object_of(text: str) -> JSONObject | None:
    """The object that a text is as it stands; None for an empty one, which may be a placeholder."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    value = _parsed(text)
    return value if isinstance(value, dict) and value else None


def _parsed(text: str) -> Any:
    try:
        return jsontext.loads(text)
    except jsontext.InvalidJSON:
        return None


def _mended(raw: str) -> Any:
    fenced = _FENCE.match(raw)
    text = raw if fenced is None else fenced[1]
    reader = ObjectReader()
    sent = reader.feed(text)
    if reader.standing is Completeness.PLACEHOLDER:
        return {}
    if reader.behind and fenced is not None:
        return None  # the object behind it would be lost without a word
    return _parsed(sent) if reader.complete else object_literal(text)
