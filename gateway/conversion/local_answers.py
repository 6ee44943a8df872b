"""Answers the gateway gives itself, without an upstream (specification sections 2.1, 4.4)."""

from __future__ import annotations

from typing import Final

from gateway.conversion.context import AnswerContext, AnsweredLocally
from gateway.conversion.envelope import envelope
from gateway.conversion.stops import Stop
from gateway.wire.messages import JSONObject

_CHARACTERS_PER_TOKEN: Final = 4


def cache_warmed(context: AnswerContext) -> AnsweredLocally:
    """The answer to `max_tokens: 0`: nothing to say, stopped at once."""
    return AnsweredLocally(envelope(context, [], Stop("max_tokens"), _usage(context, 0)), context)


def spoken(text: str, context: AnswerContext) -> AnsweredLocally:
    """An answer of one text block."""
    block: JSONObject = {"type": "text", "text": text}
    usage = _usage(context, max(1, len(text) // _CHARACTERS_PER_TOKEN))
    return AnsweredLocally(envelope(context, [block], Stop("end_turn"), usage), context)


def _usage(context: AnswerContext, output_tokens: int) -> JSONObject:
    return {
        "input_tokens": context.estimated_input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }
