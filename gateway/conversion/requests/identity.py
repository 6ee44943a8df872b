"""Who asks, which session it is, and which service tier (specification section 2.8)."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from gateway import patterns
from gateway.conversion.context import ClientFacts
from gateway.conversion.profile import Profile
from gateway.conversion.request_context import Notes
from gateway.wire.messages import JSONObject

# Claude Code's user id is JSON with a device id in it: only a digest of such leaves the gateway.
_HARMLESS: Final = patterns.compiled(r"\A[A-Za-z0-9_.:@-]{1,64}\Z")
_HEADER: Final = "header:"
_TIERS: Final = {"standard_only": "default"}


class Identity(NamedTuple):
    """Fields of the chat request and headers beside it."""

    body: dict[str, Any]
    headers: dict[str, str]


def identity(request: JSONObject, profile: Profile, client: ClientFacts, notes: Notes) -> Identity:
    """User, session and service tier as far as the provider takes them."""
    body: dict[str, Any] = {}
    headers: dict[str, str] = {}
    user_id = (request.get("metadata") or {}).get("user_id")
    if user_id and profile.user_field == "drop":
        notes.add("dropped", "metadata.user_id", "the provider has no such field")
    elif user_id:
        body[profile.user_field] = user_id if _HARMLESS.match(user_id) else _sha256(user_id)
    session = client.session or user_id
    if profile.session_key and session:
        digest = _sha256(f"{client.key_id}:{session}")[:32]
        if profile.session_key.startswith(_HEADER):
            headers[profile.session_key.removeprefix(_HEADER)] = digest
        else:
            body[profile.session_key] = digest
    tier = _service_tier(request, profile, notes)
    if tier is not None:
        body["service_tier"] = tier
    return Identity(body, headers)


def _service_tier(request: JSONObject, profile: Profile, notes: Notes) -> str | None:
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
