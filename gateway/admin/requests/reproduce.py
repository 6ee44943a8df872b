"""A stored request as a curl command, and as a case for `manage.py convert` (pure); never with its key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from gateway.admin.ui.sanitize import json_escaped
from gateway.conversion.profile import DEFAULTS, Profile
from gateway.wire import jsontext

# headers that affect the answer; the others are the client's own
_HEADERS: Final = ("anthropic-version", "anthropic-beta")
_HARMLESS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:/ ")


def command(address: str, headers: Mapping[str, Any], body: bytes) -> str:
    """A shell command that sends `body` to `address` of the gateway again.

    `headers`: as stored; only those that the API defines are sent.
    """
    given = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    lines = [
        f"curl -sS -N '{address}'",
        "  -H 'content-type: application/json'",
        '  -H "x-api-key: $CCPROXY_KEY"',
    ]
    for name in _HEADERS:
        value = given.get(name, "2023-06-01" if name == "anthropic-version" else "")
        if value and _HARMLESS.issuperset(value):
            lines.append(f"  -H '{name}: {value}'")
    # a delimiter that no line of the body can equal, so the shell runs nothing of it
    end = f"END_{sha256(body).hexdigest()[:16]}"
    text = json_escaped(body.decode("utf-8", "replace"))
    return " \\\n".join([*lines, f"  --data-binary @- <<'{end}'"]) + f"\n{text}\n{end}\n"


def case(
    name: str, profile: Profile | None, headers: Mapping[str, Any], received: bytes, answered: bytes | None
) -> dict[str, Any]:
    """The case of one exchange. `answered`: the provider's raw answer, when there was a good one.

    `profile` is None if the request would lead nowhere today; the defaults are used then.
    Raises ValueError if the request is not JSON.
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
