"""Asks a candidate or a judge on the gateway's event loop, for a run in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError
from gateway.relay.gateway import Gateway
from gateway.relay.request_replay import ReplayedAnswer, ReplayTarget, pinned, replayed_answer
from gateway.routing.resolve import Route, resolve
from gateway.routing.snapshot import ConfigSnapshot


@dataclass(frozen=True, slots=True)
class AskedRequest:
    """One request as `relay.request_replay.replayed_answer` takes it."""

    request_id: str
    choice: ReplayTarget
    replay_of: str
    headers: Mapping[str, str]
    body: bytes
    asked_model: str
    key_id: int | None
    conversation: str


class CandidateAsker(Protocol):
    """What a run needs of the gateway. Cancelling a future ends the request."""

    @property
    def snapshot(self) -> ConfigSnapshot: ...

    @property
    def closed(self) -> bool: ...

    def ask(self, request: AskedRequest) -> Future[ReplayedAnswer]: ...


@dataclass(frozen=True, slots=True)
class GatewayAsker:
    """Asks by way of `gateway`, whose connections belong to `loop`."""

    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    @property
    def snapshot(self) -> ConfigSnapshot:
        return self.gateway.configuration.snapshot

    @property
    def closed(self) -> bool:
        """Nothing can be asked any more: its event loop has ended."""
        return self.loop.is_closed()

    def ask(self, request: AskedRequest) -> Future[ReplayedAnswer]:
        asking = replayed_answer(
            self.gateway,
            request.choice,
            request.replay_of,
            request.headers,
            request.body,
            request.asked_model,
            request.key_id,
            request_id=request.request_id,
            conversation=request.conversation,
        )
        return asyncio.run_coroutine_threadsafe(asking, self.loop)


def route_of(snapshot: ConfigSnapshot, choice: ReplayTarget, asked_model: str) -> Route | None:
    """Where a request goes; None when the provider is gone, or takes none."""
    try:
        return resolve(pinned(snapshot, choice, asked_model), asked_model).route
    except GatewayError:
        return None
