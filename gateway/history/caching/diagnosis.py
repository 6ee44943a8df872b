"""Whether a request missed the provider's prompt cache, what changed, and who changed it (pure).

A miss is a request that read clearly less than the request before it, of the same agent, had as its
prompt. What is compared first is what the provider got. If nothing differs there, the provider forgot; if
something does, the client changed it when the same item of its own request changed, and otherwise the
gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from gateway.history.caching.differences import (
    MESSAGE,
    MODEL,
    PROVIDER,
    ROUTING_KEY,
    SYSTEM,
    TOOLS,
    Difference,
    PromptShape,
    first_difference,
)
from gateway.history.caching.lifetimes import SHORTEST

Culprit = Literal["client", "gateway", "provider", "unknown"]
# below it nothing is cached somewhere, and ends of turns are left unmarked
LEAST: Final = 4096
SLACK: Final = 0.05

# why, as the history keeps it; the gateway's reason may also be a note of its ledger
IDLE: Final = "idle"
CREDENTIAL: Final = "credential"
TARGET: Final = "target"
LOADED: Final = "loaded_tool"
FORGOTTEN: Final = "forgotten"
SHORTER: Final = "began_anew"
CHANGED: Final = "changed"
NOT_KEPT: Final = "not_kept"


class ComparedRequest(NamedTuple):
    """One request: when it began and ended, whom it asked, and its tokens; `received` and `sent` are its
    shapes.

    `received` and `sent` are None where contents are not kept. `ledger`: paths and notes of what the gateway
    did to it. `lifetime`: for how long the provider keeps what it cached, from its last use on.
    """

    began: datetime
    ended: datetime
    provider: str
    upstream_model: str
    credential: str
    prompt: int
    read: int
    received: PromptShape | None
    sent: PromptShape | None
    ledger: Sequence[tuple[str, str]] = ()
    asked_model: str = ""
    lifetime: timedelta = SHORTEST


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
    if before.sent is None or after.sent is None or before.received is None or after.received is None:
        return _without_contents(before, after, lost)
    if before.provider != after.provider and before.upstream_model == after.upstream_model:
        return _other_target(PROVIDER, before, after, lost)
    changed = first_difference(before.sent, after.sent)
    if changed is None:
        return Miss(None, "provider", _forgot(before, after), lost)
    in_front = changed.item == SYSTEM or (changed.place == 0 and not after.sent.system)
    return Miss(*_who(changed, in_front, before.received, after.received, after.ledger), lost)


def _without_contents(before: ComparedRequest, after: ComparedRequest, lost: int) -> Miss:
    """What the rows alone say: a target that changed, and otherwise only what was lost."""
    if before.upstream_model != after.upstream_model:
        return _other_target(MODEL, before, after, lost)
    if before.provider != after.provider:
        return _other_target(PROVIDER, before, after, lost)
    return Miss(None, "unknown", NOT_KEPT, lost)


def _other_target(item: str, before: ComparedRequest, after: ComparedRequest, lost: int) -> Miss:
    if before.asked_model != after.asked_model:
        return Miss(Difference(MODEL), "client", CHANGED, lost)
    return Miss(Difference(item), "gateway", TARGET, lost)


def _forgot(before: ComparedRequest, after: ComparedRequest) -> str:
    if before.credential != after.credential:
        return CREDENTIAL
    return IDLE if after.began - before.ended > before.lifetime else FORGOTTEN


def _who(
    changed: Difference,
    in_front: bool,
    old: PromptShape,
    new: PromptShape,
    ledger: Sequence[tuple[str, str]],
) -> tuple[Difference, Culprit, str]:
    """The difference in the terms of whoever made it, who that is, and why.

    `in_front`: it is in the system text, which one protocol has among the messages and another apart.
    """
    if changed.item in (SYSTEM, MESSAGE):
        own = _texts_differ(old, new, in_front)
        if own is None:
            return changed, "gateway", _note(ledger)
        shorter = own.item == MESSAGE and len(new.messages) < len(old.messages)
        return own, "client", SHORTER if shorter else CHANGED
    if changed.item == TOOLS:
        if list(old.tools) != list(new.tools):
            return changed, "client", CHANGED
        loaded = _texts_differ(old, new, in_front=False) is None
        return changed, "gateway", LOADED if loaded else CHANGED
    if changed.item != ROUTING_KEY and old.options.get(changed.item) != new.options.get(changed.item):
        return changed, "client", CHANGED
    return changed, "gateway", TARGET if changed.item == MODEL else CHANGED


def _texts_differ(old: PromptShape, new: PromptShape, in_front: bool) -> Difference | None:
    """Where the client's own texts differ, system text or messages; what is more likely meant comes first."""
    system = first_difference(PromptShape({}, (), old.system, ()), PromptShape({}, (), new.system, ()))
    messages = first_difference(PromptShape({}, (), (), old.messages), PromptShape({}, (), (), new.messages))
    return (system or messages) if in_front else (messages or system)


def _note(ledger: Sequence[tuple[str, str]]) -> str:
    """What the ledger says about messages."""
    return next((note for path, note in ledger if path.startswith("messages")), CHANGED)
