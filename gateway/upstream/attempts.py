"""After a failed attempt: again, or give up (pure; specification 7.2, last line).

Only failures before the first byte to the client come here.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import (
    UpstreamError,
    UpstreamRefused,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)

RETRYABLE_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
# A provider that names a longer pause is not waited for: the client has its own patience.
LONGEST_RETRY_AFTER: Final = 10


def pause_before_retry(error: UpstreamError, attempt: int, max_retries: int, jitter: float) -> float | None:
    """Seconds to wait before the next attempt; None = give up.

    `attempt` counts from 1; `jitter` is a number in 0..1, given from outside.
    """
    if attempt > max_retries or not is_retryable(error):
        return None
    if error.retry_after is not None:
        return float(error.retry_after) if error.retry_after <= LONGEST_RETRY_AFTER else None
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1))
    return longest * (0.5 + jitter / 2)


def is_retryable(error: UpstreamError) -> bool:
    """Whether the same request may succeed when tried again."""
    if isinstance(error, UpstreamRefused) or error.should_retry is False:
        return False
    if isinstance(error, UpstreamUnreachable):
        return True
    if isinstance(error, UpstreamTimedOut) and error.upstream_status is None:
        # A provider that was silent for the whole time limit would be silent again, at double cost.
        return False
    # an error inside a 200 has no status of its own, only what it was taken for
    status = error.upstream_status or error.status
    return isinstance(error, UpstreamRejected) and status in RETRYABLE_STATUS and error.status != 400
