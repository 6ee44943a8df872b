"""A request of the history, asked again of a target that an admin chose.

It goes the way of every request; only its configuration is pinned to one rule. It has no client key,
so no key's limits apply, and it belongs to no session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.relay.answer import answered
from gateway.relay.exchange.exchange import Arrival
from gateway.relay.gateway import Gateway
from gateway.relay.reply import Streamed
from gateway.routing.conditions import ALWAYS
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, Target

ADDRESS: Final = "replay"
_KEPT_HEADERS: Final = ("anthropic-version", "anthropic-beta")


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """Where a replay goes. `rule_id`: with the options of that mapping; None: with the provider's alone."""

    provider: str
    upstream_model: str = ""
    rule_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A configuration that does not change."""

    snapshot: ConfigSnapshot


def pinned(snapshot: ConfigSnapshot, choice: ReplayTarget, asked_model: str) -> ConfigSnapshot:
    """`snapshot` with a single rule, which sends `asked_model` to the chosen target.

    The snapshot's own rule when `rule_id` names one that has such a target, else one made for it.
    """
    rule = next((rule for rule in snapshot.rules if rule.id == choice.rule_id), None)
    targets = () if rule is None else tuple(target for target in rule.targets if _is(target, choice))
    if rule is None or not targets:
        rule = MappingRule(
            id=0, pattern=ADDRESS, exact=True, targets=(Target(choice.provider, choice.upstream_model),)
        )
    else:
        rule = dataclasses.replace(rule, targets=targets[:1], shares=None)
    # an admin chose the target, whatever the rule asks of requests
    only = dataclasses.replace(
        rule, public_names=(asked_model,), enabled=True, condition=ALWAYS, skips_blind=False
    )
    return dataclasses.replace(snapshot, rules=(only,))


async def replayed(
    gateway: Gateway,
    choice: ReplayTarget,
    replay_of: str,
    headers: Mapping[str, str],
    body: bytes,
    asked_model: str,
    key_id: int | None = None,
) -> str:
    """Ask again and wait for the whole answer; returns its request id in the history.

    `key_id`: the client key of the original request; its opaque data is read as that key's, while what the
    answer carries is signed anew. Failures are in the history too; nothing is raised for them.
    """
    keys = gateway.configuration.snapshot.keys.values()
    key = next((key for key in keys if key.id == key_id), None)
    snapshot = pinned(gateway.configuration.snapshot, choice, asked_model)
    first = Arrival(
        request_id=replay_of, endpoint="messages", headers=headers, body=body, address="", key=key
    )
    return await asked_again(gateway, snapshot, first)


async def asked_again(
    gateway: Gateway, snapshot: ConfigSnapshot, first: Arrival, *, endpoint: str = "replay"
) -> str:
    """Ask a request once more by another configuration; wait for the whole answer.

    Returns its request id in the history, where failures are, too; nothing is raised for them.
    """
    arrival = Arrival(
        request_id=gateway.new_id("req_"),
        endpoint=endpoint,
        headers={name: first.headers[name] for name in _KEPT_HEADERS if name in first.headers},
        body=first.body,
        address=endpoint,
        replay_of=first.request_id,
        holder_replayed=first.key.holder if first.key else "",
    )
    reply = await answered(arrival, dataclasses.replace(gateway, configuration=_Pinned(snapshot)))
    if isinstance(reply, Streamed):
        try:
            async for _ in reply.pump:
                pass
        finally:
            await reply.pump.aclose()
    return arrival.request_id


def _is(target: Target, choice: ReplayTarget) -> bool:
    return (target.provider, target.upstream_model) == (choice.provider, choice.upstream_model)
