"""A whole chat completion as a message, and a message as a stream (sections 5, 6.2).

Every rule lives in a facet (reasoning, tool_calls, tool_args, stops, usage,
visible_text) that the stream uses, too; here they only meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from gateway.conversion import reasoning, stops, upstream_errors
from gateway.conversion.citations import citations_of
from gateway.conversion.context import AnswerContext
from gateway.conversion.envelope import envelope
from gateway.conversion.ledger import Ledger
from gateway.conversion.output import Output
from gateway.conversion.stops import Finish, Stop
from gateway.conversion.tool_args import arguments_text, freeform_input, input_of, is_whole
from gateway.conversion.tool_calls import CallBlocks, pieces_of
from gateway.conversion.usage import Usage, counts_in, usage_of
from gateway.conversion.visible_text import VisibleText
from gateway.conversion.web_search import cited_blocks
from gateway.errors import UpstreamBroken
from gateway.wire import jsontext, messages
from gateway.wire.messages import Event, Message

JSONObject = dict[str, Any]

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
    choice = _choice(completion, context)
    finish = stops.finish_of(choice)
    failure = None if finish is None else stops.failure_of(finish)
    if failure is not None:
        raise failure
    said = choice.get("message") or choice.get("delta")
    if not isinstance(said, dict):
        said = {}
    output = Output()
    filters = VisibleText(context)
    content, text = _words(said, filters, output, context, ledger)
    refusal = said.get("refusal")
    refusal = refusal if isinstance(refusal, str) else ""
    if refusal and not text:
        content.append({"type": "text", "text": refusal})
    called: list[JSONObject] = []
    if filters.matched is None:
        called = _calls(said, finish, output, context, ledger)
        if not called and not content and pieces_of(said) and finish is not Finish.FILTERED:
            raise UpstreamBroken("upstream returned a tool call without a name")
    usage = usage_of(
        counts_in(completion, choice), context, output, ledger, tier=completion.get("service_tier")
    )
    overflow = None if content or called or output.everything else stops.overflow_of(finish, usage, context)
    if overflow is not None:
        raise overflow
    stop = stops.stop_of(
        Finish.STOP if filters.matched else finish,
        called=bool(called),
        refusal=refusal,
        sequence=filters.matched or stops.matched_sequence(choice, context),
        usage=usage,
        context=context,
        ledger=ledger,
    )
    content = [*context.leading, *content, *called, *_cited(content, context)]
    return WholeAnswer(envelope(context, content, stop, usage.whole()), usage.estimated)


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


def _choice(completion: JSONObject, context: AnswerContext) -> JSONObject:
    choices = completion.get("choices")
    usable = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    error = None if usable else upstream_errors.error_inside(completion, context)
    if error is not None:
        raise error
    if not usable:
        raise UpstreamBroken("upstream returned no choices")
    return min(usable, key=lambda choice: index if isinstance(index := choice.get("index"), int) else 0)


def _words(
    said: JSONObject, filters: VisibleText, output: Output, context: AnswerContext, ledger: Ledger
) -> tuple[list[JSONObject], str]:
    """The thinking and text blocks of a message, and the text."""
    carrier = reasoning.Carrier(context, ledger)
    carrier.note(said, whole=True)
    thinking, place, visible = reasoning.reader(context.profile.reasoning_in).read(said)
    tagged, text = filters.feed(visible) if visible else ("", "")
    if filters.matched is None:
        more = filters.flush()
        tagged, text = tagged + more[0], text + more[1]
    thinking += tagged
    if text.isspace():
        text = ""
    output.thinking(thinking)
    output.text(text)
    content: list[JSONObject] = []
    if context.thinking_shown and (thinking or carrier.loaded):
        carrier.said(thinking, place or (reasoning.TAGGED if tagged else ""))
        shown = "" if context.thinking_omitted else thinking
        content.append({"type": "thinking", "thinking": shown, "signature": carrier.signature()})
    elif thinking or carrier.loaded:
        carrier.not_shown()
    if text:
        block: JSONObject = {"type": "text", "text": text}
        citations = citations_of(said, text, context, ledger)
        content.append({**block, "citations": citations} if citations else block)
    return content, text


def _cited(content: list[JSONObject], context: AnswerContext) -> Iterable[JSONObject]:
    """The provider's web search as blocks, when it is known by citations alone."""
    citations = [citation for block in content for citation in block.get("citations") or ()]
    return cited_blocks(context.search_query, citations, context.new_id("srvtoolu_")) if citations else ()


def _calls(
    said: JSONObject, finish: Finish | None, output: Output, context: AnswerContext, ledger: Ledger
) -> list[JSONObject]:
    """The tool_use blocks of a message (section 5.5)."""
    calls = CallBlocks(context, ledger)
    blocks: list[JSONObject] = []
    for piece in pieces_of(said):
        output.call(piece.name, arguments_text(piece.arguments))
        if not piece.name:
            calls.nameless()
        elif finish is Finish.FILTERED and not is_whole(piece.arguments):
            calls.cut_off()
        elif blocks and context.tools.single_call:
            calls.surplus()
        else:
            block = calls.block(piece.name, piece.call_id, calls.extras(piece.raw))
            if piece.freeform:
                block["input"], repaired = freeform_input(arguments_text(piece.arguments)), False
            else:
                block["input"], repaired = input_of(piece.arguments)
            if repaired:
                calls.repaired()
            blocks.append(block)
    return blocks


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
