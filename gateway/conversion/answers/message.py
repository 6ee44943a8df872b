"""The message around the content blocks; what the history notes of one.

See docs/conversion.md, "The message".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.usage import MOST_TOKENS
from gateway.conversion.context import AnswerContext
from gateway.wire.messages import ContentBlock, ContextEdits, Message, MessageUsage

# the API's value when edits were requested and none was made
NO_EDITS: Final[ContextEdits] = {"applied_edits": []}


def envelope(
    context: AnswerContext, content: list[ContentBlock], stop: Stop | None, usage: MessageUsage
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
    if context.report_diagnostics:
        message["diagnostics"] = context.diagnostics
    if context.report_context_management and stop is not None:
        message["context_management"] = NO_EDITS
    if context.safeguard_results is not None and stop is not None:
        message[RESULTS] = context.safeguard_results
    return message


LONGEST_REASON: Final = 40
# counts in the usage of a message that stand in an object of their own
_DETAILS: Final = ("output_tokens_details", "cache_creation", "server_tool_use")


class MessageFacts(NamedTuple):
    """`usage` holds numbers only, in objects as the API has them."""

    stop_reason: str
    usage: dict[str, Any]
    tools_called: list[str]


def message_facts(message: Mapping[str, object]) -> MessageFacts:
    """The facts of a message; anything that does not have the API's shape is left out."""
    reason, content = message.get("stop_reason"), message.get("content")
    names = [
        block.get("name")
        for block in (content if isinstance(content, list) else ())
        if isinstance(block, dict) and block.get("type") == "tool_use"
    ]
    return MessageFacts(
        reason[:LONGEST_REASON] if isinstance(reason, str) else "",
        _usage(message.get("usage")),
        [name for name in names if isinstance(name, str)],
    )


def _usage(usage: object) -> dict[str, Any]:
    """Counts, and under the names of _DETAILS objects of counts; nothing else."""
    if not isinstance(usage, dict):
        return {}
    counts = _counts({name: value for name, value in usage.items() if name not in _DETAILS})
    return counts | {name: _counts(usage[name]) for name in _DETAILS if isinstance(usage.get(name), dict)}


def _counts(numbers: Mapping[str, object]) -> dict[str, Any]:
    return {name: min(max(0, value), MOST_TOKENS) for name, value in numbers.items() if type(value) is int}
