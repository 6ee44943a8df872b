"""Files that a page offers: their names, their types, and headers that keep a browser from running them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from gateway.history.csv_text import csv_text
from gateway.wire import jsontext

# content types by the ending of a file's name
TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "txt": "text/plain; charset=utf-8",
}


def download(body: bytes, name: str) -> HttpResponse:
    """`body` as a file; the ending of `name` is one of TYPES."""
    return HttpResponse(body, headers=_headers(name))


def csv_download(rows: Iterable[Iterable[object]], name: str) -> HttpResponse:
    return download(csv_text(rows).encode("utf-8", "replace"), name)


def json_download(value: object, name: str) -> HttpResponse:
    return download(jsontext.dumps(value), name)


def streamed_download(pieces: Iterator[bytes] | AsyncIterator[bytes], name: str) -> StreamingHttpResponse:
    """A file of any size: each piece is made when the server is ready to send it.

    A plain iterator runs in a thread, so it may read the database.
    """
    if not isinstance(pieces, AsyncIterator):
        pieces = _in_a_thread(pieces)
    return StreamingHttpResponse(pieces, headers=_headers(name))


async def _in_a_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes | None:
        return next(pieces, None)

    while (piece := await sync_to_async(following)()) is not None:
        yield piece


def _headers(name: str) -> dict[str, str]:
    # a control character would break the header, a separator would name a folder
    safe = "".join(letter if letter.isprintable() and letter not in '/\\"' else "_" for letter in name)
    return {
        "Content-Type": TYPES[name.rpartition(".")[2]],
        "Content-Disposition": content_disposition_header(True, safe) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
