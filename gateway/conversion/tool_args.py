"""The arguments of a tool call: repaired while they stream, or as a whole (sections 5.5, 6.5).

`LiveArguments` is a small JSON reader that looks at every piece once and
forwards it at once, so a file being written is seen growing. What it lets
through is, at any moment, the beginning of one valid JSON object. It mends what
models get wrong in a way that leaves no doubt, and says so when something
cannot be mended. `input_of` does the same to a whole text, with the same reader.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

from gateway.wire import jsontext

JSONObject = dict[str, Any]

# Anthropic's guide to fine-grained streaming uses this key for the purpose: a client
# that checks schemas answers with an error result, and the model repairs itself.
INVALID: Final = "INVALID_JSON"

_SPECIAL: Final = re.compile(r'["\\\x00-\x1f]')
_TOKEN: Final = re.compile(r'[ \t\n\r]*(?:(["{}\[\]:,])|([^ \t\n\r"{}\[\]:,]+))')
_KEY_TO_STRING: Final = re.compile(r'"[ \t\n\r]*:[ \t\n\r]*"')
_STRING_TO_KEY: Final = re.compile(r'"[ \t\n\r]*,[ \t\n\r]*"')
_BEGIN: Final = re.compile(r'\s*(\{)[ \t\n\r]*["}]')
_MAY_BEGIN: Final = re.compile(r"\s*(?:\{[ \t\n\r]*)?\Z")
_AFTER_COMMA: Final = re.compile(r",[ \t\n\r]*(.)", re.DOTALL)
_LITERAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_ONE_ESCAPE: Final = (
    r'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_ESCAPE: Final = re.compile(_ONE_ESCAPE)
# the inside of a string with nothing to mend: most pieces of most arguments
_INSIDE: Final = re.compile(rf'(?:[^"\\\x00-\x1f]++|{_ONE_ESCAPE})*+\Z')
_HALF_PAIR: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
# an escape that has not arrived completely: a pair of surrogates counts as one
_CUT_ESCAPE: Final = re.compile(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)?)?\Z"
)
_CONTROL: Final = {
    **{chr(code): f"\\u{code:04x}" for code in range(32)},
    **{"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"},
}
_FENCE: Final = re.compile(r"\A\s*```[A-Za-z0-9_]*\s*\n?(.*?)(?:```.*)?\Z", re.DOTALL)
# no number that means anything is longer; a run without end must not be held back without end
_LONGEST_LITERAL: Final = 1024


class MalformedArguments(ValueError):
    """Arguments that were forwarded in part cannot become a JSON object any more."""


class Where(Enum):
    """What may come next."""

    BEGIN = "the opening brace"
    FIRST_KEY = "a key or the end of the object"
    KEY = "a key"
    COLON = "a colon"
    FIRST_ITEM = "an item or the end of the list"
    VALUE = "a value"
    NEXT = "a comma or the end"
    IN_KEY = "the rest of a key"
    IN_STRING = "the rest of a string"
    END = "nothing"
    DEFERRED = "anything: it is looked at when all has come"


class LiveArguments:
    """Forwards arguments as they come.

    `feed` takes a piece and returns what of it may be sent; `finish` gives what is
    left to send at the end. Arguments that do not begin like a JSON object are
    kept and interpreted as a whole at the end. Both raise MalformedArguments when
    a part was sent and the rest cannot be mended.
    """

    __slots__ = ("_forwarded", "_open", "_raw", "_rest", "_where", "repaired")

    def __init__(self) -> None:
        self._where = Where.BEGIN
        self._open: list[str] = []  # the brackets that are open
        self._rest = ""  # a piece that cannot be judged before more comes
        self._raw: list[str] = []  # everything, until something is forwarded
        self._forwarded = False
        self.repaired = False

    @property
    def complete(self) -> bool:
        """The whole object has come."""
        return self._where is Where.END

    def feed(self, text: str) -> str:
        where = self._where
        if (where is Where.IN_STRING or where is Where.IN_KEY) and not self._rest and _INSIDE.match(text):
            return text
        if where is Where.END:
            self.repaired = self.repaired or bool(text.strip())
            return ""
        if not self._forwarded:
            self._raw.append(text)
            if where is Where.DEFERRED:
                return ""
        text = self._rest + text
        self._rest = ""
        try:
            sent = self._read(text)
        except MalformedArguments:
            if self._forwarded:
                raise
            self._where = Where.DEFERRED
            return ""
        if sent and not self._forwarded:
            self._forwarded = True
            self._raw.clear()
        return sent

    def finish(self, *, cut: bool) -> str:
        """`cut`: the answer ended at its token limit, so an unfinished object is what there is."""
        if self.complete:
            return ""
        if not self._forwarded:
            raw = "".join(self._raw)
            if self._where is Where.DEFERRED or not raw.strip():
                value, self.repaired = input_of(raw)
                return jsontext.dumps_text(value)
        if not cut:
            raise MalformedArguments
        return ""

    def _read(self, text: str) -> str:
        at, end = 0, len(text)
        kept = 0  # text[kept:at] goes out unchanged
        out: list[str] = []
        if self._where is Where.BEGIN:
            begin = _BEGIN.match(text)
            if begin is None:
                if _MAY_BEGIN.match(text) is None:
                    raise MalformedArguments
                self._rest = text
                return ""
            kept = begin.start(1)
            at = kept + 1
            self._open.append("{")
            self._where = Where.FIRST_KEY
        while at < end:
            if self._where is Where.IN_STRING or self._where is Where.IN_KEY:
                special = _SPECIAL.search(text, at)
                if special is None:
                    at = end
                    break
                at = special.start()
                char = text[at]
                if char == '"':
                    at = self._string_ended(text, at)
                    continue
                if char == "\\":
                    escape = _ESCAPE.match(text, at)
                    if escape is not None:
                        at = escape.end()
                        continue
                    if _CUT_ESCAPE.match(text, at) is not None:
                        self._rest = text[at:]
                        break
                    half = _HALF_PAIR.match(text, at)
                    out.append(text[kept:at])
                    out.append("\\\\" if half is None else "\\ufffd")
                    at = at + 1 if half is None else half.end()
                else:
                    out.append(text[kept:at])
                    out.append(_CONTROL[char])
                    at += 1
                kept = at
                self.repaired = True
                continue
            if self._where is Where.END:
                self.repaired = self.repaired or bool(text[at:].strip())
                out.append(text[kept:at])
                return "".join(out)
            token = _TOKEN.match(text, at)
            if token is None:
                at = end  # white space
                break
            mark, literal = token.groups()
            if literal is not None:
                if token.end() == end and len(literal) <= _LONGEST_LITERAL:
                    at = token.start(2)
                    self._rest = literal
                    break
                self._literal(literal)
                at = token.end()
            elif mark == ",":
                after = _AFTER_COMMA.match(text, token.start(1))
                if after is None:
                    at = token.start(1)
                    self._rest = text[at:]
                    break
                if after[1] in "}]":
                    out.append(text[kept : token.start(1)])
                    kept = at = after.start(1)
                    self.repaired = True
                    if self._where is not Where.NEXT:
                        raise MalformedArguments
                else:
                    self._comma()
                    at = token.end()
            else:
                self._mark(mark)
                at = token.end()
        out.append(text[kept:at])
        return "".join(out)

    def _string_ended(self, text: str, at: int) -> int:
        """Behind the closing quote; from one string right into the next where that is what follows."""
        if self._where is Where.IN_KEY:
            between = _KEY_TO_STRING.match(text, at)
            self._where = Where.COLON if between is None else Where.IN_STRING
        else:
            between = _STRING_TO_KEY.match(text, at) if self._open[-1] == "{" else None
            self._where = Where.NEXT if between is None else Where.IN_KEY
        return at + 1 if between is None else between.end()

    def _mark(self, mark: str) -> None:
        """A bracket, quote or colon, outside of strings."""
        where = self._where
        if mark == '"':
            if where is Where.VALUE or where is Where.FIRST_ITEM:
                self._where = Where.IN_STRING
                return
            if where is Where.KEY or where is Where.FIRST_KEY:
                self._where = Where.IN_KEY
                return
        elif mark == ":":
            if where is Where.COLON:
                self._where = Where.VALUE
                return
        elif mark in "{[":
            if where is Where.VALUE or where is Where.FIRST_ITEM:
                self._open.append(mark)
                self._where = Where.FIRST_KEY if mark == "{" else Where.FIRST_ITEM
                return
        elif (where is Where.NEXT or where is (Where.FIRST_KEY if mark == "}" else Where.FIRST_ITEM)) and (
            self._open[-1] == ("{" if mark == "}" else "[")
        ):
            self._open.pop()
            self._where = Where.NEXT if self._open else Where.END
            return
        raise MalformedArguments

    def _comma(self) -> None:
        if self._where is not Where.NEXT:
            raise MalformedArguments
        self._where = Where.KEY if self._open[-1] == "{" else Where.VALUE

    def _literal(self, literal: str) -> None:
        if self._where not in (Where.VALUE, Where.FIRST_ITEM) or _LITERAL.fullmatch(literal) is None:
            raise MalformedArguments
        self._where = Where.NEXT


class BufferedArguments:
    """Keeps arguments until all have come, then gives the checked object in one piece."""

    __slots__ = ("_raw", "_reader", "repaired")

    def __init__(self) -> None:
        self._raw: list[str] = []
        self._reader: LiveArguments | None = LiveArguments()  # only to know when the object is complete
        self.repaired = False

    @property
    def complete(self) -> bool:
        return self._reader is not None and self._reader.complete

    def feed(self, text: str) -> str:
        self._raw.append(text)
        if self._reader is not None:
            try:
                self._reader.feed(text)
            except MalformedArguments:
                self._reader = None
        return ""

    def finish(self, *, cut: bool) -> str:
        value, self.repaired = input_of("".join(self._raw))
        return jsontext.dumps_text(value)


class FreeformArguments:
    """The text of a custom tool call: not JSON, so the client gets it as {"input": text}."""

    __slots__ = ("_raw", "repaired")

    complete = False

    def __init__(self) -> None:
        self._raw: list[str] = []
        self.repaired = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        return ""

    def finish(self, *, cut: bool) -> str:
        return jsontext.dumps_text(freeform_input("".join(self._raw)))


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
    """The input object of whole arguments, and whether they had to be mended.

    What is not an object and cannot be made one is wrapped: {"INVALID_JSON": raw text}.
    """
    if isinstance(arguments, dict):
        return arguments, False
    raw = arguments_text(arguments)
    if raw.strip() in ("", "null"):
        return {}, False
    value = _parsed(raw)
    if isinstance(value, dict):
        return value, False
    if isinstance(value, str):
        value = _parsed(value)  # encoded twice
    elif value is None:
        value = _mended(raw)
    return (value, True) if isinstance(value, dict) else ({INVALID: raw}, True)


def is_whole(arguments: object) -> bool:
    """Whether whole arguments are an object (or nothing) as they are, without being mended."""
    if isinstance(arguments, dict):
        return True
    raw = arguments_text(arguments)
    return not raw.strip() or isinstance(_parsed(raw), dict)


def _parsed(text: str) -> Any:
    try:
        return jsontext.loads(text)
    except jsontext.InvalidJSON:
        return None


def _mended(raw: str) -> Any:
    fenced = _FENCE.match(raw)
    reader = LiveArguments()
    sent = reader.feed(raw if fenced is None else fenced[1])
    return _parsed(sent) if reader.complete else None
