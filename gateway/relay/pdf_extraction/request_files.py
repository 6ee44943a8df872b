"""The PDFs of one request, and their texts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from gateway.conversion.blocks.images import without_whitespace
from gateway.conversion.blocks.pdf import NotReadYet, ReadElsewhere
from gateway.relay.pdf_extraction.workers import PDFWorkers
from gateway.wire.messages_request import MessagesRequest

# seconds that one request has for all of its files, waiting for others of the same key included
PATIENCE: Final = 30.0
# characters beyond which no further file of a request is read
MOST_CHARACTERS: Final = 8_000_000
_MEDIA_TYPE: Final = "application/pdf"


async def read_files(
    workers: PDFWorkers, owner: str, request: MessagesRequest, wanted: str, texts: ReadElsewhere
) -> None:
    """Add the texts of all PDFs of a request, `wanted` among them, that `texts` does not have yet."""
    left = MOST_CHARACTERS
    until = asyncio.get_running_loop().time() + PATIENCE
    for data in (wanted, *_files_in(request)):
        try:
            texts(data)
            continue
        except NotReadYet:
            pass
        pages = None
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    pages = await workers.read(owner, data)
        texts.found(data, pages)
        left -= sum(map(len, pages or ()))


def _files_in(value: Any) -> Iterator[str]:
    """All PDFs in base64, without white space. The depth of requests was bounded before they were parsed."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) is list:
            waiting += reversed(value)
        elif type(value) is dict:
            data = value.get("data")
            if value.get("media_type") == _MEDIA_TYPE and type(data) is str:
                yield without_whitespace(data)
            else:
                waiting += reversed(value.values())
