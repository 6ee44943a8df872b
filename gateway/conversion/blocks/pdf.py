"""Text and number of pages of PDF files; the only place that knows pypdf.

Nothing here raises: a broken, encrypted or hostile file has no text. Work is
bounded in bytes, pages and characters, and the last few results are kept,
because a client sends the same file again with every turn.

pypdf itself is loaded with the first file: 6 MB that most processes never need. It
is loaded by name, because an import in the middle of a function stays forbidden.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import io
from functools import cache
from typing import Any, Final

from gateway import patterns

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PAGES: Final = 500
MAX_CHARACTERS: Final = 2_000_000
# bytes of unpacked content of one page, and of all; reading a megabyte takes a seventh of a second
MAX_PAGE_CONTENT: Final = 4 * 1024 * 1024
MAX_CONTENT: Final = 16 * 1024 * 1024
# characters of a generation of remembered texts, and what an entry without any counts
_GENERATION: Final = 2_000_000
_ENTRY: Final = 1_000
_CUT: Final = "[the rest of the document was left out]"
_PAGE_OBJECT: Final = patterns.compiled(rb"/Type\s*/Page(?![A-Za-z])")


class _RecentTexts:
    """Page texts by digest of the file, in two generations.

    When the young generation is full the old one is forgotten, so a file that is
    asked for again and again stays. Nothing is iterated over: threads may race.
    """

    def __init__(self) -> None:
        self._young: dict[bytes, tuple[str, ...]] = {}
        self._old: dict[bytes, tuple[str, ...]] = {}
        self._size = 0

    def get(self, digest: bytes) -> tuple[str, ...] | None:
        pages = self._young.get(digest)
        if pages is None:
            pages = self._old.get(digest)
            if pages is not None:
                self.put(digest, pages)
        return pages

    def put(self, digest: bytes, pages: tuple[str, ...]) -> None:
        if self._size >= _GENERATION:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[digest] = pages
        self._size += _ENTRY + sum(map(len, pages))


_recent = _RecentTexts()


@cache
def reader_library() -> Any:
    """The module pypdf."""
    return importlib.import_module("pypdf")


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


def _content_size(page: Any) -> int:
    contents = page.get_contents()
    return 0 if contents is None else len(contents.get_data())


def _extracted(file: bytes) -> tuple[str, ...]:
    texts: list[str] = []
    left, content_left = MAX_CHARACTERS, MAX_CONTENT
    read: dict[Any, str] = {}
    try:
        reader = reader_library().PdfReader(io.BytesIO(file), strict=False)
        if reader.is_encrypted:
            # many files are encrypted with an empty user password
            reader.decrypt("")
        for page in reader.pages:
            if len(texts) == MAX_PAGES or left <= 0:
                texts.append(_CUT)
                break
            # a file may name one page many times
            known_by = str(page.indirect_reference)
            if known_by not in read:
                size = _content_size(page)
                if size > min(MAX_PAGE_CONTENT, content_left):
                    texts.append(_CUT)
                    break
                content_left -= size
                read[known_by] = page.extract_text().strip()
            text = read[known_by][:left]
            left -= len(text)
            texts.append(text)
    except Exception:  # pypdf raises nearly everything on broken files
        return tuple(texts)
    return tuple(texts)
