"""temperature, top_p, top_k and stop sequences (specification sections 2.1, 2.5)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes
from gateway.wire.messages import JSONObject

LEAST_POSITIVE: Final = 0.01


class StopPlan(NamedTuple):
    """`native` sequences are watched for by the upstream, `local` ones by the gateway."""

    native: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


def sampling_fields(
    request: JSONObject, profile: Profile, notes: Notes, *, thinking_off: bool
) -> dict[str, Any]:
    """The sampling fields that the provider takes; `thinking_off`: the request runs without thinking."""
    fields: dict[str, Any] = {}
    for name in ("temperature", "top_p"):
        value = request.get(name)
        if value is None:
            continue
        if profile.sampling == "drop" or (profile.sampling == "drop_thinking" and not thinking_off):
            notes.add("dropped", name, "the model takes no sampling settings")
        elif profile.sampling == "positive" and value < LEAST_POSITIVE:
            fields[name] = LEAST_POSITIVE
            notes.add("clamped", name, f"raised to {LEAST_POSITIVE}")
        else:
            fields[name] = value
    top_k = request.get("top_k")
    if top_k is not None:
        if profile.top_k == "pass":
            fields["top_k"] = top_k
        else:
            notes.add("dropped", "top_k", "the provider has no such field")
    return fields


def stop_plan(request: JSONObject, profile: Profile, notes: Notes) -> StopPlan:
    """Who watches for the request's stop sequences."""
    sequences = tuple(dict.fromkeys(request.get("stop_sequences") or ()))
    if not sequences:
        return StopPlan()
    if profile.stop == "drop":
        notes.add("dropped", "stop_sequences", "the provider takes none")
        return StopPlan()
    if profile.stop == "local" or len(sequences) > profile.stop_max:
        return StopPlan(local=sequences)
    return StopPlan(native=sequences)
