"""Digests of values that several requests share, recognised by the identity of the object.

A conversation's messages and tools are parsed and converted once while they are remembered
(wire/request_cache.py), and nobody changes them; so their JSON and its SHA-256, which took a
third of a millisecond for a request of 137 KB, need not be made again either.

The values are kept alive here, or another object could take their place in memory. Most are those that the
reader of requests keeps anyway; the size of their texts is bounded.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from gateway.cache import GenerationalCache
from gateway.wire import jsontext

MOST: Final = 4 * 1024 * 1024

_Entry = tuple[Any, bytes, int]


class Digests:
    """For any thread. `most`: bytes of JSON whose digests are remembered."""

    def __init__(self, most: int = MOST) -> None:
        # the digest of the parent and the value's place in memory -> the value, digest and length
        self._known: GenerationalCache[tuple[bytes, int], _Entry] = GenerationalCache(most, _length)

    def digest(self, parent: bytes, value: object) -> bytes:
        """SHA-256 of `parent` and the JSON of `value`."""
        key = (parent, id(value))
        found = self._known.get(key)
        if found is None:
            text = jsontext.dumps(value)
            # the entry holds the value, so nothing else can have its place in memory
            found = (value, sha256(parent + text).digest(), len(text))
            self._known.put(key, found)
        return found[1]


def _length(entry: _Entry) -> int:
    return entry[2]
