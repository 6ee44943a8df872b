"""Digests of values that several requests share, known again by being the same object.

A conversation's messages and tools are parsed and converted once while they are remembered
(wire/request_cache.py), and nobody changes them; so their JSON and its SHA-256, which took a
third of a millisecond for a request of 137 KB, need not be made again either.

Values are held here, or their place in memory could become another's. They are mostly those
that the reader of requests holds anyway; their texts are at most as long as `Digests` is told.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from gateway.wire import jsontext

MOST: Final = 4 * 1024 * 1024

_Key = tuple[bytes, int]
_Entry = tuple[Any, bytes, int]


class Digests:
    """Bounded, in two generations: what is asked for again stays. For any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._half = most // 2
        self._young: dict[_Key, _Entry] = {}
        self._old: dict[_Key, _Entry] = {}
        self._size = 0

    def digest(self, parent: bytes, value: Any) -> bytes:
        """SHA-256 of `parent` and the JSON of `value`."""
        key = (parent, id(value))
        # the value is held by its entry, so this is the same object
        found = self._young.get(key)
        if found is not None:
            return found[1]
        found = self._old.get(key)
        if found is None:
            text = jsontext.dumps(value)
            found = (value, sha256(parent + text).digest(), len(text))
        self._keep(key, found)
        return found[1]

    def _keep(self, key: _Key, entry: _Entry) -> None:
        size = entry[2]
        if size > self._half:
            return
        if self._size + size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        self._size += size
        self._young[key] = entry
