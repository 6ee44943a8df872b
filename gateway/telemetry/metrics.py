"""Counts and durations of exchanges, for Prometheus: a few additions at an exchange's turn and at its end.

Label values are few and our own (endpoint, state, provider, class of the status), never what a client sends.
A single process keeps its numbers in memory. When several share a port a scrape reaches any of them, so they
keep them in files of one folder (prometheus_client's multi-process mode), and the one that is asked adds up.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from gateway import __version__
from gateway.telemetry.exchange_metrics import ExchangeMetrics

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
# the variable that prometheus_client reads
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
# in memory: writing to a mapped file on a full disk gets the process killed
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
_PREFIX: Final = "ccproxy-metrics-"
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

# ours only; the library's own registry also reports the one process that is asked
_registry = CollectorRegistry()
_ended = Counter(
    "ccproxy_requests",
    "Requests that have ended, by how they did.",
    ["endpoint", "state", "provider", "status"],
    registry=_registry,
)
_first_byte = Histogram(
    "ccproxy_first_byte_seconds",
    "From arrival to the first byte of the answer.",
    ["endpoint", "provider"],
    buckets=_SECONDS,
    registry=_registry,
)
_duration = Histogram(
    "ccproxy_duration_seconds",
    "From arrival to the end of the answer.",
    ["endpoint", "provider"],
    buckets=_SECONDS,
    registry=_registry,
)
_attempts = Counter(
    "ccproxy_attempts",
    "Attempts at providers, by how they ended.",
    ["provider", "state"],
    registry=_registry,
)
_retries = Counter(
    "ccproxy_retries",
    "Attempts that were followed by another one, by what they ended in.",
    ["provider", "reason"],
    registry=_registry,
)
_tokens = Counter("ccproxy_tokens", "Tokens, by direction.", ["provider", "direction"], registry=_registry)
_open = Gauge(
    "ccproxy_open_requests",
    "Requests that are being answered now.",
    multiprocess_mode="livesum",
    registry=_registry,
)
_waiting = Gauge(
    "ccproxy_waiting_requests",
    "Requests that wait for their turn.",
    multiprocess_mode="livesum",
    registry=_registry,
)

_history_waiting = Gauge(
    "ccproxy_history_waiting_rows",
    "History that waits in memory for the database.",
    multiprocess_mode="livesum",
    registry=_registry,
)
_history_committed = Gauge(
    "ccproxy_history_committed_timestamp_seconds",
    "When history was last committed.",
    multiprocess_mode="livemax",
    registry=_registry,
)
_uncounted = Counter(
    "ccproxy_limits_uncounted",
    "Requests of keys with limits that could not be counted.",
    registry=_registry,
)
_shadows_dropped = Counter(
    "ccproxy_shadows_dropped",
    "Shadow requests that were not made, by the reason.",
    ["why"],
    registry=_registry,
)
_refused = Counter(
    "ccproxy_refusals", "Errors that clients got, by their type.", ["type"], registry=_registry
)
_model_tokens = Counter(
    "ccproxy_model_tokens",
    "Tokens by the model that a mapping names; as asked: it passes the name on.",
    ["provider", "model", "direction"],
    registry=_registry,
)

_model_cost = Counter(
    "ccproxy_model_cost_dollars",
    "Cost of exchanges whose price is known, by the model that a mapping names.",
    ["provider", "model"],
    registry=_registry,
)
_owner_tokens = Counter(
    "ccproxy_owner_tokens",
    "Tokens by the owner of the client key; only with METRICS_BY_OWNER.",
    ["owner", "direction"],
    registry=_registry,
)
_owner_cost = Counter(
    "ccproxy_owner_cost_dollars",
    "Cost by the owner of the client key; only with METRICS_BY_OWNER.",
    ["owner"],
    registry=_registry,
)
_group_tokens = Counter(
    "ccproxy_group_tokens",
    "Tokens by each group of the client key's owner; only with METRICS_BY_GROUP.",
    ["group", "direction"],
    registry=_registry,
)
_group_cost = Counter(
    "ccproxy_group_cost_dollars",
    "Cost by each group of the client key's owner; only with METRICS_BY_GROUP.",
    ["group"],
    registry=_registry,
)
_loop_lag = Histogram(
    "ccproxy_loop_lag_seconds",
    "How much later than asked the event loop ran a timer; twice a second.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
    registry=_registry,
)
_pool = Gauge(
    "ccproxy_database_connections",
    "Connections of the PostgreSQL pool, and who waits for one.",
    ["state"],
    multiprocess_mode="livesum",
    registry=_registry,
)
_started = Gauge(
    "ccproxy_process_start_timestamp_seconds",
    "When the serving process was started; it changes with each restart.",
    multiprocess_mode="liveall",
    registry=_registry,
)
_configuration_loaded = Gauge(
    "ccproxy_configuration_loaded_timestamp_seconds",
    "When the configuration in force was read; of several processes, the oldest.",
    multiprocess_mode="livemin",
    registry=_registry,
)
_configuration_checked = Gauge(
    "ccproxy_configuration_checked_timestamp_seconds",
    "When it was last known to be the newest; of several processes, the oldest.",
    multiprocess_mode="livemin",
    registry=_registry,
)

# seconds from one look at the loop to the next
_TICK: Final = 0.5
_MOST_MODELS: Final = 200
_models: set[tuple[str, str]] = set()

M = TypeVar("M", Counter, Histogram, Gauge)


@dataclass(frozen=True, slots=True)
class CurrentState:
    """The state at the moment of asking. `set_aside`: credentials set aside, by provider.

    `targets`: targets that processes skip now, by provider; None when unknown because the database is away.
    """

    spool_bytes: int = 0
    set_aside: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, int] | None = field(default_factory=dict)
    stopped: bool = False

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "ccproxy_build",
            "The release that answers.",
            value={"version": __version__, "python": platform.python_version()},
        )
        yield GaugeMetricFamily(
            "ccproxy_spool_bytes", "History that waits in files for the database.", value=self.spool_bytes
        )
        yield _by_provider(
            "ccproxy_credentials_set_aside", "Credentials that a provider refused.", self.set_aside
        )
        yield GaugeMetricFamily(
            "ccproxy_emergency_stop", "1 while the emergency stop refuses new requests.", value=self.stopped
        )
        if self.targets is not None:
            yield _by_provider(
                "ccproxy_targets_set_aside", "Targets that are skipped for a time.", self.targets
            )


def _by_provider(name: str, text: str, numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["provider"])
    for provider, number in numbers.items():
        family.add_metric([provider], number)
    return family


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """An exchange waits for its turn."""
    _waiting.inc()
    try:
        yield
    finally:
        _waiting.dec()


def came_in() -> None:
    """An exchange has its turn."""
    _open.inc()


def left() -> None:
    """An exchange that came in has ended."""
    _open.dec()


def ended(
    outcome: ExchangeMetrics, cost: Decimal | None = None, owner: str = "", groups: Iterable[str] = ()
) -> None:
    """Count an exchange that has ended, whatever the outcome.

    `cost` in US dollars; None: unknown. `owner`, `groups`: whose tokens and cost are counted, too.
    """
    endpoint, provider = outcome.endpoint, outcome.provider
    status = f"{outcome.status // 100}xx" if outcome.status else ""
    _labelled(_ended, endpoint, outcome.state, provider, status).inc()
    if outcome.first_byte_ms is not None:
        _labelled(_first_byte, endpoint, provider).observe(outcome.first_byte_ms / 1000)
    if outcome.duration_ms is not None:
        _labelled(_duration, endpoint, provider).observe(outcome.duration_ms / 1000)
    if outcome.error_type:
        _labelled(_refused, outcome.error_type).inc()
    named = outcome.upstream_model
    model = _model_label(provider, outcome.asked_model, named) if named else ""
    for direction, number in _tokens_of(outcome):
        _labelled(_tokens, provider, direction).inc(number)
        if model:
            _labelled(_model_tokens, provider, model, direction).inc(number)
        if owner:
            _labelled(_owner_tokens, owner, direction).inc(number)
        for group in groups:
            _labelled(_group_tokens, group, direction).inc(number)
    if cost:
        dollars = float(cost)
        _labelled(_model_cost, provider, model).inc(dollars)
        if owner:
            _labelled(_owner_cost, owner).inc(dollars)
        for group in groups:
            _labelled(_group_cost, group).inc(dollars)
    for attempt in outcome.tries:
        _labelled(_attempts, attempt.provider, attempt.state).inc()
        if attempt.next_step in _ANOTHER:
            _labelled(_retries, attempt.provider, attempt.error_type or attempt.state).inc()


# steps of the history after an attempt that was not the last
_ANOTHER: Final = frozenset({"again", "learnt", "credential", "target"})


def _tokens_of(outcome: ExchangeMetrics) -> Iterator[tuple[str, int]]:
    """Direction and number; those that are unknown or none are left out."""
    if outcome.input_tokens:
        yield "input", outcome.input_tokens
    if outcome.output_tokens:
        yield "output", outcome.output_tokens
    if outcome.cache_read_tokens:
        yield "cache_read", outcome.cache_read_tokens
    if outcome.cache_write_tokens:
        yield "cache_write", outcome.cache_write_tokens


def _model_label(provider: str, asked: str, model: str) -> str:
    """A model that an admin named; "as asked" for names a mapping passes on, which clients choose freely."""
    if model == asked:
        return "as asked"
    name = (provider, model)
    if name not in _models and len(_models) < _MOST_MODELS:
        _models.add(name)
    return model if name in _models else "other"


# the library converts the values to text and takes a lock on each lookup of the same few children
@functools.lru_cache(maxsize=1024)
def _labelled(metric: M, *values: str) -> M:
    return metric.labels(*values)


def history_state(waiting: int, committed: bool) -> None:
    """Called by the recorder after each batch that it tried to write."""
    _history_waiting.set(waiting)
    if committed:
        _history_committed.set(time.time())


def configuration_state(*, loaded: bool) -> None:
    """Called after each look at the configuration that succeeded; `loaded`: a new one is in force."""
    now = time.time()
    if loaded:
        _configuration_loaded.set(now)
    _configuration_checked.set(now)


def watch_loop(loop: asyncio.AbstractEventLoop, pool: Callable[[], Mapping[str, int]]) -> None:
    """Measure the loop's lag from now on, twice a second, and look at the database's `pool`."""
    _started.set(time.time())

    def tick(due: float) -> None:
        now = loop.time()
        _loop_lag.observe(max(0.0, now - due))
        for state, number in pool().items():
            _labelled(_pool, state).set(number)
        loop.call_at(now + _TICK, tick, now + _TICK)

    loop.call_soon(tick, loop.time())


def uncounted() -> None:
    """Count a request of a key with limits that could not be counted against them."""
    _uncounted.inc()


def shadow_dropped(why: str) -> None:
    """Count a shadow request that was not made."""
    _shadows_dropped.labels(why).inc()


def exposition(standing: CurrentState) -> bytes:
    """All numbers in Prometheus's text format, for all processes that share a folder. Then it reads files."""
    registry = _registry
    if FOLDER_VARIABLE in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return generate_latest(registry) + generate_latest(_Only(standing))


class _Only:
    """A registry of one collector, made each time; one of the library's would keep the collector."""

    def __init__(self, standing: CurrentState) -> None:
        self.collect = standing.collect


@contextlib.contextmanager
def shared_folder(other: Path) -> Iterator[Path]:
    """A folder for the numbers of several processes: the value of FOLDER_VARIABLE in their environment.

    In memory, else where temporary files go, else in `other`, which the gateway may write to anyway.
    """
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place)
    except OSError:
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=other)
    with made as folder:
        yield Path(folder)


def process_died(folder: Path, pid: int) -> None:
    """Drop the gauges of a process that ended; its counts stay."""
    mark_process_dead(pid, str(folder))
