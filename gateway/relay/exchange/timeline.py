"""Timeline: what happened during an exchange besides its events. Written rarely, never per chunk."""

from __future__ import annotations

from typing import Final

# seconds of the provider's silence from which it is noted
LONG_GAP: Final = 1.0
MOST_NOTES: Final = 60

COMMIT: Final = "commit"
PING: Final = "ping"
GAP: Final = "gap"


class Timeline:
    """Notes in chronological order; times are seconds of the monotonic clock. Beyond a limit they are
    counted.
    """

    __slots__ = ("_left_out", "_notes")

    def __init__(self) -> None:
        self._notes: list[tuple[str, float, float]] = []
        self._left_out = 0

    def committed(self, now: float) -> None:
        """The 200 of a stream was sent before the provider had answered."""
        self._note(COMMIT, now, 0.0)

    def ping(self, now: float) -> None:
        """A keep-alive was sent to the client."""
        self._note(PING, now, 0.0)

    def gap(self, now: float, seconds: float) -> None:
        """The provider sends again after `seconds` of silence."""
        self._note(GAP, now - seconds, seconds)

    def as_json(self, start: float) -> list[list[str | int]]:
        """`[what, ms since start, ms it took]` each; at the end `["more", n, 0]` when n were left out."""
        notes: list[list[str | int]] = [
            [what, round((at - start) * 1000), round(took * 1000)] for what, at, took in self._notes
        ]
        return [*notes, ["more", self._left_out, 0]] if self._left_out else notes

    def _note(self, what: str, at: float, took: float) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append((what, at, took))
        else:
            self._left_out += 1
