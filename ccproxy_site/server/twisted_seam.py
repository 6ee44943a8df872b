"""What we need of Twisted and it keeps to itself. Nothing else here uses private names of a library.

Seen with Twisted 26.10; tests/test_seams.py says when it is to be looked at again.
"""

from __future__ import annotations

from typing import Any


def request_line(channel: Any) -> tuple[bytes, bytes, bytes]:
    """Method, path and version of the request whose head an HTTPChannel has read.

    The channel gives them to its request only with the end of the body, and a request that is too large is
    refused before it.
    """
    return channel._command, channel._path, channel._version


def bytes_ahead(protocol: Any) -> int:
    """Bytes that wait behind the request which an HTTPChannel is answering, the bare one or the one that
    chooses between versions of HTTP; 0 for other protocols."""
    channel = getattr(protocol, "_channel", protocol)
    return sum(map(len, getattr(channel, "_dataBuffer", ())))
