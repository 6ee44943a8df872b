"""A whole chat completion as a message, and a message as a stream.

Nearly every completion says each thing once: its blocks are built directly. Which call is which
is asked of the same table as for a stream (`call_table`). As soon as anything is unusual, nothing
is built, and the completion is read as a stream that comes in one piece; the events which that
gives are put together here. Both give the same message.

See docs/conversion.md, "The answer" and "When the 200 goes out".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion.answers import reasoning, stop_reasons
from gateway.conversion.answers.chat_stream import MessageStream
from gateway.conversion.answers.choices import in_order
from gateway.conversion.answers.citations import citations_of
from gateway.conversion.answers.message import envelope
from gateway.conversion.answers.output import Output
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.text_filters import VisibleText
from gateway.conversion.answers.usage import Usage, counts_in, usage_of
from gateway.conversion.answers.writing.block_writers import ToolBlock
from gateway.conversion.answers.writing.call_table import BEGINS, CallTable
from gateway.conversion.answers.writing.writer import MOST_CALLS
from gateway.conversion.answers.written_calls import may_be_written
from gateway.conversion.context import AnswerContext, ToolFacts
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.answer_calls import CallBlocks, pieces_of
from gateway.conversion.tool_calls.arguments import CallEnding
from gateway.conversion.tools.web_search import cited_blocks
from gateway.errors import UpstreamBroken
from gateway.wire import jsontext, messages
from gateway.wire.answer_forms import unwrapped
from gateway.wire.messages import (
    Citation,
    ContentBlock,
    Delta,
    Event,
    JSONObject,
    Message,
    MessageEnd,
    MessageUsage,
    TextContent,
)

_START_COUNTS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_END_COUNTS: Final = (*_START_COUNTS, "output_tokens", "output_tokens_details", "server_tool_use")


class WholeAnswer(NamedTuple):
    """`usage_estimated`: the upstream did not tell all token counts. `tier`, `cache_told`: as in Usage."""

    message: Message
    usage_estimated: bool
    tier: str = ""
    cache_told: bool = False


def message(completion: JSONObject, context: AnswerContext, ledger: Ledger) -> Message:
    """The message that a chat completion is; raises as `whole_answer`."""
    return whole_answer(completion, context, ledger).message


def whole_answer(completion: JSONObject, context: AnswerContext, ledger: Ledger) -> WholeAnswer:
    """The message that a chat completion is, and what the history must know of it.

    Raises UpstreamRejected or UpstreamRefused for an error inside a 200, and
    UpstreamBroken when there is no usable choice.

    See docs/conversion.md, "The answer".
    """
    completion = unwrapped(completion)
    choices = completion.get("choices")
    usable = isinstance(choices, list) and any(isinstance(choice, dict) for choice in choices)
    told = not usable or completion.get("error")
    error = upstream.error_inside(completion, context) if told else None
    if error is not None:
        raise error
    if not usable:
        raise UpstreamBroken("upstream returned no choices")
    answer = _said_once(completion, context, ledger)
    if answer is not None:
        return answer
    stream = MessageStream(in_one_piece(context), ledger)
    events = stream.respond(completion)
    if stream.failure is not None:
        raise stream.failure
    usage = stream.usage
    return WholeAnswer(put_together(events, usage.whole()), usage.estimated, usage.tier, usage.cache_told)


def _said_once(completion: JSONObject, context: AnswerContext, ledger: Ledger) -> WholeAnswer | None:
    """The answer of a completion without anything unusual; None for all others, with nothing noted."""
    choices = completion["choices"]
    choice = choices[0]
    if len(choices) != 1 or type(choice) is not dict:
        return None
    choice = in_order(choice, completion)
    said = choice.get("message")
    if not said or type(said) is not dict or upstream.error_of_choice(choice, context) is not None:
        return None
    finish = stop_reasons.finish_of(choice)
    refusal = said.get("refusal")
    if refusal or (finish is not None and stop_reasons.failure_of(finish) is not None):
        return None
    thinking, place, text = reasoning.reader(context.profile.reasoning_in).read(said)
    filters = VisibleText(context)
    if text and not filters.plain:
        shown, rest = filters.feed(text), filters.flush()
        if filters.matched is not None or shown[0] or rest[0]:
            return None
        text = shown[1] + rest[1]
    text = "" if text.isspace() else text
    output = Output()
    called = _calls_said_once(said, output, context, ledger)
    if called and not called[-1].whole and stop_reasons.ending_of(finish, whole=True) is not CallEnding.OVER:
        return None
    if called == [] and context.tools.offered and may_be_written(text or thinking):
        return None
    if called is None or not (called or text or (thinking and context.thinking_shown)):
        return None
    filters.note_repairs(ledger)
    output.thinking(thinking)
    output.text(text)
    carrier = reasoning.Carrier(context, ledger)
    carrier.note(said, whole=True)
    content: list[ContentBlock] = [*context.leading]
    if context.thinking_shown and (thinking or carrier.loaded):
        carrier.said(thinking, place)
        shown_text = "" if context.thinking_omitted else thinking
        content.append({"type": "thinking", "thinking": shown_text, "signature": carrier.signature()})
    elif thinking or (carrier.loaded and not (called and carrier.needed)):
        carrier.not_shown()
    citations: list[Citation] = []
    if text:
        said_text: TextContent = {"type": "text", "text": text}
        content.append(said_text)
        if said.get("annotations"):
            citations = citations_of(said, text, context, ledger)
        if citations:
            said_text["citations"] = citations
    for call in called:
        output.names.append(call.name)
        content.append(call.whole_block())
    if citations:
        content += cited_blocks(context.search_query, citations, context.new_id("srvtoolu_"))
    if carrier.loaded and called and carrier.needed:
        content.append({"type": "thinking", "thinking": "", "signature": carrier.signature()})
    tier = completion.get("service_tier")
    usage = usage_of(counts_in(completion, choice), context, output, ledger, tier=tier)
    stop = stop_reasons.stop_of(
        finish,
        called=bool(called),
        refusal="",
        sequence=stop_reasons.matched_sequence(choice, context),
        usage=usage,
        context=context,
        ledger=ledger,
    )
    message = envelope(context, content, stop, usage.whole())
    return WholeAnswer(message, usage.estimated, usage.tier, usage.cache_told)


def _calls_said_once(
    said: Mapping[str, object], output: Output, context: AnswerContext, ledger: Ledger
) -> list[ToolBlock] | None:
    """The calls of a message, when each entry is one, whole and as it should be."""
    pieces = pieces_of(said, whole=True)
    if not pieces:
        return []
    if (context.tools.single_call and len(pieces) > 1) or len(pieces) > MOST_CALLS:
        return None
    table, calls = CallTable(), CallBlocks(context, ledger)
    for piece in pieces:
        if not piece.name or piece.freeform or table.judge(piece) is not BEGINS:
            return None
        block = ToolBlock(context, calls, output.call())
        text = block.take(piece)
        block.said.add(text)
        block.wait(text)
        if not block.said_once:
            return None
        block.unwrap()
        table.add(piece, block)
    return table.calls


def in_one_piece(context: AnswerContext) -> AnswerContext:
    """The context of an answer whose tool arguments are there as a whole, so that they can be mended."""
    tools: ToolFacts = dataclasses.replace(context.tools, in_one_piece=True)
    return dataclasses.replace(context, tools=tools)


def put_together(events: list[Event], usage: MessageUsage) -> Message:
    """The message that a complete sequence of events tells."""
    first = events[0]
    assert first["type"] == "message_start"
    # dictionaries of events whose fields are put together here
    message = cast(JSONObject, dict(first["message"]))
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
    return cast(Message, {**message, "content": content, "usage": usage})


def _extend(block: JSONObject, delta: Delta) -> None:
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
    """A whole message replayed as a stream, one delta a block.

    See docs/conversion.md, "From chunks to blocks".
    """
    # of a provider that speaks the API itself, nobody has checked them
    usage: Mapping[str, object] = cast(Mapping[str, object] | None, message.get("usage")) or {}
    start: JSONObject = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {name: usage.get(name) or 0 for name in _START_COUNTS} | {"output_tokens": 0},
    }
    start.pop("context_management", None)
    start.pop(RESULTS, None)
    events: list[Event] = [messages.message_start(cast(Message, start)), messages.PING]
    for index, block in enumerate(message["content"]):
        events += _block_events(index, block)
    delta: MessageEnd = {
        "stop_reason": message.get("stop_reason"),
        "stop_sequence": message.get("stop_sequence"),
    }
    if message.get("stop_details") is not None:
        delta["stop_details"] = message["stop_details"]
    if RESULTS in message:
        delta[RESULTS] = message[RESULTS]
    totals = {name: value for name, value in usage.items() if name in _END_COUNTS and value is not None}
    end = messages.message_delta(delta, cast(MessageUsage, totals))
    if "context_management" in message:
        end["context_management"] = message["context_management"]
    return [*events, end, messages.MESSAGE_STOP]


def refusal_message(context: AnswerContext, explanation: str) -> Message:
    """The message for a prompt that the provider's content filter refused.

    See docs/conversion.md, "Errors of providers" and "Decisions".
    """
    usage = Usage(context.estimated_input_tokens, 0, estimated=True)
    return envelope(context, [], Stop.refusal(explanation), usage.whole())


def _text_in(block: ContentBlock, name: str) -> str:
    """A text of a block that nobody has checked."""
    text = block.get(name)
    return text if isinstance(text, str) else ""


def _block_events(index: int, block: ContentBlock) -> list[Event]:
    start: ContentBlock = block
    deltas: list[Event] = []
    match block["type"]:
        case "tool_use" | "server_tool_use":
            start = cast(ContentBlock, {**block, "input": {}})
            deltas = [messages.input_json_delta(index, jsontext.dumps_text(block.get("input", {})))]
        case "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            thinking = _text_in(block, "thinking")
            deltas = [messages.thinking_delta(index, thinking)] if thinking else []
            deltas.append(messages.signature_delta(index, _text_in(block, "signature")))
        case "text":
            start = {"type": "text", "text": ""}
            deltas = [messages.text_delta(index, _text_in(block, "text"))]
            citations = block.get("citations")
            deltas += [
                messages.citations_delta(index, citation)
                for citation in (citations if isinstance(citations, list) else ())
            ]
    return [messages.block_start(index, start), *deltas, messages.block_stop(index)]
