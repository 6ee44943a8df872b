"""Replay: sending a request of the history again, to a chosen target.

It takes the path of every request, with a configuration that has only one rule. It has no client key, so no
limits apply, and it belongs to no session of the history.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.history.outcome import ExchangeOutcome
from gateway.relay.answer import answered
from gateway.relay.exchange.exchange import Arrival
from gateway.relay.exchange.listening_recorder import ListeningRecorder
from gateway.relay.gateway import Gateway
from gateway.relay.reply import Streamed
from gateway.routing.conditions import ALWAYS
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, Target

ADDRESS: Final = "replay"
_KEPT_HEADERS: Final = ("anthropic-version", "anthropic-beta")


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """Where a replay goes. `rule_id`: the mapping whose options apply; None: only the provider's apply."""

    provider: str
    upstream_model: str = ""
    rule_id: int | None = None


@dataclass(frozen=True, slots=True)
class ReplayedAnswer:
    """`body`: what a client would have received; `outcome`: the facts of the exchange for the history."""

    request_id: str
    outcome: ExchangeOutcome | None
    body: bytes


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
    # the target was chosen by an admin, so the conditions of the rule do not matter
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
    """`replayed_answer`, for whoever looks the answer up in the history: returns its request id there."""
    answer = await replayed_answer(gateway, choice, replay_of, headers, body, asked_model, key_id)
    return answer.request_id


async def replayed_answer(
    gateway: Gateway,
    choice: ReplayTarget,
    replay_of: str,
    headers: Mapping[str, str],
    body: bytes,
    asked_model: str,
    key_id: int | None = None,
    *,
    request_id: str = "",
    conversation: str = "",
) -> ReplayedAnswer:
    """Ask a request of the history again, of the chosen target, and wait for the whole answer.

    `key_id`: the client key of the original request; its opaque data is read as that key's, while what the
    answer carries is signed anew. `request_id` and `conversation`: see `asked_again`.
    """
    keys = gateway.configuration.snapshot.keys.values()
    key = next((key for key in keys if key.id == key_id), None)
    snapshot = pinned(gateway.configuration.snapshot, choice, asked_model)
    first = Arrival(
        request_id=replay_of, endpoint="messages", headers=headers, body=body, address="", key=key
    )
    return await asked_again(gateway, snapshot, first, request_id=request_id, conversation=conversation)


async def asked_again(
    gateway: Gateway,
    snapshot: ConfigSnapshot,
    first: Arrival,
    *,
    endpoint: str = "replay",
    request_id: str = "",
    conversation: str = "",
) -> ReplayedAnswer:
    """Ask a request once more by another configuration; wait for the whole answer.

    `request_id`: under which it stands in the history, by default a new one. `conversation`: requests of one
    go to one credential, as those of a session do. Failures are answers too; nothing is raised for them.
    """
    arrival = Arrival(
        request_id=request_id or gateway.new_id("req_"),
        endpoint=endpoint,
        headers={name: first.headers[name] for name in _KEPT_HEADERS if name in first.headers},
        body=first.body,
        address=endpoint,
        replay_of=first.request_id,
        holder_replayed=first.key.holder if first.key else "",
        session_replayed=conversation,
    )
    listening = ListeningRecorder(gateway.recorder)
    reply = await answered(
        arrival, dataclasses.replace(gateway, configuration=_Pinned(snapshot), recorder=listening)
    )
    if not isinstance(reply, Streamed):
        return ReplayedAnswer(arrival.request_id, listening.outcome, reply.body)
    pieces: list[bytes] = []
    try:
        async for piece in reply.pump:
            pieces.append(bytes(piece))
    finally:
        await reply.pump.aclose()
    return ReplayedAnswer(arrival.request_id, listening.outcome, b"".join(pieces))


def _is(target: Target, choice: ReplayTarget) -> bool:
    return (target.provider, target.upstream_model) == (choice.provider, choice.upstream_model)
