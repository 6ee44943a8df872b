"""A whole response as a message.

It is read by the same code as a stream, as one whose items come whole; what that
gives are events, which are put together again.

See docs/conversion.md, "The Responses API".
"""

from __future__ import annotations

from gateway.conversion.answers.chat_message import WholeAnswer, in_one_piece, put_together
from gateway.conversion.context import AnswerContext
from gateway.conversion.ledger import Ledger
from gateway.conversion.openai_responses.stream import ResponsesStream, failure_of
from gateway.errors import UpstreamBroken
from gateway.wire.messages import JSONObject


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
    stream = ResponsesStream(in_one_piece(context), ledger)
    events = stream.respond(response)
    if stream.failure is not None:
        raise stream.failure
    usage = stream.usage
    return WholeAnswer(put_together(events, usage.whole()), usage.estimated)
