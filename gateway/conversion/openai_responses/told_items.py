"""The items of a streamed response, and how much of each has been told.

Servers leave out any of an item's announcement, its deltas and its whole. They tell which item an event is
about by its place in the output, by an id that may change between events, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.conversion import repairs
from gateway.conversion.answers.output import Pieces
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.answer_calls import CallPiece, name_and_arguments
from gateway.conversion.tool_calls.arguments import arguments_text, is_whole
from gateway.conversion.tool_calls.object_reader import without_placeholders
from gateway.wire.lenient import object_of, objects_of, text_of
from gateway.wire.messages import JSONObject


@dataclass(slots=True)
class ToldItem:
    """What has been told of an item. `parts`: its text by part; `source`: which reasoning is read.

    `key`: its place in the output, or its id where it was told without one.
    `announced`: what it held when it was announced, `begun`: what its parts held; of a call, its `call_id`.
    """

    kind: str = ""
    key: int | str = 0
    call_id: str = ""
    announced: JSONObject = field(default_factory=dict)
    begun: dict[int, JSONObject] = field(default_factory=dict)
    parts: dict[int, Pieces] = field(default_factory=dict)
    source: str = ""
    named: bool = False
    ended: bool = False  # told as a whole
    sealed: bool = False  # a signature has what the provider wants back of it

    def untold(self, before: int | None = None) -> list[tuple[int, JSONObject]]:
        """The parts that nobody has told but as they began, once. `before`: only those in front of it."""
        over = [index for index in sorted(self.begun) if before is None or index < before]
        parts = [(index, self.begun.pop(index)) for index in over]
        return [(index, part) for index, part in parts if not self._told(index)]

    def _told(self, index: int) -> bool:
        return index in self.parts and bool(self.parts[index].text)


class ToldItems:
    """The items of one response; `in_order` has them in the order of the output.

    An id that was announced tells more than a place: some servers count the places of their deltas in
    another way. An id that two places share tells nothing.
    """

    __slots__ = ("_by_id", "_by_key", "in_order")

    def __init__(self) -> None:
        self._by_key: dict[int | str, ToldItem] = {}
        self._by_id: dict[str, ToldItem | None] = {}
        self.in_order: list[ToldItem] = []

    def about(self, event: Mapping[str, object], kind: str = "") -> ToldItem:
        """The item that an event is about: a known one of this kind, or a new one."""
        told = self._by_key.get(item_key(event))
        if self._by_id:
            told = self._announced(event, kind, told)
        strange = told is not None and bool(kind and told.kind) and told.kind != kind
        if strange or (told is None and kind and type(event.get("output_index")) is not int):
            # an id that was never announced, or one place for all items: the item that is under way
            told = next((one for one in reversed(self.in_order) if one.kind == kind), None)
            told = None if told is None or told.ended else told
        return told or self.add(event, kind)

    def at(self, event: Mapping[str, object]) -> ToldItem | None:
        """The item at an event's place, if there is one."""
        return self._by_key.get(item_key(event))

    def announce(self, told: ToldItem, item: Mapping[str, object]) -> None:
        """Remember the id under which an item was announced."""
        if item_id := text_of(item.get("id")):
            known = self._by_id.get(item_id, told)
            shared = known is None or (known is not told and known.key != told.key)
            self._by_id[item_id] = None if shared else told

    def _announced(
        self, event: Mapping[str, object], kind: str, at_place: ToldItem | None
    ) -> ToldItem | None:
        """The item whose announced id an event has, unless that is over and the one at the place is not."""
        told = self._by_id.get(_item_id(event))
        if told is None or told is at_place or (kind and told.kind and told.kind != kind):
            return at_place
        return at_place if told.ended and at_place is not None and not at_place.ended else told

    def add(self, event: Mapping[str, object], kind: str) -> ToldItem:
        """A new item, which takes the event's place from now on."""
        key = item_key(event)
        told = self._by_key[key] = ToldItem(kind, key)
        self.in_order.append(told)
        return told


def item_key(event: Mapping[str, object]) -> int | str:
    """Which item an event is about: its place in the output, or its id where a server tells no place."""
    place = event.get("output_index")
    if type(place) is int:
        return place
    if type(place) is str:
        return place
    return _item_id(event) or 0


def _item_id(event: Mapping[str, object]) -> str:
    return text_of(event.get("item_id")) or text_of(object_of(event.get("item")).get("id"))


def parts_of(told: object) -> list[dict[str, object]]:
    """The parts of a text; some servers tell the only one without a list, or a text without its part."""
    entries = told if isinstance(told, list) else [told]
    parts = [{"type": "output_text", "text": each} if isinstance(each, str) else each for each in entries]
    return objects_of(parts)


def part_text(part: Mapping[str, object]) -> str:
    """The text of a part; some servers write it as the older Assistants API did, or call it a transcript."""
    text = part.get("text")
    if text is None:
        return text_of(part.get("transcript"))
    return text_of(text.get("value")) if isinstance(text, dict) else text_of(text)


def says_something(part: Mapping[str, object]) -> bool:
    """Whether a part has a text or a refusal."""
    return bool(part_text(part) or text_of(part.get("refusal")))


def rest_of(pieces: Pieces, whole: str, ledger: Ledger) -> str:
    """What of a part's text has not been told; it is told now."""
    said = pieces.text
    if not whole.startswith(said):
        ledger.repair(repairs.TEXT_DIFFERS)
        return ""
    rest = whole.removeprefix(said)
    pieces.add(rest)
    return rest


def whole_call(key: int | str | None, item: Mapping[str, object]) -> CallPiece:
    """A call as an item tells it whole. `key`: of the item; None where only the output's order is known."""
    name, arguments = name_and_arguments(item.get("name"), item.get("arguments"))
    call_id = text_of(item.get("call_id"))
    return CallPiece(key, call_id, name, arguments, False, item, named=bool(name))


def unfinished(piece: CallPiece, *, completed: bool) -> bool:
    """Whether a call that is told as a whole may have been cut: it has not all of its arguments, or none.

    `completed`: the provider says that the call is, so that `{}` is what it wrote.
    """
    whole = arguments_text(piece.arguments)
    return not is_whole(whole) or not (completed or without_placeholders(whole))


def part_index(event: Mapping[str, object], name: str) -> int:
    """The place of a part in its item; 0 where the event does not tell."""
    value = event.get(name)
    return value if type(value) is int else 0
