"""Text and number of pages of PDF files; the only place that knows pypdf.

Nothing here raises: a broken, encrypted or hostile file has no text. Work is
bounded in bytes, pages and characters, and the last few results are kept,
because a client sends the same file again with every turn.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections import OrderedDict
from typing import Final

import pypdf

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PAGES: Final = 500
MAX_CHARACTERS: Final = 2_000_000
_KEPT_FILES: Final = 8
_KEPT_CHARACTERS: Final = 4_000_000
_CUT: Final = "[the rest of the document was left out]"
_PAGE_OBJECT: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


class _RecentTexts:
    """Page texts by digest of the file, the oldest forgotten first."""

    def __init__(self) -> None:
        self._texts: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def get(self, digest: bytes) -> tuple[str, ...] | None:
        return self._texts.get(digest)

    def put(self, digest: bytes, pages: tuple[str, ...]) -> None:
        self._texts[digest] = pages
        while len(self._texts) > _KEPT_FILES or (
            len(self._texts) > 1 and sum(map(_length, self._texts.values())) > _KEPT_CHARACTERS
        ):
            self._texts.popitem(last=False)


_recent = _RecentTexts()


def page_texts(data: str) -> tuple[str, ...]:
    """The text of each page of a PDF in base64, stripped; () when the file cannot be read."""
    digest = hashlib.sha256(data.encode("ascii", "replace")).digest()
    known = _recent.get(digest)
    if known is not None:
        return known
    pages = _extracted(_decoded(data))
    _recent.put(digest, pages)
    return pages


def page_count(data: str) -> int:
    """The number of page objects of a PDF in base64, at least 1; cheap, and good enough for estimates."""
    return max(1, len(_PAGE_OBJECT.findall(_decoded(data))))


def _decoded(data: str) -> bytes:
    try:
        file = base64.b64decode(data)
    except (binascii.Error, ValueError):
        return b""
    return file if len(file) <= MAX_BYTES else b""


def _extracted(file: bytes) -> tuple[str, ...]:
    texts: list[str] = []
    left = MAX_CHARACTERS
    try:
        reader = pypdf.PdfReader(io.BytesIO(file), strict=False)
        if reader.is_encrypted:
            # many files are encrypted with an empty user password
            reader.decrypt("")
        for page in reader.pages:
            if len(texts) == MAX_PAGES or left <= 0:
                texts.append(_CUT)
                break
            text = page.extract_text().strip()[:left]
            left -= len(text)
            texts.append(text)
    except Exception:  # pypdf raises nearly everything on broken files
        return tuple(texts)
    return tuple(texts)


def _length(pages: tuple[str, ...]) -> int:
    return sum(map(len, pages))
