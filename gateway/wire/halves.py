"""Characters that a provider cut in two.

A character beyond U+FFFF is two escapes in JSON. A provider that cuts its text by UTF-16 units sends
one half in one event and the other half in the next, and each event by itself is broken text.
"""

from __future__ import annotations

from typing import Any

from gateway.wire import jsontext

Place = tuple[Any, ...]


class HalfCharacters:
    """Parses the events of one stream; half a character at the end of a text moves to the front of the next
    text at the same place.

    A place is a path of keys, in which entries of a list are identified by their `index`. Servers that
    change the index within one text change the place: a text that begins with a second half, and has no
    first half at its place, takes the latest one in a field of the same name.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Place, str] = {}

    @property
    def waiting(self) -> bool:
        """Whether the next text may have to be joined to the one before."""
        return bool(self._held)

    def loads(self, text: bytes | str) -> Any:
        """Like jsontext.loads_from_provider, with whole characters. Raises InvalidJSON."""
        value, halved = jsontext.loads_from_provider(text)
        if not halved and not self._held:
            return value
        # events of the Responses API are identified by their type and item
        root = (str(value.get("type")), str(value.get("output_index"))) if isinstance(value, dict) else ()
        return self._joined(value, root)

    def _joined(self, value: Any, place: Place) -> Any:
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, dict):
            return {key: self._joined(entry, (*place, key)) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._joined(entry, (*place, _number(entry, n))) for n, entry in enumerate(value)]
        return value

    def _text(self, text: str, place: Place) -> str:
        if self._held:
            text = self._held.pop(self._place_of_half(text, place), "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[place], text = text[-1], text[:-1]
        return jsontext.whole_characters(text)

    def _place_of_half(self, text: str, place: Place) -> Place:
        if place in self._held or not (text and "\udc00" <= text[0] <= "\udfff"):
            return place
        return next((held for held in reversed(self._held) if held[-1:] == place[-1:]), place)


def _number(entry: Any, position: int) -> int:
    index = entry.get("index") if isinstance(entry, dict) else None
    return index if isinstance(index, int) else position
