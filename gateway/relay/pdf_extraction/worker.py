"""A process that reads PDFs: `python -m gateway.relay.pdf_extraction.worker CPU MEMORY`.

CPU: seconds for each file; MEMORY: bytes above what it has when it starts. The system kills it when
it needs more CPU, and refuses it more memory. It talks over its standard input, a socket, in frames:
four bytes, big-endian, with a length, and that many bytes. In comes a file in base64; out goes the
text of each page, in UTF-8, as soon as it is read, and END_OF_FILE in place of a length. It ends
when the other side closes.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Final

from gateway.conversion.blocks.pdf import decoded, read_pages, reader_library

LENGTH: Final = struct.Struct(">I")
END_OF_FILE: Final = LENGTH.pack(0xFFFFFFFF)
# the serving process has priority
_NICER: Final = 5


def frame(content: bytes) -> bytes:
    """`content` preceded by its length."""
    return LENGTH.pack(len(content)) + content


def main(cpu: int, memory: int) -> None:
    """Read files until the other side closes."""
    os.nice(_NICER)
    reader_library()
    # it would keep the client's document in memory
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(memory)
    peer = socket.socket(fileno=0)
    incoming = peer.makefile("rb")
    while len(length := incoming.read(LENGTH.size)) == LENGTH.size:
        _limit_cpu(cpu)
        for text in read_pages(decoded(incoming.read(LENGTH.unpack(length)[0]))):
            # a lone half of a surrogate pair cannot be encoded
            peer.sendall(frame(text.encode("utf-8", "replace")))
        peer.sendall(END_OF_FILE)


def _limit_memory(more: int) -> None:
    # not every system knows its memory use, or enforces such a limit
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard < 0 else min(most, hard), hard))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
