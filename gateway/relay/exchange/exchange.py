"""Exchange: the notebook of one request, from arrival to end.

The relay writes it as things become known; `outcome` reads it once.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from gateway.client_protocol.purpose import AGENT, NOTHING_KNOWN, PARENT_AGENT, SESSION, Purpose
from gateway.client_protocol.safeguards import Unavailable
from gateway.client_protocol.usage_headers import without_upstreams
from gateway.conversion.answers.message import message_facts
from gateway.conversion.blocks.pdf import ReadElsewhere
from gateway.conversion.ledger import Ledger, LedgerRow
from gateway.conversion.token_counts import TokenCounts
from gateway.conversion.tools.web_search import Searched
from gateway.errors import GatewayError
from gateway.history.outcome import (
    ERROR,
    OPEN,
    AttemptFacts,
    CapturedBodies,
    ExchangeOutcome,
    NextStep,
    State,
    VerdictFacts,
)
from gateway.history.record import capture
from gateway.history.record.request_facts import failed_tools
from gateway.limits.limiter import Admission
from gateway.relay.exchange.cache_diagnostics import CacheDiagnosis
from gateway.relay.exchange.timeline import Timeline
from gateway.routing.facts import NO_FACTS, NO_NEEDS, Attached, Facts, Needs, as_json, attached_to, shape_of
from gateway.routing.resolve import Route
from gateway.routing.shares import Arm
from gateway.routing.snapshot import KeyEntry
from gateway.safeguards.classifier import Opinion
from gateway.safeguards.rules import Action
from gateway.values import frozen
from gateway.wire.request_cache import NOTHING, Recurring

logger = logging.getLogger("gateway.relay")


@frozen
class Arrival:
    """What the HTTP layer knows when a request arrives. Header names are lower case; `query` is as received.

    `endpoint`: messages, count_tokens, or replay: a request of the history that is asked again, with
    `replay_of` its request id, `holder_replayed` the holder of its opaque data, and `session_replayed` what
    keeps the replays of one session together. `purpose`: of a request that the gateway makes as a part of
    another one; None: a client's.
    """

    request_id: str
    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    address: str
    key: KeyEntry | None = None
    replay_of: str = ""
    holder_replayed: str = ""
    session_replayed: str = ""
    query: str = ""
    purpose: Purpose | None = None

    @property
    def session(self) -> str | None:
        return self.headers.get(SESSION) or self.session_replayed or None

    @property
    def holder(self) -> str:
        """The owner of the opaque data that the request brings and gets."""
        return self.key.holder if self.key else self.holder_replayed


@frozen
class Findings:
    """A model's verdicts on actions, by the ids of their calls, or why there are none.

    `model`: who was asked; `check_id`: the request id of the check; "" when nobody was.
    """

    opinions: Mapping[str, Opinion | Unavailable]
    model: str = ""
    took_ms: int | None = None
    check_id: str = ""


class AsksClassifier(Protocol):
    """See relay/safety/classifier.py."""

    async def __call__(self, actions: Sequence[Action]) -> Findings: ...


@dataclass(slots=True)
class ExchangeAttempt:
    """One try at a provider while it lasts. `started` and the other times are on the monotonic clock."""

    number: int
    route: Route
    credential: str
    started_at: datetime
    started: float
    first_byte_at: float | None = None
    ended_at: float | None = None
    status: int | None = None
    error: GatewayError | None = None
    next_step: NextStep = ""
    pause: float | None = None
    upstream_request_id: str = ""

    def failed(self, error: GatewayError, now: float) -> None:
        """It ended in an error."""
        self.error, self.ended_at = error, now

    def facts(self, state: State, now: float | None, failure: GatewayError | None) -> AttemptFacts:
        """The try as a frozen value. The arguments: the exchange's end, for a try that lasted until then."""
        error = self.error or failure
        return AttemptFacts(
            number=self.number,
            started_at=self.started_at,
            provider=self.route.provider.slug,
            upstream_model=self.route.upstream_model,
            credential=self.credential,
            state=state if self.error is None else ERROR,
            status=self.status,
            error_type=error.error_type if error else "",
            error_message=error.message if error else "",
            first_byte_ms=_ms(self.started, self.first_byte_at),
            duration_ms=_ms(self.started, self.ended_at or now),
            next_step=self.next_step,
            pause_ms=None if self.pause is None else round(self.pause * 1000),
            upstream_request_id=self.upstream_request_id,
        )


@dataclass(slots=True)
class Exchange:
    """`started` is the monotonic clock at arrival; the other fields fill up on the way.

    `purpose`: what the request is for; `facts`: those among which `needs` chose its route; `attached`: what
    its messages carry, once somebody has looked. `novelties`: names in it that this version does not know.
    `arm`: the one that its session was given, where the mapping divides its sessions; `move`: what
    the ledger says of a ramp's step that moved the session.
    `diagnosis`: why it misses the cache of the one before, for clients that ask. `classifier`: who judges
    calls that no rule decides. `verdicts`: what was said of the calls of its
    answer, as the columns of models.SafeguardVerdict.
    `answer_headers`: headers of the provider's answer that go back to the client. `inside`: it has a
    place in this process. `admission`: what its key was charged; `limit_headers`: what the key has left
    (docs/conversion.md, "Response headers").
    """

    arrival: Arrival
    started_at: datetime
    started: float
    capture_policy: str
    ledger: Ledger = field(default_factory=Ledger)
    asked_model: str = ""
    streamed: bool = False
    purpose: Purpose = NOTHING_KNOWN
    facts: Facts = NO_FACTS
    needs: Needs = NO_NEEDS
    attached: Attached | None = None
    novelties: list[list[str]] = field(default_factory=list)
    classifier: AsksClassifier | None = None
    verdicts: list[VerdictFacts] = field(default_factory=list)
    route: Route | None = None
    arm: Arm | None = None
    move: str = ""
    tries: list[ExchangeAttempt] = field(default_factory=list)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    recurring: Recurring = NOTHING
    page_texts: ReadElsewhere = field(default_factory=ReadElsewhere)
    sent: bytes = b""
    received_json: Mapping[str, object] | None = None
    sent_json: Mapping[str, object] | None = None
    first_byte_at: float | None = None
    stop_reason: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    usage_estimated: bool = False
    cache_told: bool = False
    service_tier: str = ""
    estimated_input_tokens: int | None = None
    input_counts: TokenCounts | None = None
    tools_called: list[str] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    searched: Searched | None = None
    diagnosis: CacheDiagnosis | None = None
    inside: bool = False
    admission: Admission | None = None
    served_by: str = ""
    limit_headers: Mapping[str, str] = field(default_factory=dict)
    answered: capture.ByteLog = field(default_factory=capture.ByteLog)
    returned: capture.ByteLog = field(default_factory=capture.ByteLog)

    @property
    def request_id(self) -> str:
        return self.arrival.request_id

    @property
    def reply_headers(self) -> Mapping[str, str]:
        """Headers for the client beside the answer; our limits before a provider's."""
        answer_headers, key = self.answer_headers, self.arrival.key
        if key is not None and key.signed_in and answer_headers:
            answer_headers = without_upstreams(answer_headers)
        return {**answer_headers, **self.limit_headers}

    @property
    def captures(self) -> bool:
        return self.capture_policy == capture.FULL

    def attempt_begins(self, route: Route, credential: str, now: datetime, clock: float) -> ExchangeAttempt:
        """Note that a provider is asked now."""
        attempt = ExchangeAttempt(len(self.tries) + 1, route, credential, now, clock)
        self.tries.append(attempt)
        return attempt

    def message_ended(self, message: Mapping[str, object]) -> None:
        """Note the facts of a whole message, which a provider may have written itself."""
        facts = message_facts(message)
        self.stop_reason, self.usage, self.tools_called = facts.stop_reason, facts.usage, facts.tools_called

    def note_returned(self, piece: bytes) -> None:
        """A piece of the answer goes to the client."""
        if self.captures:
            self.returned.add(piece)

    def begun(self) -> ExchangeOutcome:
        """The facts of an exchange that has arrived and is on its way to a provider."""
        return ExchangeOutcome(**self._known(), state=OPEN)

    def outcome(
        self,
        state: State,
        *,
        status: int | None = None,
        error: GatewayError | None = None,
        now: float | None = None,
    ) -> ExchangeOutcome:
        """The facts at the end, as one frozen value. `now` is the monotonic clock. Never raises.

        The end of every exchange depends on it; so what cannot be said of an odd request or answer is left
        out.
        """
        try:
            return self._outcome(state, status, error, now)
        except Exception:
            logger.exception("unexpected error", extra={"request_id": self.request_id})
            return ExchangeOutcome(
                **self._known(),
                state=state,
                status=status,
                error_type=error.error_type if error else "",
                error_message=error.message if error else "",
                attempts=len(self.tries),
                duration_ms=_ms(self.started, now),
            )

    def _outcome(
        self, state: State, status: int | None, error: GatewayError | None, now: float | None
    ) -> ExchangeOutcome:
        usage, counts, request = self.usage, self.input_counts, self.received_json
        attached = self._attached()
        details = usage.get("output_tokens_details") or {}
        cache_writes = usage.get("cache_creation") or {}
        return ExchangeOutcome(
            **self._known(),
            state=state,
            status=status,
            error_type=error.error_type if error else "",
            error_message=error.message if error else "",
            stop_reason=self.stop_reason,
            input_tokens=usage.get("input_tokens"),
            output_tokens=usage.get("output_tokens"),
            # 0 would say that a provider which tells nothing of a cache read nothing from it
            cache_read_tokens=usage.get("cache_read_input_tokens") if self.cache_told else None,
            cache_write_tokens=usage.get("cache_creation_input_tokens"),
            cache_write_1h_tokens=cache_writes.get("ephemeral_1h_input_tokens"),
            thinking_tokens=details.get("thinking_tokens"),
            usage_estimated=self.usage_estimated,
            service_tier=self.service_tier,
            estimated_input_tokens=self.estimated_input_tokens,
            vocabulary_tokens=counts.total if counts else None,
            letter_tokens=counts.letters if counts else None,
            cjk_tokens=counts.cjk if counts else None,
            first_byte_ms=_ms(self.started, self.first_byte_at),
            duration_ms=_ms(self.started, now),
            attempts=len(self.tries),
            ledger=[*self._moved(), *self.ledger.as_json(), *self._not_kept()],
            tools_called=self.tools_called,
            tools_failed=[] if request is None else failed_tools(request),
            verdicts=self.verdicts,
            has_images=attached.images,
            facts=self._stored_facts(attached),
            timeline=self.timeline.as_json(self.started),
            upstream_request_id=self.tries[-1].upstream_request_id if self.tries else "",
            tries=tuple([attempt.facts(state, now, error) for attempt in self.tries]),
            bodies=self._bodies() if self.captures else None,
        )

    def _attached(self) -> Attached:
        if self.attached is None:
            self.attached = Attached() if self.received_json is None else attached_to(self.received_json)
        return self.attached

    def _stored_facts(self, attached: Attached) -> dict[str, Any]:
        """Facts that rules can ask for and that have no column in the history."""
        if self.received_json is None:
            return {}
        facts, shape = self.facts, shape_of(self.received_json)
        known = dataclasses.replace(
            facts,
            pdfs=attached.pdfs,
            thinking=shape.thinking,
            effort=shape.effort,
            tools=shape.tools,
            web_search=shape.web_search,
            structured_output=shape.structured_output,
            max_tokens=shape.max_tokens,
        )
        return as_json(known, self.needs)

    def _moved(self) -> list[LedgerRow]:
        """The ledger entry for a session that a step moved; no conversion writes it."""
        return [{"code": "moved", "path": "model", "note": self.move}] if self.move else []

    def _not_kept(self) -> list[LedgerRow]:
        """Ledger entries for parts of the answers that the history does not keep."""
        megabytes = capture.MAX_STREAM_BYTES >> 20
        return [
            {"code": "dropped", "path": f"history: {name}", "note": f"kept are the first {megabytes} MB"}
            for name, log in (("answered", self.answered), ("returned", self.returned))
            if log.cut and self.captures
        ]

    def _known(self) -> dict[str, Any]:
        """Fields of the outcome that are known from the beginning."""
        arrival, route, purpose = self.arrival, self.route, self.purpose
        key, header = arrival.key, arrival.headers.get
        return {
            "request_id": arrival.request_id,
            "started_at": self.started_at,
            "endpoint": arrival.endpoint,
            "client_key_id": key.id if key else None,
            "key_name": key.name if key else "",
            "owner_id": key.owner_id if key else None,
            "session_id": header(SESSION, ""),
            "agent_id": header(AGENT, ""),
            "parent_agent_id": header(PARENT_AGENT, ""),
            "client": header("user-agent", ""),
            "client_address": arrival.address,
            "asked_model": self.asked_model,
            "provider": route.provider.slug if route else "",
            "upstream_model": route.upstream_model if route else "",
            "mapping": route.rule.pattern if route else "",
            "mapping_pk": route.rule.id if route else None,
            "arm": self.arm.name if self.arm else "",
            "arm_share": self.arm.share if self.arm else None,
            "streamed": self.streamed,
            "replay_of": arrival.replay_of,
            "served_by": self.served_by,
            "request_class": str(purpose.request_class),
            "class_inferred": purpose.inferred,
            "task": str(purpose.task),
            "agent_type": purpose.agent_type,
            "prompt_id": purpose.prompt_id,
            "compaction": purpose.compaction,
            "tool_durations": purpose.tool_durations,
            "finer_class": purpose.finer_class,
            "settings_checksum": purpose.settings_checksum,
            "caller_request_id": header("request-id") or header("x-request-id", ""),
            "novelties": self.novelties,
        }

    def _bodies(self) -> CapturedBodies:
        return CapturedBodies(
            headers=capture.masked_headers(self.arrival.headers),
            received=self.arrival.body,
            sent=self.sent,
            answered=self.answered.text(),
            returned=self.returned.text(),
            received_json=self.received_json,
            sent_json=self.sent_json,
        )


def _ms(start: float, end: float | None) -> int | None:
    return None if end is None else round((end - start) * 1000)
