"""Five turns of a client with tools, thinking, parallel calls and images, and what it must see of each.

Then two requests more: a PDF behind the same history, and a title in a form of its own, as Claude Code
asks for one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.conversion.converting import IMAGE
from tests.conversion.pdf_files import pdf_of
from tests.fakes.strict_chat import Say

JSONObject = dict[str, Any]

SAY = [
    Say("I look at both.", "turn-one: looking.", (("read", {"path": "a"}), ("find", {"what": ["x", 1]}))),
    Say("Then the third.", "turn-two: one more.", (("read", {"path": "b.png", "options": {"depth": 2}}),)),
    Say("That is all.", "turn-three: a cat, and a mistake."),
    Say("Forced to.", "turn-four: reading again.", (("read", {"path": "c"}),)),
    Say("Done.", "turn-five: done."),
    Say("It is short.", "turn-six: it says hello."),
    Say("A title.", '{"title": "turn-seven"}'),
]
TURNS, PAPER_TURN, TITLE_TURN = 5, 5, 6
# the turns in which the client switches thinking off
UNASKED = (3, TITLE_TURN)

WORDS = "hello from the paper"
PDF = pdf_of(WORDS)
PAPER: JSONObject = {
    "type": "document",
    "title": "paper.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
TITLE_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}

READ_SCHEMA: JSONObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "path": {"type": "string", "minLength": 1, "description": "Where it is"},
        "options": {"$ref": "#/$defs/options"},
        "mode": {"const": "fast"},
        "level": {"type": "integer", "enum": [1, 2, 3], "default": 1},
        "place": {"type": "string", "format": "uri"},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {
        "options": {
            "type": "object",
            "properties": {"depth": {"type": "integer", "exclusiveMinimum": 0}},
            "additionalProperties": False,
        }
    },
}
FIND_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {
        "what": {"type": "array"},
        "either": {"type": "string", "anyOf": [{"minLength": 2}, {"enum": ["x"]}]},
        "several": {"type": ["string", "null"]},
    },
    "required": ["what", "gone"],
}
STRICT_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
CACHED = {"cache_control": {"type": "ephemeral"}}
TOOLS = [
    {"name": "read", "description": "Reads a file", "input_schema": READ_SCHEMA},
    {"name": "find", "description": "Finds things", "input_schema": FIND_SCHEMA},
    {"name": "note", "description": "Notes", "input_schema": STRICT_SCHEMA, "strict": True, **CACHED},
]
SYSTEM = [
    {"type": "text", "text": "You are careful."},
    {"type": "text", "text": "Answer shortly.", **CACHED},
]
# what another service began: its ids and its sealed thinking come along
OTHER_ID = "toolu_01A09q90qw90lq917835lq9"
BEFORE = [
    {"role": "user", "content": "user says: begin"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Begin with a note.", "signature": "sealed by another"},
            {"type": "text", "text": "Noting."},
            {
                "type": "tool_use",
                "id": OTHER_ID,
                "name": "note",
                "input": {"text": "x"},
            },
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": OTHER_ID, "content": "ok"}],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "Noted."}]},
]


@dataclass
class Seen:
    """What a client has of one answer."""

    content: list[JSONObject] = field(default_factory=list)
    stop_reason: str | None = None
    usage: JSONObject = field(default_factory=dict)

    def of(self, kind: str) -> list[JSONObject]:
        return [block for block in self.content if block["type"] == kind]


def user(*blocks: JSONObject | str) -> JSONObject:
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return {"role": "user", "content": content}


def result(call: JSONObject, *content: Any, **fields: Any) -> JSONObject:
    return {"type": "tool_result", "tool_use_id": call["id"], "content": list(content), **fields}


def text(value: str) -> JSONObject:
    return {"type": "text", "text": value}


async def converse(client: Any, *, stream: bool, before: list[JSONObject] | None = None) -> list[Seen]:
    """All requests; stops at the first that is not answered, with what the gateway said."""
    messages: list[JSONObject] = [*(BEFORE if before is None else before)]
    seen: list[Seen] = []

    async def asked(body: JSONObject) -> Seen:
        body |= {"stream": True} if stream else {}
        answer = await client.messages({name: value for name, value in body.items() if value is not None})
        assert answer.status == 200, answer.text.decode()
        seen.append(gathered(answer.events) if stream else whole(answer.json))
        return seen[-1]

    async def turn(*said: JSONObject, **fields: Any) -> list[JSONObject]:
        messages.extend(said)
        one = await asked(asking(messages, **fields))
        messages.append({"role": "assistant", "content": one.content})
        return one.of("tool_use")

    first, second = await turn(user("user says: what is here?", {**IMAGE, **CACHED}), temperature=1)
    [third] = await turn(
        user(result(first, text("alpha"), IMAGE), result(second, text("none")), "user says: go on")
    )
    await turn(user(result(third, text("no such file"), is_error=True)))
    [fourth] = await turn(
        user("user says: again"),
        {"role": "system", "content": "The user is in a hurry."},
        thinking={"type": "disabled"},
        output_config=None,
        temperature=0,
        top_p=0.9,
        stop_sequences=["STOP"],
        tool_choice={"type": "tool", "name": "read", "disable_parallel_tool_use": True},
    )
    await turn(user(result(fourth, IMAGE)), tool_choice={"type": "any"})
    await turn(user("user says: read this", PAPER))
    await asked(title())
    return seen


def asking(messages: list[JSONObject], **fields: Any) -> JSONObject:
    """A request of the conversation."""
    return {
        "model": "m",
        "max_tokens": 4000,
        "system": SYSTEM,
        "messages": messages,
        "tools": TOOLS,
        "metadata": {"user_id": "user_1"},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        **fields,
    }


def title() -> JSONObject:
    """What Claude Code asks to name a session: no tools, no thinking, an effort all the same."""
    return {
        "model": "m",
        "max_tokens": 4000,
        "system": SYSTEM,
        "messages": [user("user says: name this")],
        "tools": [],
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": TITLE_SCHEMA}},
    }


def whole(message: JSONObject) -> Seen:
    return Seen(message["content"], message["stop_reason"], message["usage"])


def gathered(events: list[JSONObject]) -> Seen:
    """A stream put together as the SDKs do."""
    seen = Seen()
    pieces: list[str] = []
    for event in events:
        match event["type"]:
            case "message_start":
                seen.usage = dict(event["message"]["usage"])
            case "content_block_start":
                seen.content.append(dict(event["content_block"]))
                pieces = []
            case "content_block_delta":
                delta, block = event["delta"], seen.content[event["index"]]
                kind = delta["type"].removesuffix("_delta")
                if kind == "input_json":
                    pieces.append(delta["partial_json"])
                    block["input"] = json.loads("".join(pieces)) if _complete(pieces) else {}
                else:
                    block[kind] = block.get(kind, "") + delta[kind]
            case "message_delta":
                seen.stop_reason = event["delta"]["stop_reason"]
                seen.usage |= {name: value for name, value in event["usage"].items() if value is not None}
            case "error":
                raise AssertionError(event)
    return seen


def _complete(pieces: list[str]) -> bool:
    try:
        json.loads("".join(pieces))
    except ValueError:
        return False
    return True
