"""A stored exchange as a case for `manage.py convert`, in the form of tests/vectors (pure)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gateway.conversion.profile import DEFAULTS, Profile
from gateway.wire import jsontext


def case(
    name: str, profile: Profile | None, headers: Mapping[str, Any], received: bytes, answered: bytes | None
) -> dict[str, Any]:
    """The case of one exchange. `answered`: the provider's raw answer, when there was a good one.

    `profile` None: where the request would go today is not known; defaults are taken.
    Raises ValueError when the request is no JSON.
    """
    made: dict[str, Any] = {
        "name": name,
        "kind": "request",
        "options": {} if profile is None else options(profile),
        "request": jsontext.loads(received),
    }
    told = {key: value for key, value in headers.items() if key in ("anthropic-version", "anthropic-beta")}
    if told:
        made["headers"] = told
    if answered:
        made.update(_answer(answered))
    return made


def options(profile: Profile) -> dict[str, Any]:
    """The options of a profile that differ from the defaults."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(profile)
        if (value := getattr(profile, field.name)) != getattr(DEFAULTS, field.name)
    }


def _answer(answered: bytes) -> dict[str, Any]:
    try:
        return {"kind": "response", "upstream_json": jsontext.loads(answered)}
    except jsontext.InvalidJSON:
        lines = answered.decode("utf-8", "replace").splitlines()
        return {"kind": "stream", "upstream_sse": lines}
