"""Request bodies like those of Claude Code, made by rule: the same bytes in every run, but for one number.

A long system prompt in two blocks, 24 tools, a history of 40 turns with tool
calls and their results, cache marks, metadata. The proportions are those of
recorded requests; the words are filler. Sizes: `small` 1 KB, `large` 137 KB,
`huge` 1 MB.

A client's request is never the one before: it says something new behind what was
said. So the last message has NUMBER in it, in whose place each request has a number of its
own. What a target keeps of earlier requests helps it as it does with real conversations,
and what it stores of each is new.
"""

from __future__ import annotations

import functools
import json
import random
from typing import Any, Final, Literal

from bench.answers import TOOL, answer_for

Size = Literal["small", "large", "huge"]
JSONObject = dict[str, Any]

BYTES: Final[dict[Size, int]] = {"small": 1_000, "large": 137_000, "huge": 1_000_000}
TURNS: Final = 40
TOOL_NAMES: Final = (
    "Agent", "Bash", "Edit", "Glob", "Grep", "Read", "Write", "NotebookEdit", "WebFetch", "WebSearch",
    "TodoWrite", "Skill", "TaskStop", "TaskOutput", "ExitPlan", "EnterPlan", "Question", "Monitor",
    "Cron", "Message", "Search", "Worktree", "Artifact", "Remote",
)  # fmt: skip
_WORDS: Final = (
    "file", "function", "return", "value", "when", "the", "a", "path", "line", "result", "before", "after",
    "should", "must", "never", "list", "index", "use", "only", "error", "test", "with", "number", "of",
)  # fmt: skip
WRITE_TOOL: Final[JSONObject] = {
    "name": TOOL,
    "description": "Writes a file.",
    "input_schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["file_path", "content"],
    },
}
NUMBER: Final = "#" * 18
_CACHED: Final = {"cache_control": {"type": "ephemeral"}}


@functools.cache
def body(model: str, size: Size, *, stream: bool) -> bytes:
    """The JSON text of one Messages request of about BYTES[size] bytes.

    For a model that answers with a tool call the tool is there, also in a small
    request; for one that reasons, thinking is enabled.
    """
    kind = answer_for(model).kind
    request: JSONObject = {"model": model, "messages": []}
    if size == "small":
        request |= {"system": _system(500)}
        request["messages"] = [{"role": "user", "content": f"{NUMBER} {_words(231, seed=1)}"}]
        if kind == "tool":
            request["tools"] = [WRITE_TOOL]
    else:
        tools = [WRITE_TOOL if name == TOOL else _tool(number) for number, name in enumerate(TOOL_NAMES)]
        request |= {"system": _system(24_000), "tools": tools}
        request["metadata"] = {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "0" * 36})}
        rest = BYTES[size] - len(_text(request)) - 200
        request["messages"] = _history(rest)
    request["max_tokens"] = 32_000
    if kind == "think":
        request["thinking"] = {"type": "enabled", "budget_tokens": 16_000}
    if stream:
        request["stream"] = True
    return _text(request)


def _system(size: int) -> list[JSONObject]:
    blocks: list[JSONObject] = [{"type": "text", "text": "You are a helpful command line tool."}]
    return [*blocks, {"type": "text", "text": _words(size, seed=2), **_CACHED}]


def _tool(number: int) -> JSONObject:
    """One tool of about 2.4 KB, most of it descriptions, with the schema constructs that occur."""
    properties: JSONObject = {
        f"parameter_{index}": {"type": "string", "description": _words(120, seed=number * 10 + index)}
        for index in range(4)
    }
    properties["limit"] = {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991}
    properties["mode"] = {"type": "string", "enum": ["content", "files", "count"], "default": "files"}
    properties["edits"] = {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {"old": {"type": "string"}, "new": {"type": "string"}},
            "required": ["old", "new"],
            "additionalProperties": False,
        },
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": ["parameter_0"],
        "additionalProperties": False,
    }
    description = _words(1_400, seed=1000 + number)
    return {"name": TOOL_NAMES[number], "description": description, "input_schema": schema}


def _history(size: int) -> list[JSONObject]:
    """TURNS messages, user and assistant in turn: calls of one or two tools, results, text."""
    pairs = TURNS // 2
    messages: list[JSONObject] = [{"role": "user", "content": [_block(_words(400, seed=3))]}]
    # a pair without its results takes about 570 bytes
    result_size = max(50, (size - 600) // pairs - 570)
    for pair in range(pairs):
        calls = [_call(pair, number) for number in range(1 + pair % 2)]
        messages.append({"role": "assistant", "content": [_block(_words(80, seed=pair)), *calls]})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call["id"],
                "content": _code(result_size // len(calls), seed=pair * 2 + number),
            }
            for number, call in enumerate(calls)
        ]
        messages.append({"role": "user", "content": results})
    last = messages[-1]["content"][-1]
    last["content"] = f"{NUMBER} {last['content'][len(NUMBER) + 1 :]}"
    last.update(_CACHED)
    return messages


def _call(pair: int, number: int) -> JSONObject:
    name = TOOL_NAMES[(pair + number) % 6]
    arguments = {"parameter_0": f"/srv/project/src/module_{pair}.py", "limit": 200}
    return {"type": "tool_use", "id": f"toolu_{pair:04d}{number:020d}", "name": name, "input": arguments}


def _block(text: str) -> JSONObject:
    return {"type": "text", "text": text}


@functools.cache
def _words(size: int, *, seed: int) -> str:
    chooser = random.Random(seed)  # the same words in every run
    text = ""
    while len(text) < size:
        text += chooser.choice(_WORDS) + " "
    return text[:size]


def _code(size: int, *, seed: int) -> str:
    """Numbered lines, as a tool that reads files gives them."""
    lines = []
    length = number = 0
    while length < size:
        number += 1
        line = f'{number:6}\t    {_words(40, seed=(seed + number) % 50)} = "{number}"\n'
        lines.append(line)
        length += len(line) + 4  # JSON escapes the tab, the quotes and the line end
    return "".join(lines)


def _text(request: JSONObject) -> bytes:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
