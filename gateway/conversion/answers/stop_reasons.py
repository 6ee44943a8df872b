"""Finish reason -> stop reason, one table (docs/conversion.md, "Stop reasons")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from gateway import patterns
from gateway.conversion import repairs
from gateway.conversion.answers.usage import Usage
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors.overflow import Overflow
from gateway.conversion.ledger import Ledger
from gateway.conversion.tool_calls.arguments import CallEnding
from gateway.errors import UpstreamError, UpstreamRejected
from gateway.values import frozen
from gateway.wire.messages import StopDetails


class Finish(Enum):
    """What providers mean by their words; the value is the priority when several are given."""

    CALLS = 5
    FILTERED = 4
    LENGTH = 3
    WINDOW = 2
    STOP = 1
    UNKNOWN = 0
    ERROR = -1
    NO_RESOURCES = -2
    UNREADABLE = -3


_WORDS: Final = {
    word: finish
    for finish, words in {
        Finish.STOP: (
            "stop",
            "eos",
            "eos_token",
            "end_turn",
            "complete",
            "completed",
            "stop_sequence",
            "done",
        ),
        Finish.CALLS: ("tool_calls", "tool_call", "function_call", "function_calls", "tool_use"),
        Finish.LENGTH: (
            "length",
            "max_tokens",
            "max_output_tokens",
            "token_limit",
            "error_limit",
            "max_length",
        ),
        Finish.WINDOW: ("model_length", "model_context_window_exceeded", "context_length_exceeded"),
        Finish.FILTERED: (
            *("content_filter", "content_filtered", "content_policy_violation", "content_policy", "filtered"),
            *("sensitive", "safety", "refusal", "blocked", "blocklist", "prohibited_content", "recitation"),
            *("spii", "language", "image_safety", "image_prohibited_content", "image_recitation"),
            *("model_armor", "moderation", "guardrail", "guardrails", "guardrail_intervened", "error_toxic"),
            *("jailbreak", "data_inspection_failed", "policy_violation", "risk_control"),
        ),
        Finish.ERROR: (
            *(
                "error",
                "abort",
                "aborted",
                "network_error",
                "cancelled",
                "canceled",
                "user_cancel",
                "timeout",
            ),
            *("failed", "internal_error", "server_error"),
            # words whose parts mean something else
            *("rate_limit", "rate_limited", "rate_limit_exceeded", "out_of_memory", "connection_closed"),
        ),
        Finish.NO_RESOURCES: ("insufficient_system_resource",),
        Finish.UNREADABLE: (
            *("malformed_function_call", "malformed_tool_call", "malformed_tool_use", "malformed_response"),
            *("malformed_model_output", "unexpected_tool_call", "function_call_filter", "tool_use_failed"),
            *("too_many_tool_calls", "missing_thought_signature"),
        ),
    }.items()
    for word in words
}
# how some servers write that there is no reason
_NONE: Final = frozenset({"", "null", "none", "unspecified", "not_finished", "in_progress"})
_KEYS_OF_OBJECT: Final = ("type", "reason", "finish_reason", "name", "code", "value")
# what a word that nobody has listed means by a part of it; the first that fits
_STEMS: Final = {
    Finish.UNREADABLE: frozenset({"malformed", "unparsable", "unparseable", "invalid"}),
    Finish.FILTERED: frozenset(
        {
            "filter",
            "filtered",
            "safety",
            "moderation",
            "blocked",
            "flagged",
            "prohibited",
            "policy",
            "refusal",
        }
        | {"refused", "guardrail", "guardrails", "sensitive", "recitation", "unsafe", "harmful"}
        | {"risk", "hate", "violence", "violation", "violated", "censored", "inappropriate", "nsfw"}
        | {"harm", "toxic", "toxicity", "abuse", "abusive"}
    ),
    Finish.ERROR: frozenset(
        {"error", "failed", "failure", "abort", "aborted", "cancelled", "canceled", "timeout", "interrupted"}
        | {"interrupt", "exception", "crash", "crashed", "overload", "overloaded", "unavailable", "internal"}
        | {"killed", "terminated", "disconnect", "disconnected", "preempted", "unload", "unloaded", "oom"}
        | {"fault", "panic", "quota"}
    ),
    Finish.WINDOW: frozenset({"context", "window"}),
    Finish.LENGTH: frozenset({"length", "limit", "max", "tokens", "truncated", "incomplete", "budget"}),
}
# what a provider's word says that "stop" beside it does not
_HIDDEN_BY_STOP: Final = frozenset(
    {Finish.UNREADABLE, Finish.FILTERED, Finish.LENGTH, Finish.WINDOW, Finish.ERROR, Finish.NO_RESOURCES}
)
_CAMEL: Final = patterns.compiled(r"(?<=[a-z])(?=[A-Z])")
_PREFIX: Final = patterns.compiled(r"(?:finish_?reason|stop_?reason)[_.:\s]*")
_PARTS: Final = patterns.compiled(r"[\s:.,;/|()\[\]-]+")
# what is longer is no word
_LONGEST: Final = 200


# of the window, when the provider has cut the input to fit
_FULL: Final = 0.99


@frozen
class Stop:
    """Why a message ended, in Anthropic's words."""

    reason: str
    sequence: str | None = None
    details: StopDetails | None = None

    @classmethod
    def refusal(cls, explanation: str | None) -> Stop:
        return cls("refusal", details={"type": "refusal", "category": None, "explanation": explanation})


def finish_of(choice: Mapping[str, object]) -> Finish | None:
    """The finish of a choice; None while there is none.

    Providers write it in any case, behind a prefix (`content_filter: PROHIBITED_CONTENT`,
    `FinishReason.STOP`), as an object ({"type": "length"}), and as the text "null".
    """
    word = choice.get("finish_reason")
    if isinstance(word, list) and word:
        word = word[-1]
    if isinstance(word, dict) and word:
        word = _word_of(word)
    if not word:
        return None
    if not isinstance(word, str):
        return Finish.UNKNOWN
    known = _WORDS.get(word) or _meant(word)
    # OpenRouter's word for it, with the one of the model's provider beside it
    if known is Finish.STOP and isinstance(native := choice.get("native_finish_reason"), str):
        meant = _meant(native)
        return meant if meant in _HIDDEN_BY_STOP else known
    return known


def _word_of(reason: Mapping[str, object]) -> str:
    """The word of a reason that is an object."""
    for key in _KEYS_OF_OBJECT:
        said = reason.get(key)
        if isinstance(said, str):
            return said
        if isinstance(said, Mapping) and said:
            return _word_of(said)
    return "error" if "error" in reason else "unknown"


def is_known(word: object) -> bool:
    """Whether `word` is a reason in the words of some provider."""
    return isinstance(word, str) and _meant(word) not in (None, Finish.UNKNOWN)


def _meant(word: str) -> Finish | None:
    """The finish of a word in any spelling."""
    word = _CAMEL.sub("_", word[:_LONGEST].strip()).lower().replace("-", "_")
    word = _PREFIX.sub("", word, count=1)
    if word in _NONE:
        return None
    # of several words the last that is known says it best
    words = (word, *reversed(_PARTS.split(word)))
    known = next((_WORDS[said] for said in words if said in _WORDS), None)
    if known is not None:
        return known
    stems = set(word.replace(" ", "_").split("_"))
    return next((finish for finish, some in _STEMS.items() if stems & some), Finish.UNKNOWN)


def stronger(one: Finish | None, other: Finish) -> Finish:
    """Of two finishes of one answer the one that counts; the first of equals."""
    return other if one is None or other.value > one.value else one


def ending_of(finish: Finish | None, *, whole: bool) -> CallEnding:
    """How the calls of an answer with this finish ended. `whole`: the answer was no stream."""
    if finish is Finish.LENGTH or finish is Finish.WINDOW:
        return CallEnding.LIMIT
    if finish is Finish.FILTERED:
        return CallEnding.FILTER
    return CallEnding.UNTOLD if finish is None and not whole else CallEnding.OVER


def counted_below(usage: Usage, cap: int) -> bool:
    """Whether the provider has counted the answer, and it has fewer tokens than were asked for.

    Some servers send no finish reason. One that counts what it said has come to its end.
    """
    return not usage.estimated and 0 < usage.output_tokens < cap


def failure_of(finish: Finish) -> UpstreamError | None:
    """The error that a finish reason stands for, if any."""
    if finish is Finish.ERROR:
        return UpstreamRejected("the upstream provider ended the response with an error")
    if finish is Finish.NO_RESOURCES:
        return UpstreamRejected(
            "the upstream provider has insufficient resources", status=529, error_type="overloaded_error"
        )
    if finish is Finish.UNREADABLE:
        return UpstreamRejected("the upstream provider could not read the tool call that the model wrote")
    return None


def overflow_of(finish: Finish | None, usage: Usage, context: AnswerContext) -> UpstreamError | None:
    """The overflow that the end of an answer without any content stands for, if any.

    z.ai says so by its finish reason; MiMo cuts the input to fill the window, and then has no
    room to say a word. Claude Code compacts on the error, and on no stop reason.
    """
    window = context.profile.context_window
    full = (
        finish is Finish.LENGTH
        and window is not None
        and not usage.estimated
        and not usage.output_tokens
        and usage.context_tokens >= _FULL * window
    )
    if finish is not Finish.WINDOW and not full:
        return None
    overflow = Overflow(usage.context_tokens, None, window)
    text = overflow.message(context_window=window, estimated_tokens=context.estimated_input_tokens)
    return UpstreamRejected(text, status=400, error_type="invalid_request_error")


def matched_sequence(choice: Mapping[str, object], context: AnswerContext) -> str | None:
    """The stop sequence the upstream says it met (vLLM: stop_reason, SGLang: matched_stop)."""
    for key in ("stop_reason", "matched_stop"):
        word = choice.get(key)
        if isinstance(word, str) and word in context.native_stops:
            return word
    return None


def stop_of(
    finish: Finish | None,
    *,
    called: bool,
    refusal: str,
    sequence: str | None,
    usage: Usage,
    context: AnswerContext,
    ledger: Ledger,
) -> Stop:
    """Why the message ended.

    `called`: it contains a tool call. `refusal`: text of the upstream's refusal
    field. `sequence`: the stop sequence that was met, by the upstream or by us.
    """
    if refusal or finish is Finish.FILTERED:
        return Stop.refusal(refusal or None)
    if finish is Finish.LENGTH:
        return Stop(
            "max_tokens" if called or not _window_full(usage, context) else "model_context_window_exceeded"
        )
    if finish is Finish.WINDOW:
        return Stop("model_context_window_exceeded")
    if finish is None or finish is Finish.UNKNOWN:
        ledger.repair(repairs.REASON_UNKNOWN)
    if called:
        if finish is Finish.STOP:
            ledger.repair(repairs.REASON_CALLS)
        return Stop("tool_use")
    if finish is Finish.CALLS:
        ledger.repair(repairs.REASON_NO_CALLS)
    if sequence is not None:
        return Stop("stop_sequence", sequence)
    return Stop("end_turn")


def _window_full(usage: Usage, context: AnswerContext) -> bool:
    window = context.profile.context_window
    return window is not None and usage.context_tokens >= window and usage.output_tokens < context.max_tokens
