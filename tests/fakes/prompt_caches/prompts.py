"""What a provider sees of a request: parts in the order in which it renders them, and the marks between
them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

JSONObject = dict[str, Any]
BYTES_PER_TOKEN: Final = 4
BREAKPOINT: Final = "prompt_cache_breakpoint"
CONTROL: Final = "cache_control"
_MARKS: Final = (BREAKPOINT, CONTROL)
# what stands in the prompt itself or in front of it: a change of one of them misses the cache
_CHAT_HEAD: Final = (
    "model", "tools", "response_format", "reasoning_effort", "verbosity", "service_tier", "thinking",
)  # fmt: skip
_RESPONSES_HEAD: Final = ("model", "tools", "text", "reasoning", "service_tier", "instructions")


class End(NamedTuple):
    """The end of a part: `tokens` up to here, `digest` of everything up to here, the marker that stands here,
    and who speaks: "head", "system", "user", "tool" or "assistant"."""

    tokens: int
    digest: bytes
    marker: JSONObject | None
    speaker: str


@dataclass(slots=True)
class Prompt:
    ends: list[End]
    data: bytes
    key: str = ""
    explicit_only: bool = False
    ttl: str = ""
    _blocks: dict[int, list[bytes]] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return len(self.data) // BYTES_PER_TOKEN

    @property
    def start(self) -> bytes:
        """A digest of the first 256 tokens."""
        return blake2b(self.data[: 256 * BYTES_PER_TOKEN], digest_size=8).digest()

    def blocks(self, tokens: int) -> list[bytes]:
        """The digest of everything up to the end of each whole block of so many tokens."""
        known = self._blocks.get(tokens)
        if known is None:
            size, running = tokens * BYTES_PER_TOKEN, blake2b(digest_size=12)
            known = self._blocks[tokens] = []
            for place in range(0, len(self.data) - size + 1, size):
                running.update(self.data[place : place + size])
                known.append(running.digest())
        return known


def rendered(body: JSONObject) -> Prompt:
    """The prompt of a request of Chat Completions, Responses or Messages."""
    if "input" in body:
        parts = _responses(body)
    elif "max_tokens" in body and ("system" in body or _speaks_messages(body)):
        parts = _messages(body)
    else:
        parts = _chat(body)
    running, data, ends = blake2b(digest_size=12), bytearray(), []
    for value, marker, speaker in parts:
        piece = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        data += piece
        running.update(piece)
        ends.append(End(len(data) // BYTES_PER_TOKEN, running.digest(), marker, speaker))
    options = body.get("prompt_cache_options") or {}
    return Prompt(
        ends,
        bytes(data),
        key=str(body.get("prompt_cache_key") or ""),
        explicit_only=options.get("mode") == "explicit",
        ttl=options.get("ttl", ""),
    )


Part = tuple[Any, JSONObject | None, str]


def _speaks_messages(body: JSONObject) -> bool:
    return any(
        isinstance(message["content"], list)
        and any(block["type"] in ("tool_use", "tool_result") for block in message["content"])
        for message in body["messages"]
    )


def _head(body: JSONObject, names: tuple[str, ...]) -> Part:
    return {name: body[name] for name in names if name in body}, None, "head"


def _responses(body: JSONObject) -> Iterator[Part]:
    head = dict(body)
    # a summary of the reasoning is no part of the prompt
    head["reasoning"] = (body.get("reasoning") or {}).get("effort")
    yield _head(head, _RESPONSES_HEAD)
    for item in body["input"]:
        place = "output" if item["type"] == "function_call_output" else "content"
        rest = {name: value for name, value in item.items() if name != place}
        speaker = "tool" if place == "output" else item.get("role", "assistant")
        yield from _parts(rest, item.get(place), speaker)


def _chat(body: JSONObject) -> Iterator[Part]:
    yield _head(body, _CHAT_HEAD)
    for message in body["messages"]:
        rest = {name: value for name, value in message.items() if name != "content"}
        yield from _parts(rest, message.get("content"), message["role"])


def _messages(body: JSONObject) -> Iterator[Part]:
    yield {"model": body["model"]}, None, "head"
    for tool in body.get("tools") or ():
        yield _without_marks(tool), tool.get(CONTROL), "head"
    system = body.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _without_marks(block), block.get(CONTROL), "system"
    # "Changes to tool_choice or thinking parameters invalidate message content"
    yield {name: body.get(name) for name in ("tool_choice", "thinking")}, None, "head"
    for message in body["messages"]:
        # a text and a list with that text are one and the same in this protocol
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        yield from _parts({"role": message["role"]}, blocks, message["role"])


def _parts(rest: JSONObject, content: Any, speaker: str) -> Iterator[Part]:
    """The parts of a content; what surrounds it belongs to the first. Whether a text is alone or in a list
    makes a difference: nobody says that a provider renders both alike."""
    speaker = {"developer": "system"}.get(speaker, speaker)
    if not isinstance(content, list) or not content:
        yield [_without_marks(rest), content], rest.get(CONTROL), speaker
        return
    for number, part in enumerate(content):
        value = _without_marks(part)
        yield (
            value if number else [_without_marks(rest), value],
            part.get(BREAKPOINT) or part.get(CONTROL),
            speaker,
        )


def _without_marks(value: JSONObject) -> JSONObject:
    return {name: inner for name, inner in value.items() if name not in _MARKS}
