"""ExchangeOutcome: the facts of one exchange, frozen; it becomes one RequestLog row and its Attempts.

The relay hands in two per exchange, under the same request id: one when the request arrives (state
`open`), one when it ends. The later one replaces the earlier.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final, Literal, NotRequired, TypedDict

from gateway.client_protocol.purpose import RequestClass
from gateway.conversion.ledger import LedgerRow
from gateway.values import frozen

NextStep = Literal["", "answered", "again", "learnt", "credential", "target", "gave_up"]
State = Literal["open", "ok", "error", "cancelled", "broken", "interrupted"]

OPEN: Final = "open"
OK: Final = "ok"
ERROR: Final = "error"  # the client got an error instead of an answer
CANCELLED: Final = "cancelled"  # the client went away
BROKEN: Final = "broken"  # an error event in the middle of an answer
INTERRUPTED: Final = "interrupted"  # the gateway stopped or died meanwhile


class ClassifierFacts(TypedDict):
    """`model`: who was asked; `took_ms`: how long that took; `check_id`: the request id of the check."""

    model: NotRequired[str]
    took_ms: NotRequired[int | None]
    check_id: NotRequired[str]


class VerdictFacts(ClassifierFacts):
    """What was decided about one call, as the columns of models.SafeguardVerdict.

    `rule_id`: the rule that decided. `unavailable`: why an undecided call has no verdict. `reason`: why it
    was blocked; only where contents are kept.
    """

    tool: str
    decision: str
    rule_id: int | None
    unavailable: str
    reason: NotRequired[str]


@frozen
class CapturedBodies:
    """The four texts of an exchange, as raw bytes, and the client's headers with secrets masked.

    `received`: the client's body; `sent`: ours to the provider; `answered`: the provider's; `returned`:
    ours to the client. `received_json` and `sent_json`: the same requests as values, where somebody has
    parsed them already; never changed.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    received: bytes = b""
    sent: bytes = b""
    answered: bytes = b""
    returned: bytes = b""
    received_json: Mapping[str, object] | None = field(default=None, repr=False)
    sent_json: Mapping[str, object] | None = field(default=None, repr=False)


@frozen
class AttemptFacts:
    """One try at a provider. Field names are those of models.Attempt; times in milliseconds.

    `credential` is a label. `next_step`: what followed; `pause_ms`: the wait before it.
    """

    number: int
    started_at: datetime
    provider: str
    upstream_model: str
    credential: str = ""
    state: State = OK
    status: int | None = None
    error_type: str = ""
    error_message: str = ""
    first_byte_ms: int | None = None
    duration_ms: int | None = None
    next_step: NextStep = ""
    pause_ms: int | None = None
    upstream_request_id: str = ""


@frozen
class ExchangeOutcome:
    """Field names are those of models.RequestLog; times in milliseconds, tokens None when unknown.

    `masked_count`: secrets already masked in `bodies`, on their way through the spool. `served_by`: the
    gateway process. `tries` become rows of models.Attempt, `verdicts` rows of models.SafeguardVerdict,
    `novelties` rows of models.ClientNovelty, as client_protocol.novelties.Novelty has them, `bodies` one of
    models.RequestBody.
    """

    request_id: str
    started_at: datetime
    endpoint: str
    state: State = OPEN
    client_key_id: int | None = None
    key_name: str = ""
    owner_id: int | None = None
    session_id: str = ""
    agent_id: str = ""
    parent_agent_id: str = ""
    client: str = ""
    client_address: str = ""
    asked_model: str = ""
    provider: str = ""
    upstream_model: str = ""
    mapping: str = ""
    mapping_pk: int | None = None
    arm: str = ""
    arm_share: float | None = None
    streamed: bool = False
    status: int | None = None
    error_type: str = ""
    error_message: str = ""
    stop_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    thinking_tokens: int | None = None
    usage_estimated: bool = False
    service_tier: str = ""
    estimated_input_tokens: int | None = None
    vocabulary_tokens: int | None = None
    letter_tokens: int | None = None
    cjk_tokens: int | None = None
    first_byte_ms: int | None = None
    duration_ms: int | None = None
    attempts: int = 0
    ledger: list[LedgerRow] = field(default_factory=list)
    tools_called: list[str] = field(default_factory=list)
    tools_failed: list[str] = field(default_factory=list)
    has_images: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    timeline: list[list[str | int]] = field(default_factory=list)
    replay_of: str = ""
    upstream_request_id: str = ""
    served_by: str = ""
    request_class: str = RequestClass.UNKNOWN
    class_inferred: bool = False
    task: str = ""
    agent_type: str = ""
    prompt_id: str = ""
    compaction: str = ""
    tool_durations: list[list[str | int]] = field(default_factory=list)
    finer_class: str = ""
    settings_checksum: str = ""
    caller_request_id: str = ""
    verdicts: list[VerdictFacts] = field(default_factory=list)
    novelties: list[list[str]] = field(default_factory=list)
    tries: tuple[AttemptFacts, ...] = ()
    masked_count: int = 0
    bodies: CapturedBodies | None = None


def with_unsearched(outcome: ExchangeOutcome, texts: int) -> ExchangeOutcome:
    """The outcome with a ledger entry for texts that are stored masked as a whole."""
    note = f"{texts} texts are stored masked as a whole: they could not be searched for secrets in time"
    entry: LedgerRow = {"code": "replaced", "path": "history", "note": note}
    return dataclasses.replace(outcome, ledger=[*outcome.ledger, entry])
