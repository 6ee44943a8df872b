"""What a response object says of its end: an error, why it stopped, the token counts."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.conversion.answers import stop_reasons
from gateway.conversion.answers.stop_reasons import Finish
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.errors import UpstreamError, UpstreamRejected
from gateway.wire.lenient import object_of
from gateway.wire.messages import JSONObject


def failure_of(response: Mapping[str, object], context: AnswerContext) -> UpstreamError | None:
    """The error that a response stands for by its status or by an error in it; None when it is an answer."""
    details = object_of(response.get("status_details"))  # the Realtime API's
    told = response if response.get("error") or not details.get("error") else {**response, **details}
    error = upstream.error_inside(told, context)
    if error is not None:
        return error
    if response.get("status") == "cancelled":
        return UpstreamRejected("the upstream provider cancelled the response")
    return ended_badly() if response.get("status") == "failed" else None


def ended_badly() -> UpstreamError:
    """The error for a response that failed without saying why."""
    failure = stop_reasons.failure_of(Finish.ERROR)
    assert failure is not None
    return failure


def finish_of(response: Mapping[str, object]) -> Finish:
    """Why the response ended."""
    if response.get("status") in ("completed", None):
        return Finish.STOP
    details = object_of(response.get("incomplete_details")) or object_of(response.get("status_details"))
    reason = details.get("reason")
    known = stop_reasons.finish_of({"finish_reason": reason})
    return Finish.UNKNOWN if known in (None, Finish.STOP, Finish.CALLS) else known


def counts_of(usage: Mapping[str, object], searches: int) -> JSONObject:
    """A response's usage in the words of Chat Completions, which `usage_of` reads."""
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details", usage.get("input_token_details")),
        "completion_tokens": usage.get("output_tokens"),
        "completion_tokens_details": usage.get("output_tokens_details", usage.get("output_token_details")),
        "server_tool_use": {"web_search_requests": searches},
    }
