"""Cache markers on their way upstream.

Anthropic's clients mark where a cached prefix may end; most providers cache by
themselves. Markers sit on parts, so a marked part keeps its content a list.

See docs/conversion.md, "Cache markers".
"""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.block_kinds import BLOCK_KINDS
from gateway.wire.messages import JSONObject

MAX_BREAKPOINTS: Final = 4
BREAKPOINT: Final = "prompt_cache_breakpoint"
# where the top-level marker may come to stand
CACHEABLE: Final = frozenset(kind.name for kind in BLOCK_KINDS.values() if kind.cacheable)


class CacheMarkers:
    """Puts the markers of one request onto its parts, in the order of the request.

    `automatic` is the block that a top-level `cache_control` marks, with that marker.
    """

    __slots__ = ("_automatic", "_automatic_marker", "_breakpoints", "_mode", "dropped")

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._automatic: JSONObject | None = None
        self._automatic_marker: JSONObject | None = None
        self._breakpoints: list[JSONObject] = []
        self.dropped = 0

    def mark_automatically(self, block: JSONObject, marker: JSONObject) -> None:
        """Treat `block` as if it carried `marker`, unless it has one of its own."""
        self._automatic, self._automatic_marker = block, marker

    @property
    def automatic(self) -> bool:
        """Whether a block is treated as marked that is not."""
        return self._automatic is not None

    @property
    def breakpoints(self) -> bool:
        """Whether there are breakpoints, which `finish` may take back."""
        return bool(self._breakpoints)

    def __bool__(self) -> bool:
        """Whether any marker was met."""
        return bool(self.dropped or self._breakpoints)

    def join(self, more: CacheMarkers) -> None:
        """Add the markers of a later part of the request; `more` stays as it is."""
        self.dropped += more.dropped
        self._breakpoints += more._breakpoints

    def put(self, part: JSONObject, block: JSONObject) -> None:
        """Carry the marker of `block`, if any, over to `part`."""
        marker = block.get("cache_control")
        if marker is None:
            if block is not self._automatic:
                return
            marker = self._automatic_marker
        if self._mode == "keep":
            part["cache_control"] = marker
        elif self._mode == "openai_breakpoint":
            part[BREAKPOINT] = _breakpoint(marker)
            self._breakpoints.append(part)
        else:
            self.dropped += 1

    def keep(self, part: JSONObject, block: JSONObject) -> None:
        """The same for a part where only a verbatim marker may stand: breakpoints are not for assistants."""
        if self._mode == "keep":
            self.put(part, block)
        else:
            self.drop(block)

    def drop(self, block: JSONObject) -> None:
        """Count the marker of a block that has no part to carry it."""
        if block.get("cache_control") is not None:
            self.dropped += 1

    def finish(self) -> None:
        """Take back the breakpoints that are too many: the last ones win."""
        for part in self._breakpoints[:-MAX_BREAKPOINTS]:
            del part[BREAKPOINT]
            self.dropped += 1


def is_marked(part: JSONObject) -> bool:
    return "cache_control" in part or BREAKPOINT in part


def _breakpoint(marker: Any) -> JSONObject:
    # 30 minutes are OpenAI's default and cover Anthropic's five
    longer = {"ttl": "12h"} if marker.get("ttl") == "1h" else {}
    return {"mode": "explicit", **longer}
