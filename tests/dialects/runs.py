"""What a run of the five turns against a strict fake shows that a service can do through the gateway."""

from __future__ import annotations

from typing import Any, Final

from gateway.config.presets import preset, presets
from tests.conftest import rule
from tests.dialects.conversation import SAY, UNASKED, Seen, converse
from tests.dialects.services import chat_services, reached
from tests.fakes.dialect_rules import Rules, rules
from tests.fakes.strict_chat import ScriptedChat, StrictChat
from tests.fakes.strict_responses import StrictResponses

CAPABILITIES: Final = (
    "text", "tools", "parallel", "images", "PDF", "thinking", "replay", "structured output", "caching",
    "count",
)  # fmt: skip
# what stands behind the strict Responses server: it answers in chat
_BEHIND: Final = Rules(never_off=True)


def first_models() -> dict[str, str]:
    """The model that each service of Chat Completions is asked for in the table: its first."""
    found: dict[str, str] = {}
    for slug, model in chat_services():
        found.setdefault(slug, model)
    return found


def responses_only() -> list[str]:
    """The presets whose own protocol is Responses."""
    return [slug for slug, known in presets().items() if known.protocol == "responses"]


async def run_chat(bench: Any, slug: str, model: str, *, stream: bool) -> tuple[StrictChat, list[Seen]]:
    """The five turns with a strict Chat Completions service; raises AssertionError when one is refused."""
    service = StrictChat(rules(slug, model), SAY, UNASKED)
    await service.start()
    try:
        bench.configure(provider=reached(slug, service.base_url, "chat"), rules=[rule(upstream_model=model)])
        try:
            seen = await converse(bench.client, stream=stream)
        finally:
            assert service.refused == []
        return service, seen
    finally:
        await service.stop()


async def run_responses(bench: Any, slug: str, *, stream: bool) -> tuple[StrictResponses, list[Seen]]:
    """The same with a strict server of the Responses API."""
    behind = ScriptedChat(_BEHIND, SAY)
    await behind.start()
    server = StrictResponses(behind.base_url)
    try:
        model = preset(slug).default_models.get("big", "a-model")
        there = reached(slug, server.base_url, "responses")
        bench.configure(provider=there, rules=[rule(upstream_model=model)])
        try:
            seen = await converse(bench.client, stream=stream)
        finally:
            assert server.found == []
        return server, seen
    finally:
        server.stop()
        await behind.stop()


def shown(bodies: list[Any], seen: list[Seen], *, replays: bool) -> set[str]:
    """The capabilities that the run has shown; PDF, structured output and count are not part of it."""
    sent = str(bodies)
    found = {
        "text": all(one.of("text") for one in seen),
        "tools": all(
            bool(one.of("tool_use")) == bool(said.calls) for one, said in zip(seen, SAY, strict=True)
        ),
        "parallel": len(seen[0].of("tool_use")) == 2,
        "images": "data:image/png;base64" in sent,
        "thinking": any(one.of("thinking") for one in seen),
        "replay": replays,
        "caching": all(one.usage["cache_read_input_tokens"] for one in seen),
    }
    return {name for name, yes in found.items() if yes}


def shown_in_chat(service: StrictChat, seen: list[Seen]) -> set[str]:
    demanded = service.rules
    replays = bool(demanded.replay or demanded.extras or demanded.signed)
    return shown(service.taken, seen, replays=replays)


def shown_in_responses(server: StrictResponses, seen: list[Seen]) -> set[str]:
    replays = any(item.get("type") == "reasoning" for body in server.requests for item in body["input"])
    return shown(server.requests, seen, replays=replays)
