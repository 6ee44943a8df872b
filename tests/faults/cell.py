"""One cell of the matrix: a fault, streamed or not, with or without a second target, really run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from ccproxy_site.server.handler import GatewayHandler
from gateway.app.runtime import runtime
from gateway.relay.gateway import Gateway
from gateway.routing.snapshot import Credential, MappingRule, ProviderConfig, Target
from gateway.upstream.client import UpstreamClient
from tests.asgi_client import Answering, Client
from tests.conftest import FixedConfiguration, MemoryRecorder, asking, snapshot_of
from tests.faults.catalogue import HEALTHY_STREAM, HEALTHY_WHOLE, Fault
from tests.faults.seen import Seen
from tests.faults.server import Closed, Deaf, FaultServer
from tests.grammar import assert_legal

# longer than all limits below together: what takes longer hangs
HANGS: Final = 40.0
TOOL: Final = {"name": "f", "input_schema": {"type": "object"}}


def _provider(slug: str, base_url: str) -> ProviderConfig:
    return ProviderConfig(
        slug=slug,
        name=slug,
        base_url=base_url,
        credentials=(Credential(len(slug), "main", "sk-upstream-secret"),),
        connect_timeout=2.0,
        first_byte_timeout=1.0,
        silence_timeout=1.0,
        max_retries=1,
    )


def _gateway(first: str, second: str | None) -> Gateway:
    providers = [_provider("first", first)]
    targets = [Target("first", "up")]
    if second is not None:
        providers.append(_provider("second", second))
        targets.append(Target("second", "up"))
    rule = MappingRule(id=1, pattern="m", exact=True, targets=tuple(targets))
    return Gateway(
        configuration=FixedConfiguration(snapshot_of(providers=providers, rules=[rule])),
        client=UpstreamClient(),
        recorder=MemoryRecorder(),
        commit_after=12.0,
        trailer_timeout=0.2,
        call_timeout=4.0,
        stream_limit=4.0,
        retry_budget=12.0,
        # the shortest pauses
        jitter=lambda: 0.0,
    )


def _place(fault: Fault, streamed: bool) -> Any:
    if fault.place == "closed":
        return Closed()
    if fault.place == "deaf":
        return Deaf()
    script = fault.streamed if streamed else fault.whole
    assert script is not None
    return FaultServer(*script)


async def run_cell(fault: Fault, *, streamed: bool, second: bool) -> Seen:
    """Ask a gateway whose first target has the fault. Raises AssertionError for what never may be."""
    healthy = FaultServer(*(HEALTHY_STREAM if streamed else HEALTHY_WHOLE))
    async with _place(fault, streamed) as faulty, healthy:
        gateway = _gateway(faulty.base_url, healthy.base_url if second else None)
        runtime.install(gateway)
        try:
            async with asyncio.timeout(HANGS):
                answer = await Client(GatewayHandler()).messages(asking(stream=streamed, tools=[TOOL]))
            await _let_go(faulty, healthy)
            return _seen(answer, gateway, streamed)
        finally:
            runtime.install(None)
            await gateway.client.close()


async def _let_go(*servers: Any) -> None:
    """No connection is left in the middle of an answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.gather(*(server.idle() for server in servers))
    assert not any(server.busy for server in servers), "a connection to the upstream was left open"


def _seen(answer: Answering, gateway: Gateway, streamed: bool) -> Seen:
    recorder: Any = gateway.recorder
    (outcome,) = recorder.ended
    tries = outcome.tries
    return Seen(
        client=_client(answer, streamed),
        state=outcome.state,
        first=sum(attempt.provider == "first" for attempt in tries),
        second=sum(attempt.provider == "second" for attempt in tries),
    )


def _client(answer: Answering, streamed: bool) -> str:
    assert "sk-upstream-secret" not in answer.text.decode(errors="replace")
    if answer.status != 200:
        body = answer.json
        assert body["type"] == "error" and body["request_id"] == answer.headers["request-id"]
        assert body["error"]["message"] and "<" not in body["error"]["message"]
        return f"{answer.status} {body['error']['type']}"
    if not streamed:
        assert answer.json["type"] == "message" and answer.json["content"][0]["text"] == "Hello"
        return "answer"
    events = answer.events
    assert_legal(events, ended=events[-1]["type"] != "error")
    if events[-1]["type"] == "error":
        return f"error event {events[-1]['error']['type']}"
    assert events[-1]["type"] == "message_stop"
    return "answer"
