"""CountingQueue: one thread that counts for all requests of a process, many in one transaction.

While the store works on one batch the next one collects, so a burst of requests costs a few
transactions instead of hundreds, and the threads of one process do not compete for its counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gateway.limits.meters import CounterStanding, LimitVerdict, Meter, Need, judged
from gateway.limits.stores import Changes, Charge, End, Hold, Store, StoreUnavailable

logger = logging.getLogger("gateway.limits")

# A hold is released this long after its process last reported that it is alive.
LEASE: Final = 60
# An ended request waits at most this long for the history to record it.
ENDED_KEPT: Final = 86_400
MOST_AT_ONCE: Final = 200
RETRY_SECONDS: Final = 2.0
# Seconds: the greatest age of figures by which a budget is judged, and by which a request is refused.
FRESH: Final = 120.0
LOOK_AGAIN: Final = 1.0


@dataclass(slots=True, eq=False)
class Ask:
    """A request that asks for admission, and its verdict once it is judged.

    `looked`: its accounts have just been compared with the history. `look`: accounts that must be
    compared before it can be judged; nothing was taken in that case.
    """

    meters: tuple[Meter, ...]
    need: Need
    request_id: str
    now: float
    looked: bool = False
    verdict: LimitVerdict = field(default_factory=LimitVerdict)
    look: tuple[Meter, ...] = ()

    @property
    def admitted(self) -> bool:
        return self.verdict.refusal is None and not self.look

    def judge(self, standings: Mapping[str, CounterStanding], now: float) -> None:
        self.verdict = judged(self.meters, standings, self.need, now)
        self.look = tuple(meter for meter in self.meters if self._unsure(meter, standings, now))

    def changes(self, into: Changes) -> None:
        """What it takes, until it is judged."""
        for meter in self.meters:
            if meter.is_rate:
                into.charges.append(Charge(meter.counter, self.need.amount(meter.unit), meter.lasts))
                into.also.add(meter.faded)
            else:
                held, expires = meter.held(self.need), int(self.now) + LEASE
                into.holds.append(Hold(meter.counter, self.request_id, held, meter.lasts, expires))

    def _unsure(self, meter: Meter, standings: Mapping[str, CounterStanding], now: float) -> bool:
        if meter.is_rate:
            return False
        reconciled = standings.get(meter.counter, CounterStanding()).reconciled
        if self.looked:
            # while the history is away a budget is judged by old figures, but never without any
            return meter.window is not None and not reconciled
        # clocks of machines differ slightly
        age = now - reconciled / 1000
        if self.verdict.by is meter and not -1 <= age <= LOOK_AGAIN:
            return True
        return meter.window is not None and not -1 <= age <= FRESH


@dataclass(slots=True)
class Payment:
    """What a request's end changes: corrections of rates, ends of holds."""

    charges: list[Charge]
    ends: list[End]

    def __bool__(self) -> bool:
        return bool(self.charges or self.ends)

    def changes(self, into: Changes) -> None:
        into.charges += self.charges
        into.ends += self.ends


def payment(meters: Sequence[Meter], request_id: str, held: Need, used: Need, now: float) -> Payment:
    """From the usage that was expected of a request and the usage it had by `now` (Unix seconds)."""
    charges, ends = [], []
    for meter in meters:
        if meter.is_rate:
            more = used.amount(meter.unit) - held.amount(meter.unit)
            # the minute in which a long answer began may count no more
            minute = meter.later(now) if more > 0 and now >= meter.lasts else meter
            if more:
                charges.append(Charge(minute.counter, more, minute.lasts))
        else:
            # a concurrency place is only held, never used
            amount = 0 if meter.window is None else used.amount(meter.unit)
            expires = int(now) + ENDED_KEPT
            ends.append(End(meter.counter, request_id, meter.held(held), amount, meter.lasts, expires))
    return Payment(charges, ends)


def _taken_back(ask: Ask) -> Payment:
    """A refused request takes nothing, not even one request of its rate."""
    given = payment(ask.meters, ask.request_id, ask.need, Need(), ask.now)
    charges = [
        Charge(meter.counter, -ask.need.amount(meter.unit), meter.lasts)
        for meter in ask.meters
        if meter.is_rate
    ]
    return Payment(charges, given.ends)


def counted(store: Store, asks: Sequence[Ask], payments: Iterable[Payment], now: float) -> Payment:
    """Judge the asks in order and settle the payments, in one change of the store.

    Returns what the refused ones give back, which is to be paid. Raises StoreUnavailable; then nothing was
    changed.
    """
    changes = Changes()
    for owed in payments:
        owed.changes(changes)
    for ask in asks:
        ask.changes(changes)
    standings = dict(store.apply(changes, now=now))
    before = _before(asks, standings)
    back = Payment([], [])
    for ask in asks:
        ask.judge(before, now)
        if ask.admitted:
            before.update(_after(ask, before))
        else:
            given = _taken_back(ask)
            back.charges += given.charges
            back.ends += given.ends
    return back


def _before(asks: Iterable[Ask], standings: Mapping[str, CounterStanding]) -> dict[str, CounterStanding]:
    """The counters as they were before all of these."""
    before = dict(standings)
    for ask in asks:
        for meter in ask.meters:
            stands = before.get(meter.counter, CounterStanding())
            before[meter.counter] = _plus(stands, meter, ask.need, -1)
    return before


def _after(ask: Ask, before: Mapping[str, CounterStanding]) -> dict[str, CounterStanding]:
    return {
        meter.counter: _plus(before.get(meter.counter, CounterStanding()), meter, ask.need, 1)
        for meter in ask.meters
    }


def _plus(stands: CounterStanding, meter: Meter, need: Need, sign: int) -> CounterStanding:
    if meter.is_rate:
        return stands._replace(used=stands.used + sign * need.amount(meter.unit))
    return stands._replace(held=stands.held + sign * meter.held(need))


class CountingQueue:
    """`ask` waits for a verdict, `pay` never waits. `stop` pays what is owed.

    `late` is called with an ask that was admitted after its caller had stopped waiting.
    """

    def __init__(
        self, store: Store, late: Callable[[Ask], object], *, clock: Callable[[], float], patience: float
    ) -> None:
        self._store = store
        self._late = late
        self._clock = clock
        self._patience = patience
        self._asks: deque[_Waiting] = deque()
        self._owed: deque[Payment] = deque()
        # taken out of `_owed`, but not known to be paid
        self._paying: list[Payment] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._batches = 0
        self._batch_under_way: int | None = None

    async def ask(self, ask: Ask) -> None:
        """Have `ask` judged. Raises StoreUnavailable."""
        if self._store.local:
            self.pay(counted(self._store, [ask], [], self._clock()))
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asks.append((ask, future))
        self._work()
        seen = None
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=self._patience / 2)
                # Seen twice, so the store is what is slow and not a process that was suspended.
                if not future.done() and seen is not None and self._batch_under_way == seen:
                    raise StoreUnavailable(f"no answer within {self._patience:g} seconds")
                seen = self._batch_under_way
        except BaseException:
            if not future.cancel() and future.exception() is None and ask.admitted:
                # the verdict arrived at the same moment
                self._late(ask)
            raise
        future.result()

    def pay(self, owed: Payment) -> None:
        if not owed:
            return
        if self._store.local:
            counted(self._store, [], [owed], self._clock())
        else:
            self._owed.append(owed)
            self._work()

    def stop(self, timeout: float) -> None:
        """Pay what is owed, as far as the store answers in time."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="limits", daemon=True)
                    self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    # --- the thread -----------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait(RETRY_SECONDS if self._owes else None)
            self._wake.clear()
            while self._asks or self._owes:
                last_try = self._stopping.is_set()
                if not self._batch():
                    if last_try:
                        return
                    break
            if self._stopping.is_set() and not (self._asks or self._owes):
                return

    @property
    def _owes(self) -> bool:
        return bool(self._owed or self._paying)

    def _batch(self) -> bool:
        """Count one batch; False when the store does not answer."""
        waiting = _taken(self._asks, MOST_AT_ONCE)
        self._paying += _taken(self._owed, MOST_AT_ONCE - len(self._paying))
        asks = [ask for ask, _ in waiting]
        self._batches += 1
        self._batch_under_way = self._batches
        try:
            back = counted(self._store, asks, self._paying, self._clock())
            self._paying.clear()
            self._give_back(back)
        except StoreUnavailable as problem:
            # the limiter reports it, once for an outage
            _tell(waiting, problem, self._late)
            return False
        except Exception:
            return self._singly(waiting)
        finally:
            self._batch_under_way = None
        _tell(waiting, None, self._late)
        return True

    def _give_back(self, back: Payment) -> None:
        """Before the refused ones are told; later when the store has just gone away."""
        if not back:
            return
        try:
            counted(self._store, [], [back], self._clock())
        except StoreUnavailable:
            self._owed.append(back)
        except Exception:
            logger.exception("a settlement failed and is left out")

    def _singly(self, waiting: list[_Waiting]) -> bool:
        """Count each by itself, because one of them cannot be counted; only that one is left out."""
        while self._paying:
            try:
                counted(self._store, [], self._paying[:1], self._clock())
            except StoreUnavailable as problem:
                _tell(waiting, problem, self._late)
                return False
            except Exception:
                logger.exception("a settlement failed and is left out")
            del self._paying[0]
        for one in waiting:
            refused: StoreUnavailable | None = None
            try:
                self._give_back(counted(self._store, [one[0]], [], self._clock()))
            except StoreUnavailable as problem:
                refused = problem
            except Exception as problem:
                logger.exception("a request cannot be counted")
                refused = StoreUnavailable(str(problem))
            _tell([one], refused, self._late)
        return True


_Waiting = tuple[Ask, "asyncio.Future[None]"]
T = TypeVar("T")


def _taken(queue: deque[T], most: int) -> list[T]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]


def _tell(
    waiting: Iterable[_Waiting], problem: StoreUnavailable | None, late: Callable[[Ask], object]
) -> None:
    """Tell the waiting callers in their own loops; one call wakes a loop for all of them."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for one in waiting:
        by_loop.setdefault(one[1].get_loop(), []).append(one)
    for loop, some in by_loop.items():
        # a closed loop raises RuntimeError: nobody is waiting
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some, problem, late)


def _resolve(
    waiting: Iterable[_Waiting], problem: StoreUnavailable | None, late: Callable[[Ask], object]
) -> None:
    for ask, future in waiting:
        if future.cancelled():
            if problem is None and ask.admitted:
                late(ask)
        elif problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(None)
