"""Characters that a provider cut in two.

A character beyond U+FFFF is two escapes in JSON. A provider that cuts its text by UTF-16
units sends one half in one event and the other half in the next, and each event by itself
is a broken text.
"""

from __future__ import annotations

from typing import Any

from gateway.wire import jsontext

Place = tuple[Any, ...]


class HalfCharacters:
    """Parses the events of one stream; a half at the end of a text goes to the front of the next one there.

    The same place is the same path of keys, where entries of a list are known by their `index`.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Place, str] = {}

    @property
    def waiting(self) -> bool:
        """The next text may have to be put together with the one before."""
        return bool(self._held)

    def loads(self, text: bytes | str) -> Any:
        """As jsontext.loads_from_provider, with whole characters. Raises InvalidJSON."""
        value, halved = jsontext.loads_from_provider(text)
        if not halved and not self._held:
            return value
        # the events of the Responses API are told apart by what they are, and of which item
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
            text = self._held.pop(place, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[place], text = text[-1], text[:-1]
        return jsontext.whole_characters(text)


def _number(entry: Any, position: int) -> int:
    index = entry.get("index") if isinstance(entry, dict) else None
    return index if isinstance(index, int) else position
