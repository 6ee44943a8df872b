"""A whole response as a message.

The stream's own code reads it, as a stream whose items come whole; the resulting events are put together
again.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.conversion.answers.chat_message import WholeAnswer, in_one_piece, put_together
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.response_end import failure_of
from gateway.conversion.openai_responses.stream import ResponsesStream
from gateway.errors import UpstreamBroken
from gateway.wire.lenient import text_of


def whole_response(response: Mapping[str, object], context: AnswerContext, ledger: Ledger) -> WholeAnswer:
    """The message that a response is, and what the history needs to know about it.

    Raises UpstreamRejected or UpstreamRefused for a failed response, and UpstreamBroken for one without
    output.
    """
    error = failure_of(response, context)
    if error is not None:
        raise error
    output = response.get("output")
    if not isinstance(output, list) and not text_of(response.get("output_text")):
        raise UpstreamBroken("upstream returned no output")
    if not output and response.get("status") in ("queued", "in_progress"):
        raise UpstreamBroken("upstream returned a response that it has not written yet")
    stream = ResponsesStream(in_one_piece(context), ledger)
    events = stream.respond(response)
    if stream.failure is not None:
        raise stream.failure
    usage = stream.usage
    return WholeAnswer(put_together(events, usage.whole()), usage.estimated, usage.tier, usage.cache_told)
