"""What the follow-up needs of ended exchanges, passed in memory by the writer of the history.

The recorder has just read, masked and taken apart what the follow-up would otherwise read, decompress
and parse again. It is only a shortcut: the queue that counts is in the database (FollowUp), and what
does not fit in here, or died with its process, is read from there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.history.content.chunking import Piece

# bytes of requests and answers
MOST: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class EndedExchange:
    """One exchange as it is in the database. `head`: the end of its chain of messages, masked.

    `fresh`: the pieces of that chain, by digest, that its process had not stored before, as far as they
    are known. `returned`: what the client got, masked, possibly in fewer events. `size`: bytes held.
    """

    request_id: str
    session_id: str
    endpoint: str
    started_at: datetime
    head: bytes | None = None
    returned: bytes = field(default=b"", repr=False)
    fresh: Mapping[bytes, Piece] = field(default_factory=dict, repr=False)
    size: int = 0


class Handover:
    """`put` by the recorder's thread, `take` by the follow-up's. Bounded: what does not fit is left out."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[EndedExchange] = deque()
        self._size = 0

    def put(self, ended: Iterable[EndedExchange]) -> None:
        with self._lock:
            for one in ended:
                if self._size + one.size <= self._most:
                    self._waiting.append(one)
                    self._size += one.size

    def take(self, number: int) -> list[EndedExchange]:
        """The first `number` entries, or as many as there are."""
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(number, len(self._waiting)))]
            self._size -= sum(one.size for one in taken)
        return taken

    def waiting(self) -> set[str]:
        """The request ids of all waiting entries."""
        with self._lock:
            return {one.request_id for one in self._waiting}
