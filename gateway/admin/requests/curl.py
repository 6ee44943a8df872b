"""A stored request as a curl command (pure). The key is never in it: the shell's variable stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from gateway.admin.ui.sanitize import json_escaped

# what decides how a request is answered; the rest is the client's own
_HEADERS: Final = ("anthropic-version", "anthropic-beta")
_HARMLESS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:/ ")


def command(address: str, headers: Mapping[str, Any], body: bytes) -> str:
    """A command for a shell that sends `body` to `address` of the gateway again.

    `headers`: as stored; of them only those that the API defines are sent again.
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
    # a word that no line of the body can be, so nothing of it is read as a command
    end = f"END_{sha256(body).hexdigest()[:16]}"
    text = json_escaped(body.decode("utf-8", "replace"))
    return " \\\n".join([*lines, f"  --data-binary @- <<'{end}'"]) + f"\n{text}\n{end}\n"
