"""What a model can do of what Claude Code needs, and which option fixes what fails (no Django).

Each check asks one thing through the whole conversion. When it fails, the options that could fix
it are tried in turn, and the first one with which it passes is proposed: a proposal was always
seen to work.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.errors import InvalidRequest
from gateway.routing.snapshot import ProviderConfig
from gateway.upstream.client import UpstreamClient
from gateway.upstream.demo import demo_answer
from gateway.upstream.trial.probe import TOOL, failure_code
from gateway.upstream.trial.trial_client import Asker, ProviderFailed, Said, first_line
from gateway.wire.messages import JSONObject

Outcome = Literal["passed", "partly", "failed"]
# seconds for one answer: small models on small machines think for long
LIMIT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `detail`: what was seen, or the provider's first line.

    `code`: the name of the reason for failing (one of probe.py's or of this module's). `proposal`:
    profile options with which it passes; empty when none was needed or none helped.
    """

    capability: str
    outcome: Outcome
    code: str = ""
    detail: str = ""
    milliseconds: int = 0
    proposal: Mapping[str, Any] = field(default_factory=dict)


# with these, another option would only wait or be refused once more
_BEYOND_OPTIONS: Final = frozenset(
    {"timed_out", "unreachable", "tls", "bad_url", "refused", "no_money", "limited", "unknown_model"}
)


@dataclass(frozen=True, slots=True)
class CapabilityVerdict:
    """What one answer says about a capability."""

    outcome: Outcome
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """`ask` puts the question and judges the answer. `remedies`: options to try in turn when it fails."""

    capability: str
    ask: Callable[[Asker], Awaitable[tuple[Said, CapabilityVerdict]]]
    remedies: tuple[Mapping[str, Any], ...] = ()


def _user(text: str, *more: JSONObject) -> JSONObject:
    return {"role": "user", "content": [{"type": "text", "text": text}, *more]}


def _tool(name: str, description: str, schema: Any) -> JSONObject:
    return {"name": name, "description": description, "input_schema": schema}


def png(red: int, green: int, blue: int, side: int = 64) -> bytes:
    """A square of one colour as a PNG file."""

    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    row = b"\x00" + bytes((red, green, blue)) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", head)
        + part(b"IDAT", zlib.compress(row * side))
        + part(b"IEND", b"")
    )


_TIME: Final = _tool("get_time", "The local time in a city.", TOOL["input_schema"])
_LONG_NAME: Final = "mcp__a_server_with_a_rather_long_name__and_a_tool_with_a_longer_one_still"
_RED: Final = base64.b64encode(png(220, 20, 20)).decode()


def _large_schema() -> JSONObject:
    """A schema as MCP servers send them: many properties, references, nesting, alternatives, formats."""
    properties: JSONObject = {
        f"field_{number}": {
            "type": ["string", "null"],
            "description": f"Field {number} of the record, in plain words. " * 3,
        }
        for number in range(60)
    }
    properties["items"] = {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 0}
    properties["filter"] = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": True}]}
    properties["when"] = {"type": "string", "format": "date-time"}
    properties["mode"] = {"enum": ["a", "b", None]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"title": {"type": "string"}, **properties},
        "required": ["title"],
        "additionalProperties": False,
        "$defs": {
            "item": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
            }
        },
    }


async def _parallel_tools(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    said = await asker.streamed(
        {
            "tools": [TOOL, _TIME],
            "messages": [
                _user(
                    "Use the tools for both at once, in one answer: the weather in Paris, the time in Tokyo. "
                    "Call get_weather and get_time in parallel."
                )
            ],
        }
    )
    names = {call.get("name") for call in said.blocks("tool_use")}
    if len(names) > 1:
        return said, CapabilityVerdict("passed", detail=", ".join(sorted(map(str, names))))
    return said, CapabilityVerdict("partly", "one_call") if names else CapabilityVerdict("failed", "no_call")


async def _tool_image(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _RED}}
    use = {"type": "tool_use", "id": "toolu_1", "name": "read_picture", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
    said = await asker.whole(
        {
            "tools": [_tool("read_picture", "Reads a picture.", {"type": "object", "properties": {}})],
            "messages": [
                _user("Look at the picture with the tool and name its one colour."),
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
            ],
        }
    )
    if "red" in said.text.lower():
        return said, CapabilityVerdict("passed", detail=said.text[:100])
    return said, CapabilityVerdict("partly", "not_seen", first_line(said.text))


async def _mid_system(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    said = await asker.whole(
        {
            "messages": [
                _user("Hello"),
                {"role": "assistant", "content": "Hello, what can I do for you?"},
                {"role": "user", "content": "Say something short."},
                {"role": "system", "content": "End your answer with the word PELICAN."},
            ],
        }
    )
    if "PELICAN" in said.text.upper():
        return said, CapabilityVerdict("passed")
    return said, CapabilityVerdict("partly", "not_followed", first_line(said.text))


async def _thinking(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    said = await asker.streamed(
        {
            "max_tokens": 4096,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [_user("Is 91 a prime number? Think first, then answer in one sentence.")],
        }
    )
    return said, CapabilityVerdict("passed") if said.blocks("thinking") else CapabilityVerdict(
        "partly", "no_thinking"
    )


async def _long_names(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    said = await asker.streamed(
        {
            "tools": [{**TOOL, "name": _LONG_NAME}],
            "tool_choice": {"type": "any"},
            "messages": [_user("What is the weather in Paris? Please use the tool.")],
        }
    )
    calls = said.blocks("tool_use")
    if not calls:
        return said, CapabilityVerdict("failed", "no_call")
    ok = calls[0].get("name") == _LONG_NAME
    return said, CapabilityVerdict("passed") if ok else CapabilityVerdict(
        "failed", "other_name", str(calls[0].get("name"))[:100]
    )


async def _large_tool(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    said = await asker.streamed(
        {
            "tools": [
                {"name": "make_record", "description": "Makes a record.", "input_schema": _large_schema()}
            ],
            "tool_choice": {"type": "any"},
            "messages": [_user("Use the tool to make a record with the title Test and nothing else.")],
        }
    )
    calls = said.blocks("tool_use")
    if not calls:
        return said, CapabilityVerdict("failed", "no_call")
    given = calls[0].get("input")
    right = isinstance(given, dict) and isinstance(given.get("title"), str)
    return said, CapabilityVerdict("passed") if right else CapabilityVerdict("partly", "bad_arguments")


async def _structured(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "inhabitants": {"type": "integer"}},
        "required": ["city", "inhabitants"],
        "additionalProperties": False,
    }
    said = await asker.whole(
        {
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "messages": [_user("Name the capital of France with its inhabitants, as JSON.")],
        }
    )
    try:
        value = json.loads(said.text)
    except ValueError:
        return said, CapabilityVerdict("failed", "no_json", first_line(said.text))
    right = isinstance(value, dict) and isinstance(value.get("city"), str) and "inhabitants" in value
    return said, CapabilityVerdict("passed") if right else CapabilityVerdict(
        "failed", "other_json", first_line(said.text)
    )


async def _cancel(asker: Asker) -> tuple[Said, CapabilityVerdict]:
    left = await asker.streamed(
        {"max_tokens": 4096, "messages": [_user("Count from 1 to 500, one number a line.")]}, stop_after=4
    )
    if not left.cut:
        return left, CapabilityVerdict("partly", "too_short")
    # the provider must be free again at once, not only when the long answer would have ended
    after = await asker.whole({"max_tokens": 64, "messages": [_user("Answer with the one word: OK")]})
    return dataclasses.replace(after, milliseconds=left.milliseconds + after.milliseconds), CapabilityVerdict(
        "passed"
    )


CHECKS: Final = (
    Check("parallel_tools", _parallel_tools, ({"parallel_tool_calls": "drop"}, {"tool_args": "buffer"})),
    Check("tool_image", _tool_image, ({"tool_result_images": "hoist"}, {"images": "text"})),
    Check("mid_system", _mid_system, ({"mid_system": "user"}, {"system_role": "system"})),
    Check("thinking", _thinking, ({"reasoning_off": False}, {"reasoning": "none"})),
    Check("long_names", _long_names, ({"tool_choice_any": "any"}, {"tool_choice": "auto_only"})),
    Check(
        "large_schema",
        _large_tool,
        (
            {"strict_tools": "drop"},
            {"schema_rewrites": ["inline_refs"]},
            {"schema_rewrites": ["inline_refs", "gemini"]},
            {"tool_choice": "auto_only"},
        ),
    ),
    Check(
        "structured",
        _structured,
        ({"json_schema": "force_strict"}, {"json_schema": "object"}, {"json_schema": "prompt"}),
    ),
    Check("cancel", _cancel),
)
CAPABILITIES: Final = tuple(check.capability for check in CHECKS)


async def examined(asker: Asker, check: Check) -> Finding:
    """Run one check and, when it fails, the first remedy that helps."""
    found = await _tried(asker, check)
    if found.outcome != "failed" or found.code in _BEYOND_OPTIONS:
        return found
    for remedy in check.remedies:
        with_remedy = dataclasses.replace(asker, options={**asker.options, **remedy})
        if (await _tried(with_remedy, check)).outcome != "failed":
            return dataclasses.replace(found, proposal=remedy)
    return found


async def _tried(asker: Asker, check: Check) -> Finding:
    started = asker.clock()
    try:
        said, verdict = await check.ask(asker)
    except ProviderFailed as failure:
        status = f"HTTP {failure.status}: " if failure.status else ""
        took = round((asker.clock() - started) * 1000)
        return Finding(check.capability, "failed", failure_code(failure), status + failure.detail, took)
    except InvalidRequest as error:
        # the profile says that the model cannot do it
        return Finding(check.capability, "failed", "not_offered", error.message[:300])
    return Finding(check.capability, verdict.outcome, verdict.code, verdict.detail, said.milliseconds)


def conform(
    provider: ProviderConfig,
    model: str,
    note: Callable[[Finding], None],
    checks: Iterable[Check] = CHECKS,
    limit: float = LIMIT,
) -> None:
    """Run all checks one after another, from a thread without an event loop; `note` is called after each.

    `note` runs outside any event loop, so it may write to a database.
    """
    for check in checks:
        note(asyncio.run(_alone(provider, model, check, limit)))


async def _alone(provider: ProviderConfig, model: str, check: Check, limit: float) -> Finding:
    client = UpstreamClient(demo=demo_answer, link_local=provider.link_local)
    try:
        return await examined(Asker(client, provider, model, limit=limit), check)
    finally:
        await client.close()
