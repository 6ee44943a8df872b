"""Whether a request missed the provider's prompt cache, what changed, and who changed it (pure).

A miss is a request that read clearly less than the request before it, of the same agent, had as its
prompt. What is compared first is what the provider got. If nothing differs there, the provider forgot; if
something does, the client changed it when the same item of its own request changed, and otherwise the
gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from gateway.history.caching.differences import (
    MESSAGE,
    MODEL,
    ROUTING_KEY,
    SYSTEM,
    TOOLS,
    Difference,
    PromptShape,
    first_difference,
)

Culprit = Literal["client", "gateway", "provider"]
# below it nothing is cached somewhere, and ends of turns are left unmarked
LEAST: Final = 4096
SLACK: Final = 0.05
# the shortest lifetime that a provider promises
SHORTEST_LIFETIME: Final = timedelta(minutes=5)

IDLE: Final = "idle for longer than the shortest lifetime"
CREDENTIAL: Final = "another credential was used"
TARGET: Final = "another target was asked"
LOADED: Final = "a tool was loaded, which changes the list in front of the conversation"
FORGOTTEN: Final = "the same prefix, and yet no hit"
SHORTER: Final = "the conversation began anew"
CHANGED: Final = "changed"


class ComparedRequest(NamedTuple):
    """One request: when it began and ended, whom it asked, and its tokens; `received` and `sent` are its
    shapes.

    `ledger`: paths and notes of what the gateway did to it.
    """

    began: datetime
    ended: datetime
    provider: str
    upstream_model: str
    credential: str
    prompt: int
    read: int
    received: PromptShape
    sent: PromptShape
    ledger: Sequence[tuple[str, str]] = ()


class Miss(NamedTuple):
    """`difference`: None when the provider had the same prefix. `tokens` that would have been read."""

    difference: Difference | None
    culprit: Culprit
    reason: str
    tokens: int


def is_miss(prompt_before: int, prompt: int, read: int) -> int:
    """The tokens that were lost; 0 when this is no miss."""
    could = min(prompt_before, prompt)
    lost = could - read
    return lost if lost > max(LEAST, SLACK * could) else 0


def diagnosed(before: ComparedRequest, after: ComparedRequest) -> Miss | None:
    """The miss that `after` is; None when it read what it could."""
    lost = is_miss(before.prompt, after.prompt, after.read)
    if not lost:
        return None
    changed = first_difference(before.sent, after.sent)
    if changed is None:
        return Miss(None, "provider", _forgot(before, after), lost)
    culprit, reason = _who(changed, before, after)
    return Miss(changed, culprit, reason, lost)


def _forgot(before: ComparedRequest, after: ComparedRequest) -> str:
    if before.credential != after.credential:
        return CREDENTIAL
    return IDLE if after.began - before.ended > SHORTEST_LIFETIME else FORGOTTEN


def _who(changed: Difference, before: ComparedRequest, after: ComparedRequest) -> tuple[Culprit, str]:
    old, new = before.received, after.received
    messages_differ = _messages_differ(old, new)
    match changed.item:
        case _ if changed.item == MODEL:
            if old.options.get(MODEL) != new.options.get(MODEL):
                return "client", CHANGED
            return "gateway", TARGET
        case _ if changed.item == ROUTING_KEY:
            return "gateway", CHANGED
        case _ if changed.item == TOOLS:
            if list(old.tools) != list(new.tools):
                return "client", CHANGED
            return "gateway", LOADED if not messages_differ else CHANGED
        case _ if changed.item in (SYSTEM, MESSAGE):
            # a system text may stand among the messages in one protocol and apart in the other
            if list(old.system) != list(new.system):
                return "client", CHANGED
            if messages_differ:
                shorter = len(new.messages) < len(old.messages)
                return "client", SHORTER if shorter else CHANGED
            return "gateway", _note(changed, after)
        case item:
            return ("client" if old.options.get(item) != new.options.get(item) else "gateway"), CHANGED


def _messages_differ(old: PromptShape, new: PromptShape) -> bool:
    difference = first_difference(old._replace(options={}), new._replace(options={}, tools=old.tools))
    return difference is not None and difference.item == MESSAGE


def _note(changed: Difference, after: ComparedRequest) -> str:
    """What the ledger says about messages."""
    return next((note for path, note in after.ledger if path.startswith("messages")), CHANGED)


def money_lost(tokens: int, full: Decimal, read: Decimal | None) -> Decimal:
    """US dollars, from the prices of a million tokens written or in full, and read."""
    return (full - (full if read is None else read)) * tokens / 1_000_000
