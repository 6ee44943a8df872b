"""Sessions and prompts as things that are counted: one at one target is one, however many requests it had
(pure).

The totals have the mean cost of a session and its spread. So each session (and prompt) at a target keeps
its sums; with each request they change, and the totals by the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from gateway.history.outcomes.figures import COST_STEP
from gateway.wire import jsontext

_DIGEST: Final = 16
# so that sums of squares fit into 64 bits: 3,000 dollars, and tokens
_MOST_STEPS: Final = 300_000_000
_MOST_TOKENS: Final = 1_000_000_000


class CountedAs(NamedTuple):
    """A session or a prompt as the totals have it: its kind, its digest, and where it counts, without an
    hour.
    """

    kind: str
    digest: bytes
    slot: Any


def unit(kind: str, session_id: str, holder: str, name: str, slot: Any) -> CountedAs:
    """`kind` is "session" or "prompt", `name` the prompt's in its session. Its hour does not matter here."""
    text = jsontext.dumps([kind, session_id, holder, name, *slot[1:]])
    return CountedAs(kind, sha256(text).digest()[:_DIGEST], slot._replace(hour=0))


class SessionShare(NamedTuple):
    """What one request adds: when it began, whether it is an answered turn, its tokens and its cost."""

    hour: int
    turns: int
    tokens: int
    cost_units: int
    unpriced: int


class UnitSums(NamedTuple):
    """`hours`: how many requests began in which hour."""

    hours: Mapping[int, int]
    turns: int = 0
    tokens: int = 0
    cost_units: int = 0
    unpriced: int = 0

    def changed(self, share: SessionShare, sign: int) -> UnitSums:
        hours = dict(self.hours)
        hours[share.hour] = hours.get(share.hour, 0) + sign
        return UnitSums(
            {hour: number for hour, number in hours.items() if number},
            self.turns + sign * share.turns,
            self.tokens + sign * share.tokens,
            self.cost_units + sign * share.cost_units,
            self.unpriced + sign * share.unpriced,
        )


NONE_YET: Final = UnitSums({})


def numbers_of(kind: str, sums: UnitSums) -> dict[str, int]:
    """What a session or a prompt counts for in the totals, in the first of its hours; nothing without
    requests.
    """
    if not sums.hours:
        return {}
    priced = int(not sums.unpriced)
    cost = sums.cost_units * priced
    square = min(round(cost / COST_STEP), _MOST_STEPS) ** 2
    if kind == "session":
        return {"sessions": 1, "priced_sessions": priced, "session_cost": cost, "session_cost_sq": square}
    tokens = min(sums.tokens, _MOST_TOKENS)
    return {
        "prompts": 1, "prompt_turns": sums.turns, "prompt_turns_sq": sums.turns**2, "prompt_tokens": tokens,
        "prompt_tokens_sq": tokens**2, "priced_prompts": priced, "prompt_cost": cost,
        "prompt_cost_sq": square,
    }  # fmt: skip
