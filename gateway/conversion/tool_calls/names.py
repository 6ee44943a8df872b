"""Tool names: shortened for upstreams, restored for clients (specification section 4.2, renaming).

The short form is a pure function of the name, so tools, tool_choice and history
agree without memory.
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway import patterns

MAX_NAME: Final = 64
_LEGAL: Final = patterns.compiled(r"\A[A-Za-z0-9_-]{1,64}\Z")
_ILLEGAL: Final = patterns.compiled(r"[^A-Za-z0-9_-]")


def upstream_name(name: str) -> str:
    """The name sent upstream: unchanged when legal, else cut to 55 + `_` + 8 hex of its SHA-256."""
    if _LEGAL.match(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{_ILLEGAL.sub('_', name)[:55]}_{digest}"
