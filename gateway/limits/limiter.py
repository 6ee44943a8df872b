"""Limiter: lets a key's request in or refuses it, and settles what it used.

    admit    before the provider is asked: counters are charged with an estimate, a place
             among the key's concurrent requests is taken
    settle   at the end, however it ended: the counters are put right, the place is left

Only requests of keys that have limits come to the store. Its calls run in threads of their
own; `settle` never waits: what the store does not take at once is kept and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import GatewayError, NotAllowed, TooManyRequests
from gateway.limits.meters import Meter, Need, judged, meters_of, too_many_at_once
from gateway.limits.stores import Charge, Store, StoreUnavailable
from gateway.limits.windows import Period
from gateway.routing.snapshot import KeyEntry, KeyLimits

logger = logging.getLogger("gateway.limits")

# A place is held for so long, and kept again at half of it; then a dead process has left it.
LEASE: Final = 60
RETRY_SECONDS: Final = 2.0
# After the store did not answer, requests do not wait for it again for so long.
REST_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 3600.0
THREADS: Final = 2
# Output that is put aside for a request before its length is known, in tokens.
EXPECTED_OUTPUT: Final = 1000

Spent = Callable[[int, Period], Mapping[str, int]]


@dataclass(slots=True)
class Admission:
    """A request that was let in. `headers` go onto its answer; give it back to `Limiter.settle` once."""

    headers: Mapping[str, str] = field(default_factory=dict)
    charged: Need = field(default_factory=Need)
    meters: tuple[Meter, ...] = ()
    place: str | None = None
    holder: str = ""


FREE: Final = Admission()


class Limiter:
    """`spent(key_id, period)` reads from the history what a key used: {"spend": ..., "tokens": ...}.

    `fail_closed`: refuse while the store does not answer within `patience` seconds; else let in.
    `refuse_unpriced`: a key with a spend budget may not ask for what has no price.
    """

    def __init__(
        self,
        store: Store,
        spent: Spent,
        *,
        fail_closed: bool = False,
        refuse_unpriced: bool = False,
        patience: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._spent = spent
        self._fail_closed = fail_closed
        self._refuse_unpriced = refuse_unpriced
        self._patience = patience
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="limits")
        self._filled: set[str] = set()
        self._held: dict[str, str] = {}
        self._owed: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._rests_until = 0.0

    async def admit(self, key: KeyEntry | None, request_id: str, model: str, need: Need) -> Admission:
        """Charge `need`, the estimate, and take a place.

        Raises TooManyRequests (specification 7.2), or NotAllowed for a model without a price.
        """
        limits = None if key is None else key.limits
        if key is None or limits is None:
            return FREE
        if need.cost is None and limits.spend_budget is not None and self._refuse_unpriced:
            raise unpriced(model)
        try:
            return await self._asked(lambda: self._admitted(key.id, limits, request_id, need))
        except StoreUnavailable as problem:
            logger.error("limits cannot be counted", extra={"key_name": key.name, "problem": str(problem)})
            if not self._fail_closed:
                return FREE
            raise TooManyRequests("spend limit unavailable", should_retry=False) from None

    def settle(self, admission: Admission, used: Need) -> None:
        """Put the counters right and leave the place; never waits, never raises."""
        if admission is FREE:
            return
        charges = _difference(admission.meters, admission.charged, used)
        place, holder = admission.place, admission.holder
        if charges:
            self._owe(lambda: self._store.charge(charges, now=self._clock()))
        if place is not None:
            self._owe(lambda: self._left(place, holder))

    def stop(self, timeout: float = 5.0) -> None:
        """Settle what is owed, as far as the store answers in time."""
        self._stopping.set()
        self._wake.set()
        if self._keeper is not None:
            self._keeper.join(timeout)
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- in a thread (or in the loop, for a local store) ----------------------------

    def _admitted(self, key_id: int, limits: KeyLimits, request_id: str, need: Need) -> Admission:
        now = self._clock()
        meters = meters_of(limits, key_id, now)
        self._fill(key_id, meters, now)
        charges = _charges(meters, need)
        totals = self._charged(key_id, meters, charges, now)
        verdict = judged(meters, totals, need, now)
        refusal: GatewayError | None = verdict.refusal
        place = None
        if refusal is None and limits.concurrent_requests is not None:
            place = self._place(key_id, limits.concurrent_requests, request_id, now)
            if place is None:
                refusal = too_many_at_once(limits.concurrent_requests)
                refusal.extra_headers = dict(verdict.headers)
        if refusal is not None:
            self._store.charge([charge._replace(amount=-charge.amount) for charge in charges], now=now)
            raise refusal
        return Admission(verdict.headers, need, meters, place, request_id)

    def _place(self, key_id: int, number: int, holder: str, now: float) -> str | None:
        names = [f"{key_id}:{index}" for index in range(number)]
        # from a random one on, so that processes seldom reach for the same
        first = random.randrange(number) if number else 0  # noqa: S311 (no secret)
        place = self._store.take([*names[first:], *names[:first]], holder, int(now) + LEASE, now=now)
        if place is not None:
            with self._lock:
                self._held[place] = holder
            self._start_keeper()
        return place

    def _left(self, place: str, holder: str) -> None:
        with self._lock:
            self._held.pop(place, None)
        self._store.leave(place, holder)

    def _charged(
        self, key_id: int, meters: Sequence[Meter], charges: Sequence[Charge], now: float
    ) -> Mapping[str, int]:
        """Charge; the counters' values afterwards. Budgets that the store has lost are filled again."""
        budgets = {_mark(meter): meter for meter in meters if isinstance(meter.window, Period)}
        faded = [meter.faded for meter in meters if meter.faded]
        totals = self._store.charge(charges, [*faded, *budgets], now=now)
        lost = [meter for mark, meter in budgets.items() if mark not in totals]
        if not lost:
            return totals
        # as a Redis that keeps nothing does when it is restarted
        self._filled.difference_update(meter.counter for meter in lost)
        self._fill(key_id, lost, now)
        return {**totals, **self._store.charge([], [meter.counter for meter in lost], now=now)}

    def _fill(self, key_id: int, meters: Sequence[Meter], now: float) -> None:
        """A budget's counter begins with what the history says was used since the period began."""
        for meter in meters:
            if not isinstance(meter.window, Period) or meter.counter in self._filled:
                continue
            # asked before the claim: whoever has claimed must also fill
            amount = self._spent(key_id, meter.window).get(meter.unit, 0)
            if self._store.claim(_mark(meter), meter.lasts, now=now):
                self._store.charge([Charge(meter.counter, amount, meter.lasts)], now=now)
            self._filled.add(meter.counter)

    # --- the keeper's thread: pays what is owed, keeps places, sweeps -------------------

    def _owe(self, work: Callable[[], object]) -> None:
        self._owed.append(work)
        if self._store.local:
            self._pay()
        else:
            self._start_keeper()
            self._wake.set()

    def _start_keeper(self) -> None:
        with self._lock:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep_on, name="limits-keeper", daemon=True)
                self._keeper.start()

    def _keep_on(self) -> None:
        kept = swept = self._clock()
        while not (self._stopping.is_set() and not self._owed):
            self._wake.wait(RETRY_SECONDS if self._owed else LEASE / 4)
            self._wake.clear()
            now = self._clock()
            try:
                self._pay()
                if now - kept >= LEASE / 2:
                    kept = now
                    with self._lock:
                        held = dict(self._held)
                    self._store.keep(held, int(now) + LEASE, now=now)
                if now - swept >= SWEEP_SECONDS:
                    swept = now
                    self._store.sweep(now=now)
            except StoreUnavailable as problem:
                logger.error("limits not settled, trying again", extra={"problem": str(problem)})
                if self._stopping.is_set():
                    return
            except Exception:
                # nobody else keeps the places
                logger.exception("unexpected error in the limits")

    def _pay(self) -> None:
        """Do what is owed, oldest first. Raises StoreUnavailable; the rest stays owed."""
        while self._owed:
            try:
                self._owed[0]()
            except StoreUnavailable:
                raise
            except Exception:
                # it would fail again, and what is owed behind it would wait for ever
                logger.exception("a settlement failed and is left out")
            self._owed.popleft()

    # --- beside the loop ----------------------------------------------------------------

    async def _asked(self, work: Callable[[], Admission]) -> Admission:
        if self._store.local:
            return work()
        if self._clock() < self._rests_until:
            raise StoreUnavailable("it did not answer a moment ago")
        asked = asyncio.get_running_loop().run_in_executor(self._threads, work)
        handed_on = False
        try:
            done, _ = await asyncio.wait({asked}, timeout=self._patience)
            if done:
                handed_on = True
                return asked.result()
            raise StoreUnavailable(f"no answer within {self._patience:g} seconds")
        except StoreUnavailable:
            self._rests_until = self._clock() + REST_SECONDS
            raise
        finally:
            if not handed_on:
                # too late, or the client is gone: what it takes even so, or has taken, is given back
                asked.add_done_callback(self._give_back)

    def _give_back(self, asked: asyncio.Future[Admission]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self.settle(asked.result(), Need())


def unpriced(model: str) -> NotAllowed:
    """A key with a spend budget asks for a model whose price nobody knows, and the setting says no."""
    return NotAllowed(
        f"Your API key has a spend limit, and the model {model} has no price: an admin must enter one"
    )


def _mark(meter: Meter) -> str:
    """The name in the store that says that a budget's counter was filled from the history."""
    return f"filled:{meter.counter}"


def _charges(meters: Sequence[Meter], need: Need) -> list[Charge]:
    return [Charge(meter.counter, need.amount(meter.unit), meter.lasts) for meter in meters]


def _difference(meters: Sequence[Meter], charged: Need, used: Need) -> list[Charge]:
    return [
        Charge(meter.counter, more, meter.lasts)
        for meter in meters
        if (more := used.amount(meter.unit) - charged.amount(meter.unit))
    ]
