"""Text and page count of PDF files; the only module that knows pypdf.

A broken, encrypted or hostile file has no text. Work is bounded in bytes, pages and characters, and the
last few results are kept, because a client sends the same file again with every turn.

What pypdf spends on a page cannot be bounded from inside. So a process that serves clients has files read
elsewhere (`gateway.relay.pdf_extraction`) and gives a conversion their texts (`ReadElsewhere`); a
conversion outside any exchange reads them itself (`page_texts`).

pypdf itself is loaded with the first file: 6 MB that most processes never need. It is loaded by name,
because an import inside a function is not allowed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import io
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from gateway import patterns
from gateway.cache import GenerationalCache

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PAGES: Final = 500
MAX_CHARACTERS: Final = 2_000_000
# bytes of unpacked content of one page, and of all; reading a megabyte takes a seventh of a second
MAX_PAGE_CONTENT: Final = 4 * 1024 * 1024
MAX_CONTENT: Final = 16 * 1024 * 1024
# the last page of a file that was not read to its end
CUT: Final = "[the rest of the document was left out]"
# characters of remembered texts, and what an entry without any counts
_MOST_REMEMBERED: Final = 2 * (MAX_CHARACTERS + 2_000)
_ENTRY: Final = 1_000
_PAGE_OBJECT: Final = patterns.compiled(rb"/Type\s*/Page(?![A-Za-z])")


def _size(pages: tuple[str, ...]) -> int:
    return _ENTRY + sum(map(len, pages))


# page texts by digest of the file; two of the largest stay
_recent: GenerationalCache[bytes, tuple[str, ...]] = GenerationalCache(_MOST_REMEMBERED, _size)


class NotReadYet(Exception):
    """A conversion needs the text of this PDF. `data`: the file in base64."""

    def __init__(self, data: str) -> None:
        super().__init__("a PDF that was not read yet")
        self.data = data


class ReadElsewhere:
    """The texts of one request's PDFs, for a conversion that must not read any itself."""

    def __init__(self) -> None:
        self._texts: dict[bytes, tuple[str, ...] | None] = {}

    def __call__(self, data: str) -> tuple[str, ...] | None:
        """Like `page_texts`; None for a file that this request had no time for. Raises NotReadYet."""
        digest = _digest(data)
        if digest not in self._texts:
            known = _recent.get(digest)
            if known is None:
                raise NotReadYet(data)
            # the cache may drop it before the request is converted
            self._texts[digest] = known
        return self._texts[digest]

    def found(self, data: str, pages: tuple[str, ...] | None) -> None:
        """Record the texts of this file; None: there was no time to read it for this request."""
        self._texts[_digest(data)] = pages


@cache
def reader_library() -> Any:
    """The module pypdf."""
    return importlib.import_module("pypdf")


def page_texts(data: str) -> tuple[str, ...]:
    """The text of each page of a PDF in base64, stripped; () when the file cannot be read."""
    pages = remembered(data)
    if pages is None:
        pages = tuple(read_pages(decoded(data)))
        remember(data, pages)
    return pages


def remembered(data: str) -> tuple[str, ...] | None:
    """What was found in a PDF in base64 earlier; None when nobody knows."""
    return _recent.get(_digest(data))


def remember(data: str, pages: tuple[str, ...]) -> None:
    """Keep the text of each page of a PDF in base64 for later requests."""
    _recent.put(_digest(data), pages)


def page_count(data: str) -> int:
    """The number of page objects of a PDF in base64, at least 1; cheap, and good enough for estimates."""
    return max(1, len(_PAGE_OBJECT.findall(decoded(data))))


def _digest(data: str) -> bytes:
    return hashlib.sha256(data.encode("ascii", "replace")).digest()


def decoded(data: str | bytes) -> bytes:
    """The file; b"" when it is not one, or too large to be read."""
    try:
        file = base64.b64decode(data)
    except (binascii.Error, ValueError):
        return b""
    return file if len(file) <= MAX_BYTES else b""


def _content_size(page: Any) -> int:
    contents = page.get_contents()
    return 0 if contents is None else len(contents.get_data())


def read_pages(file: bytes) -> Iterator[str]:
    """The text of each page, as soon as it is read; CUT where the rest cannot be read, or is too much."""
    begun = False
    try:
        for text in _pages(file):
            begun = True
            yield text
    except Exception:  # pypdf raises nearly anything on broken files
        if begun:
            yield CUT


def _pages(file: bytes) -> Iterator[str]:
    left, content_left = MAX_CHARACTERS, MAX_CONTENT
    read: dict[Any, str] = {}
    reader = reader_library().PdfReader(io.BytesIO(file), strict=False)
    if reader.is_encrypted:
        # many files are encrypted with an empty user password
        reader.decrypt("")
    for number, page in enumerate(reader.pages):
        if number == MAX_PAGES or left <= 0:
            yield CUT
            return
        # a file may refer to one page many times
        known_by = str(page.indirect_reference)
        if known_by not in read:
            size = _content_size(page)
            if size > min(MAX_PAGE_CONTENT, content_left):
                yield CUT
                return
            content_left -= size
            read[known_by] = page.extract_text().strip()
        text = read[known_by][:left]
        left -= len(text)
        yield text
