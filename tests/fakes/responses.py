"""Answers of the Responses API for the fake provider."""

from __future__ import annotations

import json
from typing import Any

from tests.conversion.openai_responses.scripts import response, said, sse, streamed
from tests.fakes.provider import Answer

SSE = {"content-type": "text/event-stream", "x-request-id": "up-1"}
JSON = {"content-type": "application/json", "x-request-id": "up-1"}


def whole(*items: dict[str, Any], **fields: Any) -> Answer:
    """A response that is not streamed; a text when no items are given."""
    body = response(*(items or (said("Hello"),)), **fields)
    return Answer(headers=JSON, body=json.dumps(body).encode())


def told(*items: dict[str, Any], between: tuple[Any, ...] = (), **fields: Any) -> Answer:
    """A streamed response; `between` stands behind its first item's announcement."""
    events = [sse(event) for event in streamed(response(*(items or (said("Hello"),)), **fields))]
    return Answer(headers=SSE, pieces=[*events[:3], *between, *events[3:]])
