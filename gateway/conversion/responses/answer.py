"""A whole response as a message (specification section 8.1).

It is read by the same code as a stream, as one whose items come whole; what that
gives are events, which are put together here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gateway.conversion.context import AnswerContext, ToolFacts
from gateway.conversion.ledger import Ledger
from gateway.conversion.response import WholeAnswer
from gateway.conversion.responses.stream import ResponsesStream, failure_of
from gateway.errors import UpstreamBroken
from gateway.wire import jsontext
from gateway.wire.messages import Event, Message

JSONObject = dict[str, Any]


def whole_response(response: JSONObject, context: AnswerContext, ledger: Ledger) -> WholeAnswer:
    """The message that a response is, and what the history must know of it.

    Raises UpstreamRejected or UpstreamRefused for a response that failed, and
    UpstreamBroken for one without output.
    """
    error = failure_of(response, context)
    if error is not None:
        raise error
    if not isinstance(response.get("output"), list):
        raise UpstreamBroken("upstream returned no output")
    stream = ResponsesStream(_in_one_piece(context), ledger)
    events = stream.respond(response)
    if stream.failure is not None:
        raise stream.failure
    usage = stream.usage
    return WholeAnswer(_put_together(events, usage.whole()), usage.estimated)


def _in_one_piece(context: AnswerContext) -> AnswerContext:
    """The context of an answer whose tool arguments are there as a whole, so that they can be mended."""
    tools: ToolFacts = dataclasses.replace(context.tools, live=frozenset())
    profile = dataclasses.replace(context.profile, tool_args="buffer")
    return dataclasses.replace(context, tools=tools, profile=profile)


def _put_together(events: list[Event], usage: JSONObject) -> Message:
    """The message that a complete sequence of events tells."""
    message: Message = dict(events[0]["message"])
    content: list[JSONObject] = []
    for event in events:
        match event["type"]:
            case "content_block_start":
                content.append(dict(event["content_block"]))
            case "content_block_delta":
                _extend(content[-1], event["delta"])
            case "content_block_stop" if "partial_json" in content[-1]:
                content[-1]["input"] = jsontext.loads(content[-1].pop("partial_json"))
            case "message_delta":
                message |= {"stop_details": None, **event["delta"]}
                if "context_management" in event:
                    message["context_management"] = event["context_management"]
    return {**message, "content": content, "usage": usage}


def _extend(block: JSONObject, delta: JSONObject) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        case _:
            block["partial_json"] = block.get("partial_json", "") + delta["partial_json"]
