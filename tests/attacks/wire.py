"""HTTP written by hand, so that a test says each byte and when it goes out."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator

from tests.server.conftest import KEY, Served


def head(line: str, *headers: str) -> bytes:
    """A request's head with its empty line."""
    return "\r\n".join([line, "host: 127.0.0.1", *headers, "", ""]).encode("latin-1")


def post(body: bytes, *headers: str, path: str = "/v1/messages", key: str | None = KEY) -> bytes:
    """A whole POST, with the key unless it is None."""
    shown = () if key is None else (f"x-api-key: {key}",)
    length = f"content-length: {len(body)}"
    return head(f"POST {path} HTTP/1.1", "content-type: application/json", length, *shown, *headers) + body


@contextlib.contextmanager
def connected(served: Served, timeout: float = 60.0) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=timeout) as connection:
        yield connection


def send(connection: socket.socket, pieces: Iterable[bytes]) -> int:
    """Send until the gateway does not take more; the number of bytes that were sent."""
    sent = 0
    with contextlib.suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def answer(connection: socket.socket) -> bytes:
    """All that comes until the gateway closes, or is silent for the connection's timeout."""
    found = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            found += piece
    return found


def status(found: bytes) -> int:
    """The status of the first answer; 0 when there is none."""
    return int(found[9:12]) if found.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) else 0
