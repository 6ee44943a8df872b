"""Answers to `diagnostics.previous_message_id`: what keeps a request from reading its predecessor's cache.

Only requests that carry `diagnostics` are remembered, by digests and for as long as there is room in this
process. What a provider of the Messages API says about its own cache is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from gateway.cache import GenerationalCache
from gateway.conversion.context import NewId
from gateway.conversion.requests.messages.system import ATTRIBUTION
from gateway.history.content.chunking import MARKERS, packed_request
from gateway.history.outcome import OK, ExchangeOutcome
from gateway.wire import jsontext
from gateway.wire.messages import CacheMissReason, Diagnostics

# bytes of remembered digests; a conversation of 500 messages has 8,000
MOST: Final = 4_000_000
_DIGEST: Final = 16
_OTHERS: Final = ("thinking", "tool_choice", "output_config", "output_format")


class PromptDigests(NamedTuple):
    """A request by digests of its parts, in the order in which a change of them is reported."""

    model: bytes
    system: bytes
    tools: bytes
    messages: Sequence[bytes]
    others: bytes


class Remembered(NamedTuple):
    """An answered request, and how many tokens its prompt had."""

    prompt: PromptDigests
    tokens: int


Memory = GenerationalCache[tuple[str, str], Remembered]


def new_memory() -> Memory:
    """An empty memory, of the key's holder and the message's id."""
    return GenerationalCache(MOST, lambda one: 300 + _DIGEST * len(one.prompt.messages))


class CacheDiagnosis:
    """The diagnosis of one request. `answer`: the value of `diagnostics` in its message."""

    __slots__ = ("_holder", "_message_id", "_prompt", "answer")

    def __init__(self, request: Mapping[str, object], body: bytes, holder: str, memory: Memory) -> None:
        self._holder = holder
        self._prompt = digests_of(request, body)
        self._message_id = ""
        asked = request.get("diagnostics")
        previous = asked.get("previous_message_id") if isinstance(asked, dict) else None
        self.answer: Diagnostics | None = None
        if isinstance(previous, str):
            reason = miss_reason(memory.get((holder, previous)), self._prompt)
            self.answer = None if reason is None else {"cache_miss_reason": reason}

    def noting(self, new_id: NewId) -> NewId:
        """The same source of ids, whose message id is the one to remember the request by."""

        def made(prefix: str) -> str:
            name = new_id(prefix)
            if prefix == "msg_":
                self._message_id = name
            return name

        return made

    def remember(self, outcome: ExchangeOutcome, memory: Memory) -> None:
        """Keep an answered request for the one that names it."""
        if outcome.state == OK and self._message_id:
            counted = (outcome.input_tokens, outcome.cache_read_tokens, outcome.cache_write_tokens)
            tokens = sum(number or 0 for number in counted)
            memory.put((self._holder, self._message_id), Remembered(self._prompt, tokens))


def asks(request: Mapping[str, object]) -> bool:
    """Whether the client wants a diagnosis."""
    return isinstance(request.get("diagnostics"), dict)


def digests_of(request: Mapping[str, object], body: bytes) -> PromptDigests:
    """The parts of a parsed request; cache markers, which move, belong to none of them."""
    messages = packed_request(body, request).head.values
    return PromptDigests(
        _digest([request.get("model"), request.get("speed")]),
        _digest(_of_system(request.get("system"))),
        _digest(_unmarked(request.get("tools"))),
        [_digest(_in_one_form(message)) for message in messages],
        _digest([request.get(name) for name in _OTHERS]),
    )


def miss_reason(before: Remembered | None, now: PromptDigests) -> CacheMissReason | None:
    """A `cache_miss_reason`; None when the request only goes on where the one before ended."""
    if before is None:
        return {"type": "previous_message_not_found"}
    was = before.prompt
    changed = next(
        (name for name in ("model", "system", "tools") if getattr(was, name) != getattr(now, name)), ""
    )
    if not changed and list(now.messages[: len(was.messages)]) != list(was.messages):
        changed = "messages"
    if changed:
        return {"type": f"{changed}_changed", "cache_missed_input_tokens": before.tokens}
    return None if was.others == now.others else {"type": "unavailable"}


def _in_one_form(message: Any) -> Any:
    """A message whose markers, and the list around a text that carries one, make no difference."""
    if not isinstance(message, dict):
        return message
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list):
        return message
    return {
        **message,
        "content": [
            {**block, "content": _unmarked(block.get("content"))}
            if isinstance(block, dict) and isinstance(block.get("content"), list)
            else block
            for block in _unmarked(blocks)
        ],
    }


def _of_system(value: Any) -> Any:
    """The system prompt as blocks, without the client's line about itself, which providers do not get."""
    blocks = [{"type": "text", "text": value}] if isinstance(value, str) else _unmarked(value)
    first = blocks[0] if isinstance(blocks, list) and blocks else None
    text = first.get("text") if isinstance(first, dict) else None
    if not isinstance(text, str) or not text.startswith(ATTRIBUTION):
        return blocks
    if not isinstance(value, str):
        return blocks[1:]
    return [{"type": "text", "text": text.partition("\n")[2]}]


def _unmarked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [
        {name: part for name, part in item.items() if name not in MARKERS} if isinstance(item, dict) else item
        for item in value
    ]


def _digest(value: Any) -> bytes:
    # a body without a list of messages is one piece of bytes
    text = value if type(value) is bytes else jsontext.dumps(value)
    return blake2b(text, digest_size=_DIGEST).digest()
