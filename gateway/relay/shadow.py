"""Shadow requests: a share of a mapping's requests is also sent to another target, after they were answered.

A shadow request begins when its request has ended, has places of its own, and never delays a client: if its
places are taken, it is dropped. It takes the path of a replay, and the history has its answer next to the
real one. What it learns about providers is discarded, so that it sets nothing aside for clients.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import blake2b
from typing import Final

from gateway.client_protocol.purpose import Task
from gateway.errors import DatabaseAway
from gateway.history.outcome import OK, ExchangeOutcome
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.exchange.live import LiveExchanges
from gateway.relay.gate import Gate
from gateway.relay.gateway import Gateway
from gateway.relay.request_replay import asked_again
from gateway.routing.allowed_models import model_allowed, model_lists
from gateway.routing.facts import Facts
from gateway.routing.reach import covers, never_reached
from gateway.routing.snapshot import ConfigSnapshot, KeyEntry, MappingRule, ShadowRule
from gateway.upstream.failover.health import Health
from gateway.upstream.failover.learnt_options import Lessons

logger = logging.getLogger("gateway.relay")

ENDPOINT: Final = "shadow"
_PARTS: Final = 2**32
# (mapping, moment) -> US dollars that its shadow has cost since; raises DatabaseAway
Spent = Callable[[int, datetime], Awaitable[float]]


class Shadows:
    """The shadow requests of one process. `count` counts what was dropped."""

    def __init__(self, spent: Spent, count: Callable[[str], None] = lambda why: None) -> None:
        self._spent, self._count = spent, count
        self._running: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._health, self._lessons = Health(), Lessons()
        self._stopped = False

    def ended(self, exchange: Exchange, gateway: Gateway, outcome: ExchangeOutcome) -> None:
        """Begin the shadow of a request that has ended, if its mapping wants one. Returns at once."""
        rule = exchange.route.rule if exchange.route else None
        if rule is None or rule.shadow is None or self._stopped or outcome.state != OK:
            return
        if exchange.arrival.endpoint != "messages" or not (exchange.captures and outcome.attempts):
            return
        if not is_chosen(exchange.request_id, rule.shadow.share):
            return
        snapshot, key = gateway.configuration.snapshot, exchange.arrival.key
        why = ""
        if not may_see(rule.shadow, rule, key, snapshot):
            why = "not released"
        elif self._running[rule.id] >= rule.shadow.concurrency:
            why = "busy"
        if why:
            self._count(why)
            return
        self._running[rule.id] += 1
        task = asyncio.get_running_loop().create_task(self._ask(exchange, gateway, rule, rule.shadow))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Cancel what is running and begin nothing more. Call it in the event loop."""
        self._stopped = True
        for task in tuple(self._tasks):
            task.cancel()

    async def drained(self) -> None:
        """Wait until nothing is running."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, exchange: Exchange, gateway: Gateway, rule: MappingRule, shadow: ShadowRule) -> None:
        try:
            now = gateway.now()
            snapshot = shadowed(gateway.configuration.snapshot, rule, shadow, exchange.asked_model)
            if not _is_priced(snapshot, shadow, now):
                self._count("unpriced")
                return
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            if await self._spent(rule.id, midnight) >= shadow.daily_cap:
                self._count("spent")
                return
            own = dataclasses.replace(
                gateway,
                live=LiveExchanges(),
                gate=Gate(),
                health=self._health,
                lessons=self._lessons,
                shadows=None,
            )
            await asked_again(own, snapshot, exchange.arrival, endpoint=ENDPOINT)
        except DatabaseAway:
            self._count("cost unknown")
        except Exception:
            logger.exception(
                "unexpected error in a shadow request", extra={"request_id": exchange.request_id}
            )
        finally:
            self._running[rule.id] -= 1


def is_chosen(request_id: str, share: float) -> bool:
    """Whether a request belongs to a share (0 to 1) of all."""
    digest = blake2b(request_id.encode(), digest_size=4, person=b"shadow").digest()
    return int.from_bytes(digest) / _PARTS < share


def may_see(shadow: ShadowRule, rule: MappingRule, key: KeyEntry | None, snapshot: ConfigSnapshot) -> bool:
    """Whether contents of a key's requests may go to the shadow's provider.

    They may if the key's requests could go there anyway, by this mapping or another one that takes requests
    of this key and whose names it may ask for; otherwise only if an Administrator released them.
    """
    if shadow.released:
        return True
    provider = shadow.target.provider
    leading = [
        one
        for one in snapshot.rules
        if one.enabled and any(target.enabled and target.provider == provider for target in one.targets)
    ]
    if not leading:
        return False
    dead = never_reached(snapshot.rules)
    return any(
        one.id == rule.id
        or (one.id not in dead and _takes(key, one, snapshot) and _may_ask(key, one, snapshot))
        for one in leading
    )


def shadowed(
    snapshot: ConfigSnapshot, rule: MappingRule, shadow: ShadowRule, asked_model: str
) -> ConfigSnapshot:
    """`snapshot` with a single rule: that of the mapping, which leads to the shadow's target alone."""
    only = MappingRule(
        id=rule.id,
        pattern=rule.pattern,
        exact=rule.exact,
        targets=(shadow.target,),
        context_window=rule.context_window,
        max_output_tokens=rule.max_output_tokens,
        min_output_tokens=rule.min_output_tokens,
        options=rule.options,
        public_names=(asked_model,),
        regex=rule.regex,
    )
    return dataclasses.replace(snapshot, rules=(only,))


def _takes(key: KeyEntry | None, rule: MappingRule, snapshot: ConfigSnapshot) -> bool:
    """Whether some request of a key meets a rule's condition, as far as that asks who makes it."""
    if rule.condition.classes == {Task.SAFEGUARDS}:
        return False
    facts = Facts() if key is None else Facts(key=key.name, owner=key.owner, groups=_groups(key, snapshot))
    return not {"key", "owner", "group"}.intersection(rule.condition.unmet(facts))


def _groups(key: KeyEntry, snapshot: ConfigSnapshot) -> frozenset[str]:
    return frozenset() if key.owner_id is None else snapshot.group_names.get(key.owner_id, frozenset())


def _may_ask(key: KeyEntry | None, rule: MappingRule, snapshot: ConfigSnapshot) -> bool:
    """Whether a key may ask for every name of a rule, or for one of its exact names."""
    lists = model_lists(key)
    if not lists:
        return True
    names = (*([rule.pattern] if rule.exact else []), *rule.public_names)
    if any(model_allowed(key, name, snapshot) for name in names):
        return True
    return all(any(covers(one, rule.pattern) for one in allowed) for allowed in lists)


def _is_priced(snapshot: ConfigSnapshot, shadow: ShadowRule, now: datetime) -> bool:
    """Whether the cap can be enforced, which takes a price for the target."""
    target = shadow.target
    return snapshot.prices.price(target.provider, target.upstream_model, now) is not None
