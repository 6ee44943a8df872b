"""max_tokens within the limits of the upstream model (specification sections 2.1, 7.2)."""

from __future__ import annotations

from typing import Final

from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes
from gateway.errors import InvalidRequest

# left free because the estimate of the input is one
WINDOW_RESERVE: Final = 512
LEAST_FITTED: Final = 256


def output_cap(max_tokens: int, estimated_input: int, profile: Profile, notes: Notes) -> int:
    """The output cap to send upstream.

    Raises InvalidRequest with `window_check: enforce` when the input alone is too long.
    """
    window = profile.context_window
    if profile.window_check == "enforce" and window is not None and estimated_input > window:
        raise InvalidRequest(f"prompt is too long: {estimated_input} tokens > {window} maximum")
    cap = max(max_tokens, profile.min_output_tokens or 0)
    cap = min(cap, profile.max_output_tokens or cap)
    if profile.window_check != "upstream" and window is not None:
        cap = min(cap, max(LEAST_FITTED, window - estimated_input - WINDOW_RESERVE))
    if cap != max_tokens:
        notes.add("clamped", "max_tokens", f"{max_tokens} became {cap}")
    return cap
