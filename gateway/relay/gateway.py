"""Gateway: what the relay works with, built once per process and passed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import random
from typing import Any, Final, Protocol

from gateway.cache import GenerationalCache
from gateway.conversion.context import NewId
from gateway.history.outcome import ExchangeOutcome
from gateway.limits.limiter import Admission
from gateway.limits.limiter import Limiter as KeyLimiter
from gateway.limits.meters import Need
from gateway.limits.reconciling import NoHistory
from gateway.limits.stores import MemoryStore
from gateway.relay.exchange.cache_diagnostics import Memory, new_memory
from gateway.relay.exchange.ids import new_id
from gateway.relay.exchange.live import LiveExchanges
from gateway.relay.gate import Gate
from gateway.relay.pdf_extraction.workers import PDFWorkers
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry
from gateway.telemetry.outages import Outages
from gateway.upstream.client import UpstreamClient
from gateway.upstream.failover.health import Health
from gateway.upstream.failover.learnt_options import Lessons
from gateway.wire.request_cache import RequestReader

# remembered sessions that a step moved
MOST_MOVES: Final = 4096
# providers' models without a counter that are remembered; clients can make up names
MOST_WITHOUT_COUNTER: Final = 2000


class ExchangeRecorder(Protocol):
    """The history's writer as the relay sees it. Only `settled` waits, and only for a bounded time."""

    def opened(self, outcome: ExchangeOutcome) -> None: ...

    def closed(self, outcome: ExchangeOutcome) -> None: ...

    async def settled(self, outcome: ExchangeOutcome) -> None: ...


class AdmissionLimiter(Protocol):
    """The counter of client keys' limits. Only `admit` waits, and only for a bounded time."""

    def wants_prices(self, key: KeyEntry | None) -> bool: ...

    async def admit(
        self,
        key: KeyEntry | None,
        request_id: str,
        model: str,
        need: Need,
        *,
        free: bool = False,
        contact: str = ...,
    ) -> Admission: ...

    def settle(self, admission: Admission, used: Need) -> None: ...


class Shadowing(Protocol):
    """Sends requests that have ended to another target, too."""

    def ended(self, exchange: Any, gateway: Any, outcome: ExchangeOutcome) -> None: ...


class Configuration(Protocol):
    """The holder of this process's configuration."""

    @property
    def snapshot(self) -> ConfigSnapshot: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything an exchange needs from outside. Times are seconds, sizes bytes.

    `commit_after`: upstream silence after which a stream's 200 is sent. `ping_interval`: longest time
    without an event. `stale_after`: silence after which pings no longer suffice and an empty delta is
    sent. `trailer_timeout`: wait for usage after finish_reason. `call_timeout`: longest call that is not
    streamed. `retry_budget`: no further attempt begins later than this after the first. `stream_limit`:
    longest time of one streamed answer. `check_patience`: longest wait for a model that judges the calls of
    an answer. `process`: this process's name in the history.
    `without_counter`: counters of providers that proved missing or silent, and when (`clock`) to ask them
    again. `seal_keys` sign the opaque data that clients carry, the newest first. `counting`: somebody may
    read the numbers of `telemetry.metrics` (METRICS_TOKEN is set); otherwise no request is counted.
    `counting_owners`: by the owners of client keys, too. `moves`:
    sessions that were said to have been moved by a step (relay/placement.py). `shadows` asks other
    targets, too (relay/shadow.py); None: nothing is asked. `diagnosed`: requests whose successors may ask
    why they missed the cache.
    """

    configuration: Configuration
    client: UpstreamClient
    recorder: ExchangeRecorder
    capture_policy: str = "full"
    process: str = ""
    counting: bool = True
    counting_owners: bool = False
    commit_after: float = 10.0
    ping_interval: float = 10.0
    stale_after: float = 200.0
    trailer_timeout: float = 5.0
    call_timeout: float = 600.0
    retry_budget: float = 30.0
    stream_limit: float = 3600.0
    check_patience: float = 20.0
    max_answer_bytes: int = 64 * 1024 * 1024
    without_counter: GenerationalCache[str, float] = field(
        default_factory=lambda: GenerationalCache(MOST_WITHOUT_COUNTER)
    )
    live: LiveExchanges = field(default_factory=LiveExchanges)
    health: Health = field(default_factory=Health)
    outages: Outages = field(default_factory=Outages)
    lessons: Lessons = field(default_factory=Lessons)
    limiter: AdmissionLimiter = field(default_factory=lambda: KeyLimiter(MemoryStore(), NoHistory()))
    gate: Gate = field(default_factory=Gate)
    pdf_workers: PDFWorkers = field(default_factory=PDFWorkers)
    reader: RequestReader = field(default_factory=RequestReader)
    shadows: Shadowing | None = None
    diagnosed: Memory = field(default_factory=new_memory)
    moves: GenerationalCache[Hashable, bool] = field(default_factory=lambda: GenerationalCache(MOST_MOVES))
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random
    new_id: NewId = new_id
    seal_keys: tuple[bytes, ...] = field(default=(), repr=False)
