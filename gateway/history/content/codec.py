"""Compression against a shared dictionary; the only module that knows zstandard."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from gateway.history.content.codec_dictionary import DICTIONARY

# Up to level 3 the time is the same and the size falls; from 5 on it takes twice as long for 3 percent.
LEVEL: Final = 3
# the decompressor also reads texts stored without the dictionary
_COMMON: Final = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_COMMON.precompute_compress(level=LEVEL)


class Damaged(ValueError):
    """The bytes were not made by `compressed`."""


class _Contexts(threading.local):
    """One of each for a thread: they cannot be shared, and making one costs more than using it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=_COMMON)
        self.decompressor = zstandard.ZstdDecompressor(dict_data=_COMMON)


_contexts = _Contexts()


def compressed(plain: bytes) -> bytes:
    return _contexts.compressor.compress(plain)


def decompressed(data: bytes | memoryview) -> bytes:
    """The plain bytes. Raises Damaged."""
    try:
        return _contexts.decompressor.decompress(data)
    except zstandard.ZstdError as problem:
        raise Damaged(str(problem)) from None
