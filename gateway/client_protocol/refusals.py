"""How a signed-in client reacts to a refusal, and what each refusal of ours is told as.

Measured with 2.1.332. A 400 is repeated six times, with one beta less each time, unless its type is
`policy_blocked`; a 403 is shown with words about signing in around it; a 404 loses its words; a 5xx is
repeated for minutes unless x-should-retry says no. So a refusal that no repetition mends is told in a form
that is shown as it is, once.
"""

from __future__ import annotations

from typing import Final

from gateway.client_protocol.usage_headers import without_upstreams
from gateway.errors import (
    AuthenticationFailed,
    CredentialUnreadable,
    DatabaseAway,
    GatewayError,
    NotAllowed,
    NotReady,
    NoUsableProvider,
    RequestTooLarge,
    Saturated,
    Stopped,
    TooManyRequests,
    UpstreamError,
)
from gateway.values import frozen

POLICY_BLOCKED: Final = "policy_blocked"


@frozen
class Telling:
    """`retry` None: as the error says itself."""

    status: int
    error_type: str
    retry: bool | None = None


# the first class that an error belongs to decides; errors of no row stay as they are
TABLE: Final[tuple[tuple[type[GatewayError], Telling], ...]] = (
    # the model is not for this person, or has no price and the budget needs one
    (NotAllowed, Telling(400, POLICY_BLOCKED, retry=False)),
    # the sign-in or the account has ended; told to sign in again, at once
    (AuthenticationFailed, Telling(401, "authentication_error", retry=False)),
    # rates; of a budget that is used up limits/limiter.py says more
    (TooManyRequests, Telling(429, "rate_limit_error")),
    (RequestTooLarge, Telling(413, "request_too_large")),
    # an admin has to do something
    (NoUsableProvider, Telling(503, "api_error", retry=False)),
    (CredentialUnreadable, Telling(503, "api_error", retry=False)),
    (Stopped, Telling(503, "api_error", retry=False)),
    # these pass
    (NotReady, Telling(503, "api_error")),
    (DatabaseAway, Telling(503, "api_error")),
    (Saturated, Telling(529, "overloaded_error")),
)


def as_told(error: GatewayError) -> GatewayError:
    """The error with the status and type with which a signed-in client shows it; changes the error itself."""
    if isinstance(error, UpstreamError):
        error.extra_headers = without_upstreams(error.extra_headers)
    telling = next((telling for kind, telling in TABLE if isinstance(error, kind)), None)
    if telling is None or error.verbatim is not None:
        return error
    error.status = telling.status
    if not isinstance(error, TooManyRequests):
        error.error_type = telling.error_type
    if telling.retry is not None:
        error.should_retry = telling.retry
    return error
