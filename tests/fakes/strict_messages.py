"""A strict server of the Messages API on a socket: it accepts what a client of that API sends, and nothing
else.

It takes back only thinking that it gave out, unchanged, and only ids that a client can have from a Messages
API. `refused` lists what it did not accept. Where `counts` is set it counts tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pydantic
from anthropic.types.message_create_params import MessageCreateParams

from tests.conversion.openai_types import exhaust
from tests.fakes import counters
from tests.fakes import messages as made
from tests.fakes.provider import Answer, FakeProvider, Request
from tests.fakes.strict_chat import Say

JSONObject = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_ADAPTER = pydantic.TypeAdapter(MessageCreateParams)


class StrictMessages(FakeProvider):
    """Says `say` turn by turn. `path` precedes /v1/messages, `header` carries the credential."""

    def __init__(self, say: list[Say], *, path: str, header: str, model: str, counts: bool) -> None:
        super().__init__()
        self.say, self.path, self.header, self.model, self.counts = say, path, header, model, counts
        self.taken: list[JSONObject] = []
        self.counted: list[JSONObject] = []
        self.refused: list[str] = []

    def answer_to(self, request: Request) -> Answer:
        below = urlsplit(request.path).path.removeprefix(f"{self.path}/v1/messages")
        if below not in ("", "/count_tokens") or (below and not self.counts):
            return Answer(404, {"content-type": "text/plain"}, b"no such path")
        found = list(self._problems(request, below))
        if found:
            self.refused += [f"turn {len(self.taken) + 1}: {problem}" for problem in found]
            return made.error(400, "invalid_request_error", "; ".join(found))
        if below:
            self.counted.append(request.body)
            return counters.counted()
        turn = len(self.taken)
        self.taken.append(request.body)
        return self._told(turn, request.body)

    # --- what it does not take -----------------------------------------------------------

    def _problems(self, request: Request, below: str) -> Iterator[str]:
        body = request.body
        shown = request.headers.get(self.header, "")
        if not shown.endswith("sk-upstream-secret"):
            yield f"no credential in {self.header}"
        others = {"authorization", "x-api-key"} - {self.header}
        if others & request.headers.keys():
            yield "two credentials"
        if "anthropic-version" not in request.headers:
            yield "anthropic-version: header is required"
        if body["model"] != self.model:
            yield f"model: {body['model']}"
        yield from counters.problems("messages", body) if below else self._types(body)
        yield from self._thinking_back(body["messages"])
        yield from self._ids(body["messages"])

    def _types(self, body: JSONObject) -> Iterator[str]:
        # a system message in the conversation is newer than the package's types
        said = [message for message in body["messages"] if message["role"] != "system"]
        try:
            exhaust(_ADAPTER.validate_python({**body, "messages": said}))
        except pydantic.ValidationError as problem:
            first = problem.errors()[0]
            yield f"the anthropic package's types: {first['loc']} {first['msg']}"

    def _thinking_back(self, messages: list[JSONObject]) -> Iterator[str]:
        given = [block for turn in range(len(self.taken)) for block in self._blocks(turn)]
        for number, block in _of_assistant(messages):
            if block["type"] == "thinking" and block not in given:
                yield f"messages.{number}: Invalid `signature` in `thinking` block"
        for number, message in enumerate(messages):
            # whoever thought before a call gets that back with the call's result
            turn = self._turn_of(message)
            if turn is not None and message["content"] != self._blocks(turn):
                yield f"messages.{number}: an assistant's turn came back changed"

    def _turn_of(self, message: JSONObject) -> int | None:
        said = json.dumps(message["content"]) if message["role"] == "assistant" else ""
        return next((n for n in range(len(self.taken)) if json.dumps(self.say[n].text) in said), None)

    def _ids(self, messages: list[JSONObject]) -> Iterator[str]:
        waiting: list[str] = []
        for number, message in enumerate(messages):
            blocks = message["content"] if isinstance(message["content"], list) else []
            results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            if message["role"] == "user" and sorted(results) != sorted(waiting):
                yield f"messages.{number}: `tool_use` ids and `tool_result` blocks do not pair"
            waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
            for one in [*waiting, *results]:
                if not _ID.match(one) or "_gw1_" in one:
                    yield f"messages.{number}: id {one[:80]}"

    # --- how it answers ------------------------------------------------------------------

    def _blocks(self, turn: int) -> list[JSONObject]:
        said, thinks = self.say[turn], self._thinks(self.taken[turn])
        thinking = {"type": "thinking", "thinking": said.thought, "signature": f"sealed-{turn}=="}
        calls = [
            {"type": "tool_use", "id": f"toolu_{turn}_{place}", "name": name, "input": arguments}
            for place, (name, arguments) in enumerate(said.calls)
        ]
        return [*([thinking] if thinks else []), {"type": "text", "text": said.text}, *calls]

    def _thinks(self, body: JSONObject) -> bool:
        return (body.get("thinking") or {}).get("type") in ("adaptive", "enabled")

    def _told(self, turn: int, body: JSONObject) -> Answer:
        blocks = self._blocks(turn)
        reason = "tool_use" if self.say[turn].calls else "end_turn"
        usage = {"input_tokens": 400 + turn, "cache_read_input_tokens": 600, "output_tokens": 50}
        if not body.get("stream"):
            return made.whole(*blocks, stop_reason=reason, usage=usage, model=self.model)
        begun = made.message(stop_reason=None, usage={**usage, "output_tokens": 1}, model=self.model)
        pieces = [made.event("message_start", message={**begun, "content": []}), made.PING]
        for index, block in enumerate(blocks):
            pieces += _streamed(index, block)
        delta = {"stop_reason": reason, "stop_sequence": None}
        ends = [
            made.event("message_delta", delta=delta, usage={"output_tokens": 50}),
            made.event("message_stop"),
        ]
        return Answer(headers=made.SSE, pieces=[*pieces, *ends])


def _of_assistant(messages: list[JSONObject]) -> Iterator[tuple[int, JSONObject]]:
    for number, message in enumerate(messages):
        if message["role"] == "assistant" and isinstance(message["content"], list):
            yield from ((number, block) for block in message["content"])


def _streamed(index: int, block: JSONObject) -> Iterator[bytes]:
    """The events of one block, its text in two pieces."""
    kind = block["type"]
    empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}
    yield made.event("content_block_start", index=index, content_block={**block, **empty[kind]})
    field = {"thinking": "thinking", "text": "text", "tool_use": "partial_json"}[kind]
    whole = json.dumps(block["input"]) if kind == "tool_use" else block[kind]
    delta = "input_json_delta" if kind == "tool_use" else f"{kind}_delta"
    middle = len(whole) // 2
    for piece in (whole[:middle], whole[middle:]):
        yield made.event("content_block_delta", index=index, delta={"type": delta, field: piece})
    if kind == "thinking":
        sealed = {"type": "signature_delta", "signature": block["signature"]}
        yield made.event("content_block_delta", index=index, delta=sealed)
    yield made.event("content_block_stop", index=index)
