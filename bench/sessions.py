"""A coding session as its requests: the whole conversation with each turn, and markers that move.

Texts differ from each other as source files and logs do, so that what is stored of them is stored because
it is new, not because the generator repeats itself.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator

from bench import bodies

MARK = {"cache_control": {"type": "ephemeral"}}
_SYLLABLES = [
    "ba",
    "co",
    "du",
    "fe",
    "gi",
    "ho",
    "ju",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "wa",
    "xe",
    "yu",
    "za",
    "ver",
    "con",
    "str",
    "int",
    "par",
    "for",
]


def session(turns: int, *, seed: int = 1, tools: int = 24) -> Iterator[tuple[dict, dict]]:
    """The request of each turn, and what a gateway makes of it for a chat provider."""
    words = random.Random(seed)
    text = "\n".join(line(words) for _ in range(300))
    system = [
        {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.197.{seed:03x};"},
        {"type": "text", "text": "You are a command line tool.", **MARK},
        {"type": "text", "text": text, **MARK},
    ]
    listed = [bodies._tool(number) for number in range(tools)]
    functions = [
        {"type": "function", "function": {**tool, "parameters": tool["input_schema"]}} for tool in listed
    ]
    for function in functions:
        del function["function"]["input_schema"]
    history: list[dict] = [{"role": "user", "content": [{"type": "text", "text": line(words) * 8}]}]
    chat: list[dict] = [
        {"role": "system", "content": f"{system[1]['text']}\n\n{text}"},
        {"role": "user", "content": history[0]["content"][0]["text"]},
    ]
    for turn in range(turns):
        messages = copy.copy(history)
        last = copy.deepcopy(messages[-1])
        last["content"][-1] |= MARK
        messages[-1] = last
        received = {
            "model": "claude-opus-4-8", "messages": messages, "system": system, "tools": listed,
            "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
            "max_tokens": 64000, "thinking": {"type": "adaptive"}, "stream": True,
        }  # fmt: skip
        sent = {
            "model": "gpt-5", "messages": list(chat), "max_completion_tokens": 64000, "stream": True,
            "stream_options": {"include_usage": True}, "tools": functions, "reasoning_effort": "high",
        }  # fmt: skip
        yield received, sent
        call = f"toolu_{turn:06}{words.randrange(16**16):016x}"
        arguments = {
            "file_path": f"/srv/{words.choice(_SYLLABLES)}/{turn}.py",
            "limit": words.randrange(2000),
        }
        said = line(words) + line(words)
        result = "\n".join(f"{number:6}\t{line(words)}" for number in range(words.randrange(5, 120)))
        history += [
            {"role": "assistant", "content": [
                {"type": "text", "text": said},
                {"type": "tool_use", "id": call, "name": "Read", "input": arguments},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": result}]},
        ]  # fmt: skip
        function = {"name": "Read", "arguments": json.dumps(arguments)}
        chat += [
            {"role": "assistant", "content": said,
             "tool_calls": [{"id": call, "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": call, "content": result},
        ]  # fmt: skip


def line(words: random.Random) -> str:
    """A line like one of a source file."""
    count = words.randrange(3, 11)
    return " ".join(
        "".join(words.choice(_SYLLABLES) for _ in range(words.randrange(1, 4))) for _ in range(count)
    )


def streams(words: random.Random, chunks: int = 120) -> tuple[bytes, bytes]:
    """A provider's stream of `chunks` pieces of text, and the gateway's to the client."""
    answered, returned = [], []
    for _ in range(chunks):
        word = words.choice(_SYLLABLES)
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5",
                 "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}  # fmt: skip
        answered.append(f"data: {json.dumps(chunk)}\n\n")
        event = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": word},
        }
        returned.append(f"event: content_block_delta\ndata: {json.dumps(event)}\n\n")
    return "".join(answered).encode(), "".join(returned).encode()
