"""Scalar fields of a request: sampling, stop sequences, user, session and service tier.

See docs/conversion.md, "Fields of the request", "Stop sequences" and "Identity and tier".
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from gateway import patterns
from gateway.conversion.context import ClientFacts
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes
from gateway.wire.messages_request import MessagesRequest

LEAST_POSITIVE: Final = 0.01


class StopPlan(NamedTuple):
    """`native` sequences are watched for by the upstream, `local` ones by the gateway."""

    native: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


def sampling_fields(
    request: MessagesRequest, profile: Profile, notes: Notes, *, thinking_off: bool
) -> dict[str, object]:
    """The sampling fields that the provider takes; `thinking_off`: the request runs without thinking."""
    fields: dict[str, object] = {}
    for name, value in (("temperature", request.get("temperature")), ("top_p", request.get("top_p"))):
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


def stop_plan(request: MessagesRequest, profile: Profile, notes: Notes) -> StopPlan:
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


# Claude Code's user id is JSON with a device id in it: only a digest of that leaves the gateway.
_HARMLESS: Final = patterns.compiled(r"\A[A-Za-z0-9_.:@-]{1,64}\Z")
_HEADER: Final = "header:"
AGENT_HEADER: Final = "x-claude-code-agent-id"
_TIERS: Final = {"standard_only": "default"}


class Identity(NamedTuple):
    """Fields of the chat request and headers beside it."""

    body: dict[str, object]
    headers: dict[str, str]


def identity(request: MessagesRequest, profile: Profile, client: ClientFacts, notes: Notes) -> Identity:
    """User, session and service tier as far as the provider takes them."""
    body: dict[str, object] = {}
    headers: dict[str, str] = {}
    user_id = (request.get("metadata") or {}).get("user_id")
    if user_id and profile.user_field == "drop":
        notes.add("dropped", "metadata.user_id", "the provider has no such field")
    elif user_id:
        body[profile.user_field] = user_id if _HARMLESS.match(user_id) else _sha256(user_id)
    session = client.session or user_id
    if profile.session_key and session:
        # a provider sends more than a few requests a minute with one key to several machines, each of which
        # has a cache of its own
        agent = client.headers.get(AGENT_HEADER)
        digest = _sha256(f"{client.key_id}:{session}:{agent}" if agent else f"{client.key_id}:{session}")[:32]
        if profile.session_key.startswith(_HEADER):
            headers[profile.session_key.removeprefix(_HEADER)] = digest
        else:
            body[profile.session_key] = digest
    tier = _service_tier(request, profile, notes)
    if tier is not None:
        body["service_tier"] = tier
    return Identity(body, headers)


def _service_tier(request: MessagesRequest, profile: Profile, notes: Notes) -> str | None:
    wanted, speed = request.get("service_tier"), request.get("speed")
    if profile.service_tier != "pass":
        for name, value in (("service_tier", wanted), ("speed", speed)):
            if value is not None and value not in ("auto", "standard"):
                notes.add("dropped", name, "not passed on to this provider")
        return None
    if speed == "fast":
        return "fast"
    return _TIERS.get(wanted, wanted) if isinstance(wanted, str) else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
