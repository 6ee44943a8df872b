"""A whole message of a provider that speaks the Messages API (docs/conversion.md, "Passthrough")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from gateway.client_protocol.safeguards import RESULTS
from gateway.conversion import repairs
from gateway.conversion.answers.chat_message import WholeAnswer
from gateway.conversion.answers.usage import own_usage
from gateway.conversion.anthropic.stream import CHARACTERS_A_TOKEN
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.conversion.ledger import Ledger
from gateway.errors import UpstreamBroken
from gateway.wire import jsontext
from gateway.wire.messages import Message


def passed_message(message: Mapping[str, object], context: AnswerContext, ledger: Ledger) -> WholeAnswer:
    """The message as it came, under the name of the model that was asked for.

    Raises UpstreamRejected for an error inside a 200, and UpstreamBroken for anything but a message.
    """
    error = upstream.error_inside(message, context)
    if error is not None:
        raise error
    blocks = message.get("content")
    if not isinstance(blocks, list) or not all(map(_is_block, blocks)):
        raise UpstreamBroken("upstream returned no message")
    counts = message.get("usage")
    usage = own_usage(counts, context, written=len(jsontext.dumps(blocks)) // CHARACTERS_A_TOKEN)
    if usage.estimated:
        ledger.defaulted("usage", "the upstream did not tell all token counts")
        given = counts.items() if isinstance(counts, dict) else ()
        known = {name: count for name, count in given if count is not None}
        message = {**message, "usage": {**usage.whole(), **known}}
    content = [_with_input(block, ledger) for block in blocks]
    told = {} if context.safeguard_results is None else {RESULTS: context.safeguard_results}
    # as it came: nobody has checked that it is like ours
    passed = cast(Message, {**message, "content": content, "model": context.model, **told})
    return WholeAnswer(passed, usage.estimated, usage.tier, usage.cache_told)


def _is_block(block: object) -> bool:
    return isinstance(block, dict) and isinstance(block.get("type"), str)


def _with_input(block: object, ledger: Ledger) -> object:
    """A call without arguments has an empty input; clients refuse one that has none."""
    if not isinstance(block, dict) or block.get("type") != "tool_use" or "input" in block:
        return block
    ledger.repair(repairs.BLOCK_START, once=True)
    return {**block, "input": {}}
