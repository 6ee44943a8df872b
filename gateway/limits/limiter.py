"""Limiter: lets a key's request in or refuses it, and settles what it used.

    admit    before the provider is asked: rates are charged with an estimate; of a budget the request
             holds what it may cost, and a place among the key's concurrent requests
    settle   at the end, however it ended: rates are put right, and what was held becomes what was used

Only requests of keys that have limits come to the store. All of a process are counted by one thread
(counting.py), and budgets are compared with the history by another (reconciling.py); `settle` never
waits: what the store does not take at once is kept and tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.client_protocol.usage_headers import (
    REFUSED,
    refusal_headers,
    refusal_sentence,
    uncounted_headers,
    uncounted_sentence,
    usage_headers,
)
from gateway.errors import GatewayError, NotAllowed, TooManyRequests
from gateway.limits.counting import Ask, CountingQueue, payment
from gateway.limits.meters import LimitVerdict, Meter, Need, meters_of_key
from gateway.limits.reconciling import BudgetHistory, Reconciler
from gateway.limits.stores import Store, StoreUnavailable
from gateway.routing.snapshot import WHOEVER, KeyEntry

logger = logging.getLogger("gateway.limits")

# After the store did not answer, requests do not wait for it again for so long.
REST_SECONDS: Final = 1.0


@dataclass(slots=True)
class Admission:
    """A request that was let in. `headers` go onto its answer; give it back to `Limiter.settle` once."""

    headers: Mapping[str, str] = field(default_factory=dict)
    held: Need = field(default_factory=Need)
    meters: tuple[Meter, ...] = ()
    request_id: str = ""


FREE: Final = Admission()


class Limiter:
    """`history` knows what a key's requests cost.

    `fail_closed`: refuse while the store does not answer within `patience` seconds; else let in.
    `uncounted` is called for each request that could not be counted.
    `refuse_unpriced`: a key with a spend budget may not ask for what has no price. `clock` gives Unix
    seconds, which the processes share; `steady` seconds that never go back, for pauses of this process.
    """

    def __init__(
        self,
        store: Store,
        history: BudgetHistory,
        *,
        fail_closed: bool = False,
        refuse_unpriced: bool = False,
        patience: float = 1.0,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        uncounted: Callable[[], object] = lambda: None,
    ) -> None:
        self._uncounted = uncounted
        # since when the store does not answer, and how many requests were not counted since
        self._away_since: float | None = None
        self._missed = 0
        self._fail_closed = fail_closed
        self._refuse_unpriced = refuse_unpriced
        self._clock, self._steady = clock, steady
        self._queue = CountingQueue(store, self._give_back, clock=clock, patience=patience)
        self._reconciler = Reconciler(store, history, clock=clock, steady=steady)
        self._rests_until = steady()

    def wants_prices(self, key: KeyEntry | None) -> bool:
        """Whether the key may ask only for what has a price."""
        return self._refuse_unpriced and key is not None and _spends(key)

    async def admit(
        self,
        key: KeyEntry | None,
        request_id: str,
        model: str,
        need: Need,
        *,
        free: bool = False,
        contact: str = WHOEVER,
    ) -> Admission:
        """Charge what the request may need; `free`: it uses no tokens and counts as a request alone.
        `contact`: whom a person is told to ask.

        Raises TooManyRequests, InvalidRequest for a prompt that no minute of the key has room for, or
        NotAllowed for a model without a price (docs/conversion.md, "Errors of the gateway").
        """
        if key is None or not key.counted:
            return FREE
        if need.cost is None and self.wants_prices(key):
            raise unpriced(model)
        now = self._clock()
        meters = meters_of_key(key, now, free=free)
        if not meters:
            return FREE
        try:
            ask = await self._asked(Ask(meters, need, request_id, now))
        except StoreUnavailable as problem:
            self._not_counted(problem)
            if not self._fail_closed:
                return FREE
            raise _not_countable(key, contact) from None
        if self._away_since is not None:
            self._counted_again()
        verdict = ask.verdict
        if verdict.refusal is not None:
            raise _in_words(verdict, now, contact) if key.signed_in else verdict.refusal
        self._reconciler.begun(meters, request_id)
        headers = verdict.headers
        if key.signed_in and verdict.budget is not None:
            headers = {**headers, **usage_headers(verdict.budget.share, verdict.budget.period.ends)}
        return Admission(headers, need, meters, request_id)

    def settle(self, admission: Admission, used: Need) -> None:
        """Put the counters right; never waits, never raises."""
        if admission is FREE:
            return
        meters, request_id = admission.meters, admission.request_id
        self._queue.pay(payment(meters, request_id, admission.held, used, self._clock()))
        self._reconciler.ended(meters, request_id)

    def stop(self, timeout: float = 5.0) -> None:
        """Settle what is owed, as far as the store answers in time."""
        self._queue.stop(timeout)
        self._reconciler.stop(timeout)

    def _not_counted(self, problem: StoreUnavailable) -> None:
        """One line for an outage of the store, however many requests come meanwhile."""
        self._missed += 1
        self._uncounted()
        if self._away_since is None:
            self._away_since = self._steady()
            logger.error(
                "limits cannot be counted", extra={"problem": str(problem), "refused": self._fail_closed}
            )

    def _counted_again(self) -> None:
        assert self._away_since is not None
        seconds = round(self._steady() - self._away_since, 1)
        logger.warning("limits are counted again", extra={"uncounted": self._missed, "seconds": seconds})
        self._away_since, self._missed = None, 0

    async def _asked(self, ask: Ask) -> Ask:
        """The ask with its verdict. Raises StoreUnavailable."""
        if self._steady() < self._rests_until:
            raise StoreUnavailable("it did not answer a moment ago")
        try:
            await self._queue.ask(ask)
            if not ask.look:
                return ask
            await self._reconciler.look(ask.look)
            again = Ask(ask.meters, ask.need, ask.request_id, self._clock(), looked=True)
            await self._queue.ask(again)
        except StoreUnavailable:
            self._rests_until = self._steady() + REST_SECONDS
            raise
        if again.look:
            # not the store's fault: it need not rest
            raise StoreUnavailable("the history does not say what was spent")
        return again

    def _give_back(self, ask: Ask) -> None:
        """It was let in too late, or the client is gone."""
        self._queue.pay(payment(ask.meters, ask.request_id, ask.need, Need(), self._clock()))


def _spends(key: KeyEntry) -> bool:
    every = (key.limits, key.person.limits if key.person is not None else None)
    return any(limits is not None and limits.spend_budget is not None for limits in every)


def _in_words(verdict: LimitVerdict, now: float, contact: str) -> GatewayError:
    """The refusal as a signed-in client shows it to its person: our sentence, once."""
    refusal, budget = verdict.refusal, verdict.budget
    assert refusal is not None
    if budget is None or budget.share < 1:
        return refusal
    kind, ends = budget.period.kind, budget.period.ends
    return TooManyRequests(
        refusal_sentence(kind, ends, contact),
        error_type=REFUSED,
        retry_after=max(1, int(ends - now)),
        should_retry=False,
        headers={**verdict.headers, **refusal_headers(kind, ends)},
    )


def _not_countable(key: KeyEntry, contact: str) -> TooManyRequests:
    if not key.signed_in:
        return TooManyRequests("spend limit unavailable", should_retry=False)
    sentence = uncounted_sentence(contact)
    return TooManyRequests(sentence, error_type=REFUSED, should_retry=False, headers=uncounted_headers())


def unpriced(model: str) -> NotAllowed:
    """A key with a spend budget asks for a model whose price nobody knows, and the setting says no."""
    return NotAllowed(
        f"Your API key has a spend limit, and the model {model} has no price: an admin must enter one"
    )
