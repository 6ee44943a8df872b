"""The message around the content blocks (specification section 5.1)."""

from __future__ import annotations

from typing import Any, Final

from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.context import AnswerContext
from gateway.wire.messages import Message

JSONObject = dict[str, Any]

# what the API says when edits were asked for and none was made
NO_EDITS: Final[JSONObject] = {"applied_edits": []}


def envelope(
    context: AnswerContext, content: list[JSONObject], stop: Stop | None, usage: JSONObject
) -> Message:
    """A message; `stop` is None at the start of a stream. The model is the client's own word for it."""
    message: Message = {
        "id": context.new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "content": content,
        "stop_reason": stop.reason if stop else None,
        "stop_sequence": stop.sequence if stop else None,
        "stop_details": stop.details if stop else None,
        "usage": usage,
        "container": None,
    }
    if context.report_context_management and stop is not None:
        message["context_management"] = NO_EDITS
    return message
