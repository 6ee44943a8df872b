"""A whole chat completion as a message, and a message as a stream (sections 5, 6.2).

A completion is read by the same code as a stream, as one that comes in one piece; what
that gives are events, which are put together here.
"""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.answers.message import envelope
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.usage import Usage
from gateway.conversion.context import AnswerContext, ToolFacts
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken
from gateway.wire import jsontext, messages
from gateway.wire.messages import Event, JSONObject, Message

_START_COUNTS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_END_COUNTS: Final = (*_START_COUNTS, "output_tokens", "output_tokens_details", "server_tool_use")


class WholeAnswer(NamedTuple):
    """`usage_estimated`: the upstream did not tell all token counts."""

    message: Message
    usage_estimated: bool


def message(completion: JSONObject, context: AnswerContext, ledger: Ledger) -> Message:
    """The message that a chat completion is; raises as `whole_answer`."""
    return whole_answer(completion, context, ledger).message


def whole_answer(completion: JSONObject, context: AnswerContext, ledger: Ledger) -> WholeAnswer:
    """The message that a chat completion is (section 5), and what the history must know of it.

    Raises UpstreamRejected or UpstreamRefused for an error inside a 200, and
    UpstreamBroken when there is no usable choice.
    """
    choices = completion.get("choices")
    usable = isinstance(choices, list) and any(isinstance(choice, dict) for choice in choices)
    error = None if usable else upstream.error_inside(completion, context)
    if error is not None:
        raise error
    if not usable:
        raise UpstreamBroken("upstream returned no choices")
    stream = MessageStream(in_one_piece(context), ledger)
    events = stream.respond(completion)
    if stream.failure is not None:
        raise stream.failure
    usage = stream.usage
    return WholeAnswer(put_together(events, usage.whole()), usage.estimated)


def in_one_piece(context: AnswerContext) -> AnswerContext:
    """The context of an answer whose tool arguments are there as a whole, so that they can be mended."""
    tools: ToolFacts = dataclasses.replace(context.tools, in_one_piece=True)
    return dataclasses.replace(context, tools=tools)


def put_together(events: list[Event], usage: JSONObject) -> Message:
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


def message_events(message: Message) -> list[Event]:
    """A whole message replayed as a stream, one delta a block (section 6.2)."""
    usage = message.get("usage") or {}
    start = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {name: usage.get(name) or 0 for name in _START_COUNTS} | {"output_tokens": 0},
    }
    start.pop("context_management", None)
    events = [messages.message_start(start), messages.PING]
    for index, block in enumerate(message["content"]):
        events += _block_events(index, block)
    delta = {"stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence")}
    if message.get("stop_details") is not None:
        delta["stop_details"] = message["stop_details"]
    more = {"context_management": message["context_management"]} if "context_management" in message else {}
    totals = {name: value for name, value in usage.items() if name in _END_COUNTS and value is not None}
    return [*events, messages.message_delta(delta, totals, **more), messages.MESSAGE_STOP]


def refusal_message(context: AnswerContext, explanation: str) -> Message:
    """The message for a prompt that the provider's content filter refused (section 7.1, decision D18)."""
    usage = Usage(context.estimated_input_tokens, 0, estimated=True)
    return envelope(context, [], Stop.refusal(explanation), usage.whole())


def _block_events(index: int, block: JSONObject) -> list[Event]:
    kind = block["type"]
    if kind in ("tool_use", "server_tool_use"):
        start = {**block, "input": {}}
        deltas = [messages.input_json_delta(index, jsontext.dumps_text(block["input"]))]
    elif kind == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [messages.thinking_delta(index, block["thinking"])] if block["thinking"] else []
        deltas.append(messages.signature_delta(index, block.get("signature") or ""))
    elif kind != "text":
        start, deltas = block, []
    else:
        start = {"type": "text", "text": ""}
        deltas = [messages.text_delta(index, block["text"])]
        deltas += [messages.citations_delta(index, citation) for citation in block.get("citations") or ()]
    return [messages.block_start(index, start), *deltas, messages.block_stop(index)]
