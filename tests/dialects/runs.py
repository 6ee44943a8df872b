"""What a run of the conversation against a strict fake shows that a service can do through the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.config.presets.presets import preset
from gateway.conversion.provider_state import id_with, signature
from tests.conftest import rule
from tests.dialects.conversation import (
    BEFORE,
    OTHER_ID,
    PAPER_TURN,
    PDF,
    SAY,
    TITLE_TURN,
    TURNS,
    UNASKED,
    WORDS,
    Seen,
    asking,
    converse,
    user,
)  # fmt: skip
from tests.dialects.services import chat_services, model_of, reached
from tests.fakes.counters import COUNTED
from tests.fakes.dialect_rules import Rules, rules
from tests.fakes.native_endpoints import ENDPOINTS, RESPONSES
from tests.fakes.strict_chat import ScriptedChat, StrictChat
from tests.fakes.strict_messages import StrictMessages
from tests.fakes.strict_responses import StrictResponses

JSONObject = dict[str, Any]

CAPABILITIES: Final = (
    "text", "tools", "parallel", "images", "PDF", "thinking", "replay", "structured output", "caching",
    "count",
)  # fmt: skip
# what stands behind the strict Responses server: it answers in chat
_BEHIND: Final = Rules(never_off=True)


@dataclass
class Run:
    """`bodies`: what the service took; `seen`: what the client saw of each; `counted`: what the service
    was asked to count, `told` the number that the client had."""

    bodies: list[JSONObject]
    seen: list[Seen]
    replays: bool
    counted: list[JSONObject] = field(default_factory=list)
    told: int = 0


def first_models() -> dict[str, str]:
    """The model that each service of Chat Completions is asked for in the table: its first."""
    found: dict[str, str] = {}
    for slug, model in chat_services():
        found.setdefault(slug, model)
    return found


async def run_chat(
    bench: Any, slug: str, model: str, *, stream: bool, quirks: tuple[str, ...] = ()
) -> tuple[StrictChat, Run]:
    """With a strict Chat Completions service; raises AssertionError when a request is refused.

    `quirks`: the manner in which it streams (tests.tellings.CHAT_STREAM).
    """
    service = StrictChat(replace(rules(slug, model), quirks=quirks), SAY, UNASKED)
    await service.start()
    try:
        bench.configure(provider=reached(slug, service.base_url, "chat"), rules=[rule(upstream_model=model)])
        try:
            seen = await converse(bench.client, stream=stream)
            told = await _count(bench)
        finally:
            assert service.refused == []
        demanded = service.rules
        replays = bool(demanded.replay or demanded.extras or demanded.signed)
        return service, Run(service.taken, seen, replays, service.counted, told)
    finally:
        await service.stop()


async def run_responses(bench: Any, slug: str, *, stream: bool) -> Run:
    """With a strict server of the Responses API."""
    behind = ScriptedChat(_BEHIND, SAY)
    await behind.start()
    endpoint = RESPONSES[slug]
    server = StrictResponses(
        behind.base_url, path=endpoint.path, header=endpoint.header, counts=endpoint.counts
    )
    try:
        there = reached(slug, server.base_url, "responses")
        bench.configure(provider=there, rules=[rule(upstream_model=model_of(slug, "responses"))])
        try:
            seen = await converse(bench.client, stream=stream)
            told = await _count(bench)
        finally:
            assert server.found == []
        replays = any(item.get("type") == "reasoning" for body in server.requests for item in body["input"])
        return Run(server.requests, seen, replays, server.counted, told)
    finally:
        server.stop()
        await behind.stop()


async def run_native(bench: Any, slug: str, *, stream: bool) -> Run:
    """With a strict server of the Messages API, where the service has one."""
    endpoint, model = ENDPOINTS[slug], model_of(slug, "anthropic")
    server = StrictMessages(
        SAY, path=endpoint.path, header=endpoint.header, model=model, counts=endpoint.counts
    )
    await server.start()
    try:
        there = reached(slug, server.base_url, "anthropic")
        bench.configure(provider=there, rules=[rule(upstream_model=model)])
        try:
            seen = await converse(bench.client, stream=stream, before=_of_the_gateway())
            told = await _count(bench)
        finally:
            assert server.refused == []
        # that what was given out came back unchanged is what the server insists on
        replays = any(block["type"] == "thinking" for one in seen[:TURNS] for block in one.content)
        return Run(server.taken, seen, replays, server.counted, told)
    finally:
        await server.stop()


async def _count(bench: Any) -> int:
    body = asking([user("user says: how long is this?")])
    del body["max_tokens"]
    answer = await bench.client.post("/v1/messages/count_tokens", body)
    assert answer.status == 200, answer.text.decode()
    found: int = answer.json["input_tokens"]
    return found


def _of_the_gateway() -> list[JSONObject]:
    """BEFORE, as a service of Chat Completions left it: its thinking and its id hold what only that reads."""
    payload = {"p": "another", "m": "its-model"}
    sealed, marked = signature(payload)[0], id_with(OTHER_ID, payload)
    text = json.dumps(BEFORE).replace("sealed by another", sealed).replace(OTHER_ID, str(marked))
    found: list[JSONObject] = json.loads(text)
    return found


def shown(run: Run, marks: Iterable[str] = ()) -> set[str]:
    """The capabilities that a run has shown. `marks`: what of cache markers had to reach the service."""
    sent, turns = [json.dumps(body) for body in run.bodies], run.seen[:TURNS]
    paper, titled = run.seen[PAPER_TURN], run.seen[TITLE_TURN]
    found = {
        "text": all(one.of("text") for one in run.seen),
        "tools": all(
            bool(one.of("tool_use")) == bool(said.calls) for one, said in zip(run.seen, SAY, strict=True)
        ),
        "parallel": len(turns[0].of("tool_use")) == 2,
        "images": "image/png" in "".join(sent),
        "PDF": _said(paper) == SAY[PAPER_TURN].text
        and (PDF in sent[PAPER_TURN] or WORDS in sent[PAPER_TURN]),
        "thinking": any(one.of("thinking") for one in turns),
        "replay": run.replays,
        "structured output": _said(titled) == SAY[TITLE_TURN].text and "required" in sent[TITLE_TURN],
        "caching": all(one.usage["cache_read_input_tokens"] for one in turns)
        and all(mark in sent[0] for mark in marks),
        "count": bool(run.counted) and run.told == COUNTED,
    }
    return {name for name, yes in found.items() if yes}


def cache_marks(slug: str, model: str) -> set[str]:
    """What of the client's cache markers the preset claims to hand on to this model."""
    known = preset(slug)
    layers = [known.options, *(one.options for one in known.model_rules if one.match.search(model))]
    forms = [layer["cache_control"] for layer in layers if "cache_control" in layer]
    names = {"keep": "cache_control", "openai_breakpoint": "prompt_cache_breakpoint"}
    return {f'"{names[form]}"' for form in forms[-1:] if form in names}


def _said(one: Seen) -> str:
    return "".join(block["text"] for block in one.of("text"))


async def all_shown(bench: Any) -> dict[tuple[str, str], set[str]]:
    """(slug, protocol) -> what its run has shown, for every endpoint of every preset that is offered."""
    results: dict[tuple[str, str], set[str]] = {}
    for slug, model in first_models().items():
        _, run = await run_chat(bench, slug, model, stream=True)
        results[slug, "chat"] = shown(run, cache_marks(slug, model))
    for slug in RESPONSES:
        results[slug, "responses"] = shown(await run_responses(bench, slug, stream=True))
    for slug, endpoint in ENDPOINTS.items():
        run = await run_native(bench, slug, stream=True)
        results[slug, "anthropic"] = shown(run, {'"cache_control"'}) - endpoint.lacks
    return results
