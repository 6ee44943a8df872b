"""Reads requests with the help of earlier ones: the same text gives the same values.

Clients send the whole conversation with each turn, and the same tools and system blocks with every
request. The recurring parts are found in the body by their text, cut out before the rest is parsed,
and put back as the values that were parsed the first time: the very same objects, which nobody may
ever change. Each part has room for what others derived from it (`work`), so that this is not done
again either.

    {"model":"m","messages":[ passage , passage , rest ],"system": list ,"tools": list ,...}

A *passage* is the run of messages from one assistant message to the next. The last one stays in the
rest: clients move their cache marker with each turn, so it will not be the same next time.

The result equals that of a whole parse (except for numbers beyond 64 bits beside half a surrogate
pair, which are exact only within their own part). Text is compared, not values: 1, 1.0 and true are
equal in Python. A body in which the parts cannot be located with certainty (other white space, a name
that occurs twice) is parsed whole, and so is one that is not JSON, for the error.

All clients of a process share one reader, so a remembered part must never answer for a text that
differs in a single byte: one client would be sent another's conversation. So the text of every part
is kept and compared whole; for passages a dictionary does it, where the hash of the text only selects
what to compare with.

Memory is bounded by the bytes of the texts (`RequestReader`); the values and what is derived from
them come on top (docs/architecture.md, "The request path"). Nothing expires by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.cache import GenerationalCache
from gateway.values import frozen
from gateway.wire import jsontext

# bytes of text; about five long conversations
MOST_PASSAGES: Final = 4 * 1024 * 1024
# Of one request: looking up and converting a passage costs more than its few messages would, so that
# tens of thousands of them would hold the event loop. What is behind them is parsed with the rest.
MOST_PASSAGES_AT_ONCE: Final = 1000
# for tools, and again for system blocks
MOST_LISTS: Final = 1024 * 1024
# a shorter body is parsed faster than searched
LEAST_BODY: Final = 8 * 1024
# so few that each can be compared; a client has one for each of its agents
_MOST_LISTS: Final = 16
# empty brackets are not a part
_LEAST_LIST: Final = 3

_MESSAGES: Final = b'"messages":['
_NEXT: Final = b'},{"role":"assistant"'
# stands for a part while the rest is parsed; no other list begins like this
_STAND_IN: Final = "\x00recurring"
_STAND_IN_TEXT: Final = jsontext.dumps(_STAND_IN)
_LIST_STAND_IN: Final = jsontext.dumps([_STAND_IN])


class Part:
    """A passage, or a list of tools or system blocks.

    `size`: bytes of its text. `first`: the number of the passage's first message in its request. `work`
    belongs to whoever derives something from `value`: None at first.
    """

    __slots__ = ("first", "size", "value", "work")

    def __init__(self, size: int, value: list[Any], first: int = 0) -> None:
        self.size = size
        self.value = value
        self.first = first
        self.work: Any = None


class _List(Part):
    """A list with its text. `behind`: how many bytes followed it in the body where it was last seen."""

    __slots__ = ("behind", "text")

    def __init__(self, text: bytes, value: list[Any], behind: int) -> None:
        super().__init__(len(text), value)
        self.text = text
        self.behind = behind


@frozen
class Recurring:
    """The parts of one request: its first messages in passages, its tools and its system blocks."""

    passages: Sequence[Part] = ()
    tools: Part | None = None
    system: Part | None = None


NOTHING: Final = Recurring()


class RequestReader:
    """Reads bodies. One per process, for one thread. All sizes in bytes."""

    def __init__(
        self,
        most_passages: int = MOST_PASSAGES,
        most_lists: int = MOST_LISTS,
        least_body: int = LEAST_BODY,
    ) -> None:
        self._least = least_body
        self._passages = _Passages(most_passages)
        self._lists = {name: _Lists(name, most_lists) for name in ("system", "tools")}

    def read(self, body: bytes) -> tuple[Any, Recurring]:
        """The JSON value of `body`, and its recurring parts. Raises InvalidJSON."""
        if len(body) >= self._least:
            found = self._read(body)
            if found is not None:
                return found
        return jsontext.loads(body), NOTHING

    def _read(self, body: bytes) -> tuple[Any, Recurring] | None:
        begin = body.find(_MESSAGES) + len(_MESSAGES)
        if begin < len(_MESSAGES):
            return None
        lists = {name: known.found_in(body) for name, known in self._lists.items()}
        end = min((at for _, at in filter(None, lists.values()) if at > begin), default=len(body))
        passages, rest_at = self._passages.found_in(body, begin, end)
        cuts = [(at, at + part.size, _LIST_STAND_IN) for part, at in filter(None, lists.values())]
        if passages:
            cuts.append((begin, rest_at, _STAND_IN_TEXT + b","))
        try:
            value = jsontext.loads(_without(body, cuts))
        except ValueError:
            return None
        if type(value) is not dict or (passages and not _put_back(value, passages)):
            return None
        parts: dict[str, Part | None] = {}
        for name, found in lists.items():
            if found is None:
                parts[name] = self._lists[name].learn(body, value)
            elif value.get(name) == [_STAND_IN]:
                parts[name] = found[0]
                value[name] = found[0].value
            else:
                return None
        return value, Recurring(passages, **parts)


def _without(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """`body` with each span replaced. Raises ValueError when they overlap."""
    pieces: list[bytes] = []
    place = 0
    for begin, end, instead in sorted(cuts):
        if begin < place:
            # not a part, but a word inside another one
            raise ValueError
        pieces += (body[place:begin], instead)
        place = end
    pieces.append(body[place:])
    return b"".join(pieces)


def _put_back(value: dict[str, Any], passages: Sequence[Part]) -> bool:
    """Put the messages of `passages` in place of their stand-in; False when it is not there."""
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
    """Passages by number and text."""

    def __init__(self, most: int) -> None:
        self._known: GenerationalCache[tuple[int, bytes], Part] = GenerationalCache(most, _size)

    def found_in(self, body: bytes, begin: int, end: int) -> tuple[list[Part], int]:
        """(the passages of the messages that begin at `begin`, where the rest of the messages begins)."""
        found: list[Part] = []
        number, place = 0, begin
        while len(found) < MOST_PASSAGES_AT_ONCE:
            cut = body.find(_NEXT, place, end) + 1
            if not cut:
                return found, place
            passage = self._passage(number, body[place:cut])
            if passage is None:
                return found, place
            found.append(passage)
            number += len(passage.value)
            place = cut + 1
        return found, place

    def _passage(self, first: int, text: bytes) -> Part | None:
        """The passage with this text; None when it is not one, because the cut was inside something."""
        key = (first, text)
        passage = self._known.get(key)
        if passage is None:
            try:
                messages = jsontext.loads(b"[" + text + b"]")
            except jsontext.InvalidJSON:
                return None
            passage = Part(len(text), messages, first)
            self._known.put(key, passage)
        return passage


def _size(part: Part) -> int:
    return part.size


class _Lists:
    """The most recently seen lists under one name, newest first."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._opening = b'"%b":' % name.encode()
        self._most = most
        self._known: list[_List] = []

    def found_in(self, body: bytes) -> tuple[_List, int] | None:
        """The known list in `body`, and where it stands."""
        if not self._known:
            return None
        for part in self._known:
            # what follows it rarely changes in length
            at = len(body) - part.behind - part.size
            if at > 0 and body.startswith(part.text, at) and body.endswith(self._opening, 0, at):
                return self._first(part, at)
        at = self._place(body)
        for part in self._known if at else ():
            if body.startswith(part.text, at):
                part.behind = len(body) - at - part.size
                return self._first(part, at)
        return None

    def learn(self, body: bytes, value: dict[str, Any]) -> Part | None:
        """Remember the list of a parsed body when its text can be located with certainty."""
        if type(value.get(self._name)) is not list:
            return None
        at = self._place(body)
        if not at:
            return None
        names = list(value)
        behind = names[names.index(self._name) + 1 :]
        # it ends before the next name, or with the body
        end = body.rfind(b"]," + jsontext.dumps(behind[0]) + b":") if behind else body.rfind(b"]")
        text = body[at : end + 1]
        if not _LEAST_LIST <= len(text) <= self._most:
            return None
        try:
            items = jsontext.loads(text)
        except jsontext.InvalidJSON:
            return None
        if items != value[self._name]:
            return None
        value[self._name] = items
        part = _List(text, items, behind=len(body) - end - 1)
        self._known.insert(0, part)
        while len(self._known) > _MOST_LISTS or sum(known.size for known in self._known) > self._most:
            self._known.pop()
        return part

    def _place(self, body: bytes) -> int:
        """Where a list under this name begins; 0 when nowhere."""
        at = body.find(self._opening + b"[")
        return at + len(self._opening) if at >= 0 else 0

    def _first(self, part: _List, at: int) -> tuple[_List, int]:
        if self._known[0] is not part:
            self._known.remove(part)
            self._known.insert(0, part)
        return part, at
