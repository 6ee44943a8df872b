"""Cache markers on their way upstream.

Anthropic's clients mark where a cached prefix may end; most providers cache by
themselves. Markers sit on parts, so a marked part keeps its content a list.

OpenAI's newer models read a prefix only where a request has a breakpoint, and look at
the latest 80. A client's marker moves on with each turn, so a request would have no
breakpoint where the last one ended. Therefore the end of every turn gets one, whatever
the client marked. Each costs nothing once its prefix is cached.

Where markers go upstream, every content that may be marked is a list in each request:
were it a string whenever its marker has moved on, the prefix would not be the same.
"""

from __future__ import annotations

from typing import Final

from gateway.conversion.block_kinds import BLOCK_KINDS
from gateway.wire.chat import Breakpoint, ChatPart
from gateway.wire.messages_request import CacheControl, RequestBlock, SystemBlock

BREAKPOINT: Final = "prompt_cache_breakpoint"
# where the top-level marker may come to stand
CACHEABLE: Final = frozenset(kind.name for kind in BLOCK_KINDS.values() if kind.cacheable)


class CacheMarkers:
    """Puts the markers of one request onto its parts, in the order of the request.

    `automatic` is the block that a top-level `cache_control` marks, with that marker.
    `dropped` counts the client's markers that go nowhere.
    """

    __slots__ = ("_automatic", "_automatic_marker", "_long", "_mode", "dropped")

    def __init__(self, mode: str, lifetime: str = "shortest") -> None:
        """`mode` and `lifetime` are the options `cache_control` and `cache_lifetime`."""
        self._mode = mode
        self._long = lifetime == "client"
        self._automatic: RequestBlock | None = None
        self._automatic_marker: CacheControl | None = None
        self.dropped = 0

    def mark_automatically(self, block: RequestBlock, marker: CacheControl) -> None:
        """Treat `block` as if it carried `marker`, unless it has one of its own."""
        self._automatic, self._automatic_marker = block, marker

    @property
    def automatic(self) -> bool:
        """Whether a block is treated as marked that is not."""
        return self._automatic is not None

    @property
    def in_lists(self) -> bool:
        """Whether contents stay lists, because markers come and go on their parts."""
        return self._mode != "strip"

    def __bool__(self) -> bool:
        """Whether a marker was dropped."""
        return bool(self.dropped)

    def join(self, more: CacheMarkers) -> None:
        """Add the markers of a later part of the request; `more` stays as it is."""
        self.dropped += more.dropped

    def put(self, part: ChatPart, block: RequestBlock | SystemBlock) -> None:
        """Carry the marker of `block`, if any, over to `part`."""
        marker = block.get("cache_control")
        if marker is None:
            if block is not self._automatic:
                return
            marker = self._automatic_marker
        if self._mode == "keep":
            part["cache_control"] = marker
        elif self._mode == "openai_breakpoint":
            part[BREAKPOINT] = self._breakpoint(marker)
        else:
            self.dropped += 1

    def keep(self, part: ChatPart, block: RequestBlock) -> None:
        """The same for a part where only a verbatim marker may stand: breakpoints are not for assistants."""
        if self._mode == "keep":
            self.put(part, block)
        else:
            self.drop(block)

    def drop(self, block: RequestBlock) -> None:
        """Count the marker of a block that has no part to carry it."""
        if block.get("cache_control") is not None:
            self.dropped += 1

    def end(self, content: object) -> None:
        """Mark the end of a turn, where the next request has to find what this one wrote.

        `content`: that of the turn's last message, whose parts belong to this request.
        """
        if self._mode == "openai_breakpoint" and isinstance(content, list) and content:
            content[-1].setdefault(BREAKPOINT, {"mode": "explicit"})

    def _breakpoint(self, marker: CacheControl | None) -> Breakpoint:
        # writing for 12 hours costs twice as much as for 30 minutes
        if self._long and marker is not None and marker.get("ttl") == "1h":
            return {"mode": "explicit", "ttl": "12h"}
        return {"mode": "explicit"}


def is_marked(part: ChatPart) -> bool:
    return "cache_control" in part or BREAKPOINT in part
