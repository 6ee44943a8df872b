"""Token counters as services have them beside their protocols: where they are, and what they refuse.

`PATHS`: kind -> the end of its path. `problems` judges a body by the types of the vendor's own package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pydantic
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from openai.types.responses.input_token_count_params import InputTokenCountParams

from tests.conversion.openai_types import exhaust
from tests.fakes.provider import Answer

COUNTED: Final = 4321
PATHS: Final = {
    "chat": "/chat/completions/input_tokens",
    "responses": "/responses/input_tokens",
    "messages": "/v1/messages/count_tokens",
}
_TYPES: Final = {"responses": InputTokenCountParams, "messages": MessageCountTokensParams}
_ADAPTERS: Final = {kind: pydantic.TypeAdapter(types) for kind, types in _TYPES.items()}


def problems(kind: str, body: dict[str, Any]) -> Iterator[str]:
    """What the counter would refuse. One of Chat Completions takes that API's own requests."""
    if kind == "chat":
        return
    if kind == "responses":
        for name in body.keys() - InputTokenCountParams.__annotations__.keys():
            yield f"unknown field {name}"
    # a system message in the conversation is newer than the package's types
    messages = [message for message in body.get("messages", ()) if message["role"] != "system"]
    try:
        exhaust(_ADAPTERS[kind].validate_python({**body, **({"messages": messages} if messages else {})}))
    except pydantic.ValidationError as problem:
        first = problem.errors()[0]
        yield f"the package's types: {first['loc']} {first['msg']}"


def counted(number: int = COUNTED) -> Answer:
    body = {"object": "response.input_tokens", "input_tokens": number}
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())
