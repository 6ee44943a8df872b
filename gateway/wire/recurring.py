"""Requests read with what is known of earlier ones: the same values for the same text.

Clients send the whole conversation again with each turn, and the same tools with every
request. The parts that recur are found in the body by their text, cut out before the rest
is parsed, and put back as the values that were parsed the first time: the very same
objects, never to be changed by anybody. Each part has room for what others worked out of
it (`work`), so that this is not done again either.

    {"model":"m","messages":[ passage , passage , rest ],"system":[...],"tools": list ,...}

A *passage* are the messages from one of the assistant to the next one. The last one stays in
the rest: clients move their cache marker with each turn, so it is not the same next time.

What comes out is what a whole parse gives (but numbers beyond 64 bits beside half a surrogate
pair, which are exact in the same part only). Text is compared, not values: 1, 1.0 and true are
equal to Python. A body in which the parts cannot be found for certain (other white space, a name
that stands twice) is parsed whole, and so is one that is no JSON, for the error.

Texts of clients are held here, at most as many bytes as `RequestReader` is told, and about
twice as much for their values. Nothing expires by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.values import frozen
from gateway.wire import jsontext

# bytes of texts; some five long conversations
MOST_PASSAGES: Final = 4 * 1024 * 1024
MOST_TOOLS: Final = 1024 * 1024
# a shorter body is parsed faster than searched
LEAST_BODY: Final = 8 * 1024
# so few that each can be compared; clients have one for each of their agents
_MOST_LISTS: Final = 16

_MESSAGES: Final = b'"messages":['
_NEXT: Final = b'},{"role":"assistant"'
_TOOLS: Final = b'"tools":['
# what stands for a part while the rest is parsed; nobody else begins a list so
_STAND_IN: Final = "\x00recurring"
_STAND_IN_TEXT: Final = jsontext.dumps(_STAND_IN)


class Part:
    """A passage, or a list of tools. `first`: the number of the passage's first message in its request.

    `work` belongs to who works with `value`: None at first.
    """

    __slots__ = ("behind", "first", "text", "value", "work")

    def __init__(self, text: bytes, value: list[Any], first: int = 0, behind: int = 0) -> None:
        self.text = text
        self.value = value
        self.first = first
        # bytes that followed it in the body it was last seen in
        self.behind = behind
        self.work: Any = None


@frozen
class Recurring:
    """The parts of one request: the first messages, passage by passage, and its tools."""

    passages: Sequence[Part] = ()
    tools: Part | None = None


NOTHING: Final = Recurring()


class RequestReader:
    """Reads bodies. One per process; for one thread. All sizes in bytes."""

    def __init__(
        self,
        most_passages: int = MOST_PASSAGES,
        most_tools: int = MOST_TOOLS,
        least_body: int = LEAST_BODY,
    ) -> None:
        self._least = least_body
        self._passages = _Passages(most_passages)
        self._lists = _Lists(most_tools)

    def read(self, body: bytes) -> tuple[Any, Recurring]:
        """The JSON value of `body`, and the parts of it that recur. Raises InvalidJSON."""
        if len(body) >= self._least:
            found = self._read(body)
            if found is not None:
                return found
        return jsontext.loads(body), NOTHING

    def _read(self, body: bytes) -> tuple[Any, Recurring] | None:
        begin = body.find(_MESSAGES)
        if begin < 0:
            return None
        begin += len(_MESSAGES)
        tools = self._lists.found_in(body, begin)
        tools_at = len(body) - tools.behind - len(tools.text) if tools else len(body)
        passages, rest_at = self._passages.found_in(body, begin, tools_at if tools_at > begin else len(body))
        if tools is not None and tools_at < begin <= tools_at + len(tools.text):
            # these are no messages but a word in a tool's schema
            return None
        pieces = [body[:begin], _STAND_IN_TEXT, b","] if passages else [body[:begin]]
        if tools is None:
            pieces.append(body[rest_at:])
        elif tools_at < begin:
            pieces[0] = _without(tools, body[:begin], tools_at)
            pieces.append(body[rest_at:])
        else:
            pieces.append(_without(tools, body[rest_at:], tools_at - rest_at))
        try:
            value = jsontext.loads(b"".join(pieces))
        except jsontext.InvalidJSON:
            return None
        if type(value) is not dict:
            return None
        if passages and not _put_back(value, passages):
            return None
        if tools is None:
            tools = self._lists.learn(body, value)
            if tools is not None:
                value["tools"] = tools.value
        elif value.get("tools") == [_STAND_IN]:
            value["tools"] = tools.value
        else:
            return None
        return value, Recurring(passages, tools)


def _without(tools: Part, text: bytes, at: int) -> bytes:
    """`text` with a stand-in for the list of tools that stands at `at`."""
    return b"".join((text[:at], b"[", _STAND_IN_TEXT, b"]", text[at + len(tools.text) :]))


def _put_back(value: dict[str, Any], passages: Sequence[Part]) -> bool:
    """Put the messages of `passages` where their stand-in is; False when it is not there."""
    rest = value.get("messages")
    if type(rest) is not list or not rest or rest[0] != _STAND_IN:
        return False
    messages: list[Any] = []
    for passage in passages:
        messages += passage.value
    messages += rest[1:]
    value["messages"] = messages
    return True


class _Passages:
    """Passages by number and text, in two generations: what is asked for again stays."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._young: dict[tuple[int, int, bytes], Part] = {}
        self._old: dict[tuple[int, int, bytes], Part] = {}
        self._size = 0

    def found_in(self, body: bytes, begin: int, end: int) -> tuple[list[Part], int]:
        """(the passages of the messages that begin at `begin`, where the rest of the messages begins)."""
        found: list[Part] = []
        number, place = 0, begin
        while True:
            cut = body.find(_NEXT, place, end) + 1
            if not cut:
                return found, place
            passage = self._passage(number, body[place:cut])
            if passage is None:
                return found, place
            found.append(passage)
            number += len(passage.value)
            place = cut + 1

    def _passage(self, first: int, text: bytes) -> Part | None:
        """The passage with this text; None when it is none: the cut was inside of something."""
        # the end of a text tells more than its beginning
        key = (first, len(text), text[-64:])
        passage = self._young.get(key)
        if passage is not None and passage.text == text:
            return passage
        passage = self._old.get(key)
        if passage is None or passage.text != text:
            try:
                messages = jsontext.loads(b"[" + text + b"]")
            except jsontext.InvalidJSON:
                return None
            passage = Part(text, messages, first)
        self._keep(key, passage)
        return passage

    def _keep(self, key: tuple[int, int, bytes], passage: Part) -> None:
        size = len(passage.text)
        if size > self._half:
            return
        if self._size + size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        self._size += size
        self._young[key] = passage


class _Lists:
    """The lists of tools seen last, the newest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: list[Part] = []

    def found_in(self, body: bytes, begin: int) -> Part | None:
        """The known list in `body`, with its place as `behind`. What follows it rarely changes its length."""
        for tools in self._known:
            at = len(body) - tools.behind - len(tools.text)
            if at > 0 and body.startswith(tools.text, at) and body.endswith(_TOOLS[:-1], 0, at):
                return self._first(tools)
        at = body.find(_TOOLS) + len(_TOOLS) - 1
        if at < len(_TOOLS):
            return None
        for tools in self._known:
            if body.startswith(tools.text, at):
                tools.behind = len(body) - at - len(tools.text)
                return self._first(tools)
        return None

    def learn(self, body: bytes, value: dict[str, Any]) -> Part | None:
        """Keep the tools of a body that was parsed, when their text can be told for certain."""
        if type(value.get("tools")) is not list:
            return None
        at = body.find(_TOOLS) + len(_TOOLS) - 1
        names = list(value)
        behind = names[names.index("tools") + 1 :]
        # it ends in front of the next name, or with the body
        end = body.rfind(b"]," + jsontext.dumps(behind[0]) + b":") if behind else body.rfind(b"]")
        if at < len(_TOOLS) or end < at:
            return None
        text = body[at : end + 1]
        try:
            tools = jsontext.loads(text)
        except jsontext.InvalidJSON:
            return None
        if tools != value["tools"] or len(text) > self._most:
            return None
        part = Part(text, tools, behind=len(body) - end - 1)
        self._known.insert(0, part)
        while len(self._known) > _MOST_LISTS or sum(len(known.text) for known in self._known) > self._most:
            self._known.pop()
        return part

    def _first(self, tools: Part) -> Part:
        if self._known[0] is not tools:
            self._known.remove(tools)
            self._known.insert(0, tools)
        return tools
