"""A profile as the Responses protocol understands it (specification section 8.1)."""

from __future__ import annotations

import dataclasses
from typing import Final

from gateway.conversion.profile import Profile

LEAST_OUTPUT: Final = 16
# routes of a snapshot, and of the one before
_MOST: Final = 200
_fitted: Final[dict[int, tuple[Profile, Profile]]] = {}
_TAGS: Final = ("think_tags", "think_open")


def fitted(profile: Profile) -> Profile:
    """The profile with every option that the protocol decides set to what it decides.

    The facets then do the right thing without knowing of this protocol: reasoning
    has one form, and comes back in items instead of message fields; stop sequences
    do not exist; images may stand in tool results and documents be URLs.

    The same profile gives the same object: what was worked out for it is known by that.
    """
    known = _fitted.get(id(profile))
    # an id is a profile's only as long as it lives, which it does here
    if known is None:
        known = (profile, _made(profile))
        if len(_fitted) >= _MOST:
            _fitted.clear()
        _fitted[id(profile)] = known
    return known[1]


def _made(profile: Profile) -> Profile:
    return dataclasses.replace(
        profile,
        reasoning="none" if profile.reasoning == "none" else "effort",
        efforts=profile.effort_levels,
        reasoning_in=tuple(place for place in profile.reasoning_in if place in _TAGS),
        reasoning_replay="drop",
        message_extras=(),
        tool_call_extras={},
        min_output_tokens=max(LEAST_OUTPUT, profile.min_output_tokens or 0),
        top_k="drop",
        stop="drop" if profile.stop == "drop" else "local",
        url_documents="pass",
        cache_control="strip" if profile.cache_control == "keep" else profile.cache_control,
        user_field="safety_identifier" if profile.user_field == "user" else profile.user_field,
    )
