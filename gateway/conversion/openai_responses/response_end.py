"""What a response object says of its end: an error, why it stopped, the token counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.conversion.answers import stop_reasons
from gateway.conversion.answers.stop_reasons import Finish
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors import upstream
from gateway.errors import UpstreamError, UpstreamRejected
from gateway.wire.lenient import object_of
from gateway.wire.messages import JSONObject

_IN_CHATS_WORDS: Final = (
    ("input_tokens", "prompt_tokens"),
    ("input_token_details", "prompt_tokens_details"),  # the Realtime API's
    ("input_tokens_details", "prompt_tokens_details"),
    ("output_tokens", "completion_tokens"),
    ("output_token_details", "completion_tokens_details"),
    ("output_tokens_details", "completion_tokens_details"),
)
_RENAMED: Final = frozenset(name for name, _ in _IN_CHATS_WORDS)


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


def finish_of(response: Mapping[str, object], *, cut: bool = False, called: bool = False) -> Finish:
    """Why the response ended. `cut`: the event that told it says that it is incomplete.

    One that is incomplete without a reason was cut, so it is no end of a turn; `called`: a call in it has to
    be whole all the same, since nobody says that a limit cut it.
    """
    status = response.get("status")
    details = object_of(response.get("incomplete_details")) or object_of(response.get("status_details"))
    known = stop_reasons.finish_of({"finish_reason": details.get("reason")})
    if known not in (None, Finish.STOP, Finish.CALLS, Finish.UNKNOWN):
        return known
    if (cut or status == "incomplete") and not details.get("reason"):
        return Finish.UNKNOWN if called else Finish.LENGTH
    return Finish.STOP if status in ("completed", None) and not cut else Finish.UNKNOWN


def counts_of(usage: Mapping[str, object], searches: int) -> JSONObject:
    """A response's usage in the words of Chat Completions, which `usage_of` reads."""
    told = {chat: usage[name] for name, chat in _IN_CHATS_WORDS if usage.get(name) is not None}
    return {
        **{name: value for name, value in usage.items() if name not in _RENAMED},
        **told,
        "server_tool_use": {"web_search_requests": searches},
    }
