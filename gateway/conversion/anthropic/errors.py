"""Errors of a provider that speaks the Messages API: as they came, if clients can act on them.

See docs/conversion.md, "Passthrough".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.conversion.errors.upstream import upstream_error
from gateway.errors import UpstreamError, UpstreamRejected
from gateway.masking.redaction import masked
from gateway.wire import jsontext

# bytes; searching a longer body for secrets would hold up other exchanges, and no real error is so long
LONGEST: Final = 32 * 1024
# the headers of a provider that go back to the client, beside the content type
RETURNED_HEADERS: Final = ("anthropic-ratelimit-", "anthropic-organization-id", "retry-after-ms")
# statuses about the gateway's own credential, which is not the client's business
_ABOUT_CREDENTIAL: Final = frozenset({401, 403})
# the wordings that tell clients to shorten the conversation
_KNOWN_OVERFLOWS: Final = ("prompt is too long", "exceed context limit")


def passed_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    model: str,
    context_window: int | None,
    estimated_tokens: int,
    max_tokens: int = 0,
    ratelimit_prefix: str = "x-ratelimit-",
    whole: bool = True,
    now: float | None = None,
) -> UpstreamError:
    """The error to raise for an answer with an error status; arguments as of `upstream_error`.

    An error in Anthropic's form keeps status and body, byte for byte; one that repeats a secret keeps type
    and message without it. Converted are errors about the gateway's credential, those in another form, and
    an overflow in words that no client knows.
    """
    converted = upstream_error(
        status,
        headers,
        body,
        model=model,
        context_window=context_window,
        estimated_tokens=estimated_tokens,
        max_tokens=max_tokens,
        ratelimit_prefix=ratelimit_prefix,
        whole=whole,
        now=now,
    )
    error = _in_anthropics_form(body)
    if error is None or _about_gateway(status, converted) or _unknown_overflow(converted, error):
        return converted
    text = body[: LONGEST + 1].decode("utf-8", "replace")
    passed = UpstreamRejected(
        masked(error["message"][:LONGEST]),
        status=status,
        error_type=error["type"],
        retry_after=converted.retry_after,
        should_retry=_told_to_retry(headers),
        headers=returned_headers(headers),
        verbatim=body if len(body) <= LONGEST and masked(text) == text else None,
    )
    passed.upstream_status = status
    return passed


def returned_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's headers that go back to the client."""
    known = ((name.lower(), value) for name, value in headers.items())
    return {name: value for name, value in known if name.startswith(RETURNED_HEADERS)}


def _in_anthropics_form(body: bytes) -> dict[str, str] | None:
    """Type and message of an error body of the Messages API; None for any other body."""
    try:
        parsed: Any = jsontext.loads(body)
    except jsontext.InvalidJSON:
        return None
    error = parsed.get("error") if isinstance(parsed, dict) and parsed.get("type") == "error" else None
    if not isinstance(error, dict):
        return None
    told = {name: error.get(name) for name in ("type", "message")}
    return told if all(isinstance(value, str) for value in told.values()) else None  # type: ignore[return-value]


def _about_gateway(status: int, converted: UpstreamError) -> bool:
    """Whether the error is about the gateway's credential, or about its account.

    Anthropic tells with 400 that an account is empty.
    """
    return status in _ABOUT_CREDENTIAL or (status == 400 and converted.error_type == "billing_error")


def _unknown_overflow(converted: UpstreamError, error: dict[str, str]) -> bool:
    """Whether our reading found an overflow that the provider's own words do not show."""
    found = any(wording in converted.message for wording in _KNOWN_OVERFLOWS)
    return found and not any(wording in error["message"] for wording in _KNOWN_OVERFLOWS)


def _told_to_retry(headers: Mapping[str, str]) -> bool | None:
    said = next((value for name, value in headers.items() if name.lower() == "x-should-retry"), "")
    return {"true": True, "false": False}.get(said.strip().lower())
