"""What came over one connection for one request, and its strict decoding after the load is over.

The load generator only stores the reads with their times; everything expensive happens here, when nothing
is measured any more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import accumulate


class WrongAnswer(Exception):
    """The answer is not the expected one; the text says what is wrong with it."""


@dataclass(slots=True)
class Captured:
    """`reads`: (monotonic nanoseconds, bytes) in the order they came. `started` likewise."""

    model: str
    started: int
    reads: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decoded:
    """An answer without its HTTP framing. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    _read_ends: list[int]
    _read_times: list[int]
    _piece_starts: list[int]
    _piece_wire_starts: list[int]

    def arrived(self, position: int) -> int:
        """When the byte before body position `position` had arrived (nanoseconds)."""
        at = max(0, bisect_right(self._piece_starts, position - 1) - 1)
        wire = self._piece_wire_starts[at] + position - self._piece_starts[at]
        return self._read_times[min(bisect_left(self._read_ends, wire), len(self._read_times) - 1)]


def decoded(captured: Captured) -> Decoded:
    """Remove the framing. Raises WrongAnswer when it is not one complete HTTP/1.1 answer."""
    wire = b"".join(data for _, data in captured.reads)
    head, separator, _ = wire.partition(b"\r\n\r\n")
    lines = head.decode("latin1").split("\r\n")
    if not separator or not lines[0].startswith("HTTP/1.1 "):
        raise WrongAnswer(f"no HTTP answer: {wire[:60]!r}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
    }
    start = len(head) + 4
    if headers.get("transfer-encoding", "").lower() == "chunked":
        pieces = _chunks(wire, start)
    else:
        size = int(headers.get("content-length", len(wire) - start))
        if len(wire) - start != size:
            raise WrongAnswer(f"content-length {size}, but {len(wire) - start} bytes came")
        pieces = [(start, size)]
    lengths = [length for _, length in pieces]
    return Decoded(
        status=int(lines[0].split(" ")[1]),
        headers=headers,
        body=b"".join(wire[at : at + length] for at, length in pieces),
        _read_ends=list(accumulate(len(data) for _, data in captured.reads)),
        _read_times=[time for time, _ in captured.reads],
        _piece_starts=[end - length for end, length in zip(accumulate(lengths), lengths, strict=True)],
        _piece_wire_starts=[at for at, _ in pieces],
    )


def _chunks(wire: bytes, position: int) -> list[tuple[int, int]]:
    """(start, length) of each HTTP chunk's data. Raises WrongAnswer."""
    found = []
    while True:
        end = wire.find(b"\r\n", position)
        try:
            length = int(wire[position:end].split(b";")[0], 16) if end >= 0 else -1
        except ValueError:
            length = -1
        if length < 0 or wire[end + 2 + length : end + 4 + length] != b"\r\n":
            raise WrongAnswer("the chunked body is broken or cut off")
        if length == 0:
            if len(wire) != end + 4:
                raise WrongAnswer("bytes follow the end of the chunked body")
            return found
        found.append((end + 2, length))
        position = end + 4 + length
