"""Reconciler: keeps the accounts of budgets equal to the history, whichever of the two was changed.

Between two looks an account changes with the requests that begin and end. A look computes it again:
what the history says was spent, plus the requests that the history does not include yet. It happens

    at once     before an account is used for the first time or after a pause, and before it refuses
                a request, but at most once a second
    later       a minute after requests have ended

so a corrected price, a store that lost its data or a process that died need no repair by hand.
One thread does it, and sweeps the store. Another one keeps the holds of running requests alive, also while
the history does not answer.

An account's rows are read first, then which of their requests the history includes, then its sum.
What happens in between may be counted twice until the next look; nothing is missed.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Final, Protocol

from gateway.limits.counting import LEASE
from gateway.limits.meters import Meter, Subject
from gateway.limits.stores import Store, StoreUnavailable
from gateway.limits.windows import Period

logger = logging.getLogger("gateway.limits")

LOOK_EVERY: Final = 60.0
SWEEP_EVERY: Final = 3600.0
TICK: Final = LEASE / 4
# A request waits this long for a look; after a failed one the history is left alone for as long.
PATIENCE: Final = 5.0


class BudgetHistory(Protocol):
    """What happened, as far as budgets are concerned. Its calls block and raise StoreUnavailable."""

    def spent(self, subject: Subject, period: Period) -> Mapping[str, int]:
        """The amount of each unit used in a period."""
        ...

    def ended(self, requests: Sequence[str]) -> set[str]:
        """The requests whose end is included in what `spent` returns."""
        ...


class NoHistory:
    """For a gateway that keeps no history."""

    def spent(self, subject: Subject, period: Period) -> Mapping[str, int]:
        return {}

    def ended(self, requests: Sequence[str]) -> set[str]:
        return set()


class Reconciler:
    """`look` waits until accounts were compared with the history; the rest does not wait.

    `clock` gives Unix seconds, which the processes share; `steady` seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        history: BudgetHistory,
        *,
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._store = store
        self._history = history
        self._clock, self._steady = clock, steady
        self._jobs: queue.SimpleQueue[Meter | None] = queue.SimpleQueue()
        self._looks: dict[str, Future[None]] = {}
        self._due: dict[str, tuple[float, Meter]] = {}
        self._held: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._rests_until = steady()
        # since when the history is being asked
        self._asking_since: float | None = None
        self._stopped = threading.Event()

    async def look(self, meters: Iterable[Meter]) -> None:
        """Compare their accounts with the history; returns in time even when it does not answer."""
        now, since = self._steady(), self._asking_since
        hangs = since is not None and now - since >= PATIENCE
        if now >= self._rests_until and not hangs:
            looks = [asyncio.wrap_future(self._asked(meter)) for meter in meters]
            await asyncio.wait(looks, timeout=PATIENCE)

    def begun(self, meters: Iterable[Meter], request_id: str) -> None:
        """A request runs: its holds are kept alive."""
        with self._lock:
            for meter in meters:
                if not meter.is_rate:
                    self._held.setdefault(meter.counter, {})[request_id] = None
        self._start()

    def ended(self, meters: Iterable[Meter], request_id: str) -> None:
        """A request has ended: a look follows after a while."""
        later = self._steady() + LOOK_EVERY
        with self._lock:
            for meter in meters:
                if meter.is_rate:
                    continue
                held = self._held.get(meter.counter, {})
                held.pop(request_id, None)
                if not held:
                    self._held.pop(meter.counter, None)
                if meter.window is not None:
                    self._due.setdefault(meter.counter, (later, meter))

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout)

    def _asked(self, meter: Meter) -> Future[None]:
        """One look at an account, shared by all who ask meanwhile."""
        with self._lock:
            look = self._looks.get(meter.counter)
            if look is None:
                look = self._looks[meter.counter] = Future()
                # several callers wait for it; none of them may cancel it
                look.set_running_or_notify_cancel()
                self._jobs.put(meter)
        self._start()
        return look

    def _start(self) -> None:
        if self._thread is None and not self._stopped.is_set():
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="limits-history", daemon=True)
                    self._thread.start()
                    threading.Thread(target=self._keep_alive, name="limits-holds", daemon=True).start()

    # --- the threads ----------------------------------------------------------------

    def _keep_alive(self) -> None:
        while not self._stopped.wait(TICK):
            self._quietly(self._keep)

    def _keep(self) -> None:
        """Raises StoreUnavailable."""
        with self._lock:
            held = {account: list(requests) for account, requests in self._held.items()}
        if held:
            self._store.keep(held, int(self._clock()) + LEASE)

    def _run(self) -> None:
        ticked = swept = self._steady()
        while not self._stopped.is_set():
            try:
                meter = self._jobs.get(timeout=TICK)
            except queue.Empty:
                meter = None
            if meter is not None:
                self._look_for_all(meter)
            now = self._steady()
            if now - ticked >= TICK:
                ticked = now
                self._quietly(lambda now=now: self._look_at_due(now))  # type: ignore[misc]
            if now - swept >= SWEEP_EVERY:
                swept = now
                self._quietly(lambda: self._store.sweep(now=self._clock()))

    def _look_for_all(self, meter: Meter) -> None:
        done = self._quietly(lambda: self._look(meter))
        if not done:
            self._rests_until = self._steady() + PATIENCE
        with self._lock:
            look = self._looks.pop(meter.counter, None)
        if look is not None:
            look.set_result(None)

    def _look_at_due(self, now: float) -> None:
        """Look at the accounts that are due at `now` (steady). Raises StoreUnavailable."""
        with self._lock:
            due = [name for name, (when, _) in self._due.items() if when <= now]
        for name in due:
            with self._lock:
                _, meter = self._due.pop(name)
            if meter.lasts > self._clock():
                self._look(meter)

    def _look(self, meter: Meter) -> None:
        """Raises StoreUnavailable."""
        self._asking_since = self._steady()
        try:
            self._compare(meter)
        finally:
            self._asking_since = None

    def _compare(self, meter: Meter) -> None:
        account = self._store.account(meter.counter, now=self._clock())
        known: set[str] = set()
        spent = 0
        if isinstance(meter.window, Period):
            known = self._history.ended([row.request for row in account.rows])
            spent = self._history.spent(meter.subject, meter.window).get(meter.unit, 0)
        self._store.reconcile(meter.counter, account.reconciled, spent, known, meter.lasts, now=self._clock())

    def _quietly(self, work: Callable[[], object]) -> bool:
        """Whether it succeeded; no other thread does this work."""
        try:
            work()
        except StoreUnavailable as problem:
            logger.warning("limits not compared with the history", extra={"problem": str(problem)})
            return False
        except Exception:
            logger.exception("unexpected error in the limits")
            return False
        return True
