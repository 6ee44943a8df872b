"""An upstream's error as Anthropic would have said it.

See docs/conversion.md, "Errors of providers" and "Errors inside a stream".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.conversion.context import AnswerContext
from gateway.conversion.errors.error_body import ErrorBody, parsed_body, read, scanned, without_echoes
from gateway.conversion.errors.error_kinds import (
    BAD_CREDENTIAL,
    CONTENT_FILTER,
    NO_MODEL,
    NO_MONEY,
    OVERLOADED,
)
from gateway.conversion.errors.overflow import (
    Overflow,
    compiled_wordings,
    overflow_in,
    too_large_for_a_minute,
    wordings,
)
from gateway.conversion.errors.retry_after import retry_after
from gateway.conversion.errors.statuses import STATUS_OF_WORD, STATUSES
from gateway.errors import UpstreamError, UpstreamRefused, UpstreamRejected
from gateway.masking.redaction import masked

MAX_MESSAGE: Final = 2000

CREDENTIAL_REFUSED: Final = "the upstream provider rejected the gateway's credentials"
# Bedrock says 424 where a model failed
_OF_OUTPUT: Final = frozenset({400, 422, 424})
_COMPACTS: Final = "prompt is too long"
# 402: a prompt larger than what the account may pay for; 429: a limit of a minute. Shortening mends neither.
_NO_OVERFLOWS: Final = frozenset({402, 429})
# the statuses with which content filters refuse a prompt
_OF_FILTERS: Final = frozenset({400, 403, 422, 451})
_OF_MONEY: Final = frozenset({403, 429})
# with a 400, which may repeat what a client wrote, only a code or one of these
_NO_MONEY_SAID: Final = patterns.compiled(
    "credit balance is too low|account is in good standing|余额不足|欠费", patterns.IGNORECASE
)
# The model wrote something that the provider could not read: the next answer is likely to be readable.
_UNREADABLE: Final = frozenset(
    {
        "tool_use_failed",
        "output_parse_failed",
        "json_validate_failed",
        "malformed_function_call",
        "malformed_tool_call",
        "tool_call_parse_error",
    }
)
_UNREADABLE_WORDS: Final = patterns.compiled(
    r"failed to call a function"
    r"|(?:failed to|could not|cannot|error) pars(?:e|ing) (?:the )?(?:tool|function)[- ]calls?"
    r"|tool call validation failed|malformed (?:tool|function)[- ]call|failed to generate json"
    r"|model(?:'s)? (?:generated |produced )?(?:an? )?(?:output (?:that )?could not be parsed"
    r"|(?:invalid|malformed|unparsable) (?:tool|function|sequence)|output is not valid)",
    patterns.IGNORECASE,
)
# the words name a place in the request: what cannot be read is the client's
_IN_THE_REQUEST: Final = patterns.compiled(
    r"\b(?:messages|input|contents|tools)(?:\[\d{1,6}\]|\.\d{1,6}\b)", patterns.IGNORECASE
)
_NO_TOOLS: Final = compiled_wordings(wordings()["no_tools"])
_NO_TOOLS_STATUSES: Final = frozenset({400, 404, 422, 500, 501})
_UNKNOWN_MODEL: Final = (
    patterns.in_order(
        r"\bmodels?\b",
        "not found|not exist|no such|unknown|not available|invalid|not supported",
        flags=patterns.IGNORECASE,
    ),
    patterns.in_order(
        "not found|no such|unknown|invalid|unsupported", r"\bmodels?\b", flags=patterns.IGNORECASE
    ),
)

# of an error inside a 200, in lower case and without underscores
_SENTENCES: Final = ("message", "msg", "errormsg", "errmsg", "errormessage", "statusmsg", "errordescription")
_CODES: Final = ("code", "errorcode", "errcode", "errno", "status", "statuscode", "retcode")
# these may also say how far an answer is
_STATES: Final = frozenset({"code", "status", "statuscode"})
_SUCCESS: Final = frozenset({"", "0", "ok", "success", "succeeded", "true"})
_FAILURE_WORDS: Final = patterns.compiled(
    r"err|fail|exception|denied|invalid|unauth|forbidden|reject|refus|exceed|exhaust|insufficient|unavailable"
    r"|overload|throttl|time[ _-]?d?[ _-]?out|abort|cancel|not[ _-]?(?:found|open|exist)|bad[ _-]?request"
    r"|too[ _-]?many|crash",
    patterns.IGNORECASE,
)

# What the client is told of limits and overload: the pause may stand anywhere in the answer.
_LIMITS: Final = frozenset({429, 529})
# Beside them and the errors of servers; there only a header names a pause.
_MAY_PASS: Final = frozenset({408, 409})
_PAUSE_HEADERS: Final[tuple[str, ...]] = ("retry-after", "retry-after-ms", "date")


class ErrorContext(NamedTuple):
    """What is known of the request: the client's model name, the window, the estimate, whose credential, and
    the output tokens that were asked for (0: unknown). `whole`: the provider's answer came to its end."""

    model: str
    context_window: int | None
    estimated_tokens: int
    gateway_credential: bool
    max_tokens: int = 0
    whole: bool = True

    @property
    def nearly_full(self) -> bool:
        """By our estimate the request fills most of the window."""
        return self.context_window is not None and self.estimated_tokens >= 0.75 * self.context_window


def upstream_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    model: str,
    context_window: int | None,
    estimated_tokens: int,
    max_tokens: int = 0,
    ratelimit_prefix: str = "x-ratelimit-",
    gateway_credential: bool = True,
    whole: bool = True,
    now: float | None = None,
) -> UpstreamError:
    """The error to raise for an upstream answer with an error status.

    `whole`: `body` is all of it. `model` is the client's word for it, `max_tokens` what was sent (0:
    unknown), `now` the time in seconds since 1970 (for a retry-after given as a date). Gives UpstreamRefused
    when the provider's content filter refused the prompt, else UpstreamRejected.
    """
    parsed = parsed_body(body)
    known = {name.lower(): value for name, value in headers.items()}
    told = read(parsed, "" if parsed is not None else body.decode("utf-8", "replace"))
    asked = ErrorContext(model, context_window, estimated_tokens, gateway_credential, max_tokens, whole)
    error = _judged(status, told, asked)
    error.upstream_status = status
    if error.status in _LIMITS:
        error.retry_after = retry_after(
            known, parsed, _spoken(told), ratelimit_prefix=ratelimit_prefix, now=now, limited=status == 429
        )
    elif status in _MAY_PASS or min(status, error.status) >= 500:
        asked_for = {name: known[name] for name in _PAUSE_HEADERS if name in known}
        error.retry_after = retry_after(asked_for, None, (), ratelimit_prefix=ratelimit_prefix, now=now)
    wish = known.get("x-should-retry", "").strip().lower()
    if error.should_retry is None and wish in ("true", "false"):
        error.should_retry = wish == "true"
    return error


def error_inside(payload: Mapping[str, object], context: AnswerContext) -> UpstreamError | None:
    """The error that a 200 holds instead of an answer or chunk; None when it holds none."""
    base = payload.get("base_resp")
    failed = isinstance(base, dict) and base.get("status_code") not in (None, 0, "0")
    if not (
        _says_something(payload.get("error"))
        or failed
        or payload.get("object") == "error"
        or payload.get("type") == "error"
        or _says_something(payload.get("detail"))
        or _says_something(payload.get("errors"))
        or _failure_told(payload)
    ):
        return None
    return _inside(payload, "", context)


def _says_something(error: object) -> bool:
    """Whether an error is one: some servers write an error beside each answer whose fields are all empty."""
    if isinstance(error, dict):
        return any(map(_says_something, error.values()))
    if isinstance(error, list):
        return any(map(_says_something, error))
    return bool(error)


def _failure_told(payload: Mapping[str, object]) -> bool:
    """Whether an object without choices and usage has a sentence and a code that tells a failure."""
    if payload.get("choices") or payload.get("usage"):
        return False
    fields = {key.lower().replace("_", ""): value for key, value in payload.items()}
    if isinstance(status := fields.get("status"), dict):
        return _failure_told(status)
    if not any(isinstance(fields.get(name), str) and fields[name] for name in _SENTENCES):
        return False
    return fields.get("success") is False or any(_tells_failure(name, fields.get(name)) for name in _CODES)


def _tells_failure(name: str, code: object) -> bool:
    """Whether a code is one of a failure; a state such as `pending` or 102 is none."""
    if not isinstance(code, int | str) or (word := str(code).lower()) in _SUCCESS:
        return False
    number = int(word) if word.lstrip("-").isdecimal() and len(word) < 12 else None
    if name not in _STATES or (number is not None and (number < 0 or number >= 400)):
        return True
    if number is not None:
        return False
    return word in STATUS_OF_WORD or _FAILURE_WORDS.search(word) is not None or _known_code(word)


def _known_code(word: str) -> bool:
    told = ErrorBody("", {word}, [], None)
    return any(kind.has_code(told) for kind in (CONTENT_FILTER, NO_MONEY, OVERLOADED))


def error_of_choice(choice: Mapping[str, object], context: AnswerContext) -> UpstreamError | None:
    """The error that a choice, its delta or its message holds; None when there is none."""
    for place in (choice, choice.get("delta"), choice.get("message")):
        if type(place) is dict and ("error" in place or "errors" in place):
            told = (place.get("error"), place.get("errors"))
            error = next(filter(_says_something, told), None)
            if error is not None:
                return _inside({"error": error}, "", context)
    return None


def named_error(payload: object, raw: bytes, context: AnswerContext) -> UpstreamError:
    """The error of a server-sent event which is named `error`, whatever its data."""
    return _inside(payload, raw.decode("utf-8", "replace"), context)


def _inside(payload: Any, raw: str, context: AnswerContext) -> UpstreamError:
    told = read(payload, raw)
    asked = ErrorContext(
        context.model,
        context.profile.context_window,
        context.estimated_input_tokens,
        True,
        context.max_tokens,
    )
    error = _judged(_status_told(told) or 502, told, asked, anywhere=True)
    if error.status in _LIMITS:
        error.retry_after = retry_after({}, told.body, _spoken(told), ratelimit_prefix="", now=None)
    return error


def _spoken(told: ErrorBody) -> list[str]:
    """What may name a delay: the message first, and nobody's echoed words."""
    return [*scanned(told.message), *told.texts]


def _without_money(status: int, told: ErrorBody) -> bool:
    if status == 400:
        return NO_MONEY.has_code(told) or any(_NO_MONEY_SAID.search(text) for text in told.texts)
    return status in _OF_MONEY and NO_MONEY.is_told(told)


def _judged(status: int, told: ErrorBody, asked: ErrorContext, *, anywhere: bool = False) -> UpstreamError:
    """The table of docs/conversion.md, "Errors of providers".

    `anywhere`: the status says nothing, so an overflow may hide under any.
    """
    message = masked(told.message)[:MAX_MESSAGE] or f"upstream error (HTTP {status})"
    if _may_overflow(status) or status == 429 or anywhere:
        # a 429 is an overflow only when the request alone is larger than a minute's allowance
        overflow = too_large_for_a_minute(
            told.texts, max_tokens=asked.max_tokens, estimated_tokens=asked.estimated_tokens
        )
        # a code for something else is surer than words, which may be a user's
        elsewhere = CONTENT_FILTER.has_code(told) or told.words & _UNREADABLE
        if overflow is None and status != 429 and not elsewhere:
            # a 413 with this type is known to clients as it is
            words = told.words if status == 400 else told.words - {"request_too_large"}
            overflow = overflow_in(words, told.texts, told.body)
        silent = asked.whole and _says_nothing(told)
        if overflow is None and status == 400 and silent and asked.nearly_full:
            # Cerebras and Mistral refuse what is too long without a word
            overflow = Overflow()
        if overflow is not None:
            text = overflow.message(
                context_window=asked.context_window, estimated_tokens=asked.estimated_tokens
            )
            return UpstreamRejected(text, status=400, error_type="invalid_request_error")
    if _COMPACTS in message.lower():
        message = without_echoes(message)  # a client compacts on these words, the user's own among them
    if (status in _OF_FILTERS or anywhere) and CONTENT_FILTER.is_told(told):
        return UpstreamRefused(message)
    refused = status == 401 or (status == 400 and BAD_CREDENTIAL.is_the_sentence(told))
    if refused and asked.gateway_credential:
        return UpstreamRejected(CREDENTIAL_REFUSED, status=502, error_type="api_error", should_retry=False)
    if status == 402 or _without_money(status, told):
        return UpstreamRejected(message, status=402, error_type="billing_error", should_retry=False)
    if status in _OF_OUTPUT and _model_unreadable(told):
        return UpstreamRejected(message, status=502, error_type="api_error")
    if status in _NO_TOOLS_STATUSES and any(
        pattern.search(text) for text in told.texts for pattern in _NO_TOOLS
    ):
        message = f"{_without_tools(asked.model)} The provider says: {message}"[:MAX_MESSAGE]
        return UpstreamRejected(message, status=400, error_type="invalid_request_error")
    if status != 429 and OVERLOADED.has_code(told):
        return UpstreamRejected(message, status=529, error_type="overloaded_error")
    if status == 400 and NO_MODEL.is_the_sentence(told):
        return UpstreamRejected(f"model: {asked.model}", status=404, error_type="not_found_error")
    if status == 404 and ("model_not_found" in told.words or _names_model(told.message, asked.model)):
        message = f"model: {asked.model}"
    if 300 <= status < 400:
        message = "unexpected redirect from the upstream provider"
    otherwise = (400, "invalid_request_error") if 400 <= status < 500 else (502, "api_error")
    answer, kind = STATUSES.get(status, otherwise)
    return UpstreamRejected(message, status=answer, error_type=kind)


def _may_overflow(status: int) -> bool:
    """Whether a status can hide an overflow: Kimi Code tells one with 401."""
    return status == 500 or (400 <= status < 500 and status not in _NO_OVERFLOWS)


def _without_tools(model: str) -> str:
    return (
        f"The model behind {model} cannot use tools, and this request brings some. Have the name lead to a "
        "model that can, or start the provider's server with tools enabled."
    )


def _model_unreadable(told: ErrorBody) -> bool:
    if told.words & _UNREADABLE:
        return True
    return _UNREADABLE_WORDS.search(told.message) is not None and not _IN_THE_REQUEST.search(told.message)


def _says_nothing(told: ErrorBody) -> bool:
    return not told.message and not any(text.strip() for text in told.texts)


def _names_model(message: str, model: str) -> bool:
    return (bool(model) and model in message) or any(pattern.search(message) for pattern in _UNKNOWN_MODEL)


def _status_told(told: ErrorBody) -> int | None:
    """The HTTP status that an error inside a 200 names, by number or by word."""
    body = told.body if isinstance(told.body, dict) else {}
    error = body.get("error")
    base = body.get("base_resp")
    for place in (error, body, base, body.get("status")):
        if isinstance(place, dict):
            for key in ("code", "status", "http_code", "status_code", "statusCode", "error_code"):
                number = place.get(key)
                if isinstance(number, str) and number.isdecimal() and len(number) == 3:
                    number = int(number)
                if isinstance(number, int) and 400 <= number < 600:
                    return number
    return next((status for word, status in STATUS_OF_WORD.items() if word in told.words), None)
