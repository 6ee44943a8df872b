"""Answers the gateway gives itself, without an upstream.

See docs/conversion.md, "Fields of the request" and "Web search".
"""

from __future__ import annotations

from gateway.conversion.answers.message import envelope
from gateway.conversion.answers.stop_reasons import Stop
from gateway.conversion.answers.usage import Usage
from gateway.conversion.context import AnswerContext, AnsweredLocally
from gateway.conversion.tokens.messages import estimate_text_tokens
from gateway.wire.messages import TextContent


def cache_warmed(context: AnswerContext) -> AnsweredLocally:
    """The answer to `max_tokens: 0`: nothing to say, stopped at once."""
    usage = Usage(context.estimated_input_tokens, 0, estimated=True)
    return AnsweredLocally(envelope(context, [], Stop("max_tokens"), usage.whole()), context)


def spoken(text: str, context: AnswerContext) -> AnsweredLocally:
    """An answer of one text block."""
    written = estimate_text_tokens(text, context.profile.vocabulary)
    usage = Usage(context.estimated_input_tokens, written, estimated=True)
    block: TextContent = {"type": "text", "text": text}
    return AnsweredLocally(envelope(context, [block], Stop("end_turn"), usage.whole()), context)
