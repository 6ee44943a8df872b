"""Tool names: shortened for upstreams, restored for clients.

The short form is a pure function of the name, so tools, tool_choice and history
agree without memory.

See docs/conversion.md, "Tool names".
"""

from __future__ import annotations

import hashlib
from typing import Final

from gateway import patterns

MAX_NAME: Final = 64
LETTER_FIRST: Final = "letter_first"
_LEGAL: Final = patterns.compiled(r"\A[A-Za-z0-9_-]{1,64}\Z")
_LETTER: Final = patterns.compiled(r"\A[A-Za-z_]")
_ILLEGAL: Final = patterns.compiled(r"[^A-Za-z0-9_-]")


def upstream_name(name: str, form: str) -> str:
    """The name sent upstream: unchanged when legal, else cut to 55 + `_` + 8 hex of its SHA-256.

    `form`: option `tool_name_format`. With LETTER_FIRST a name begins with a letter or `_`.
    """
    starts = form != LETTER_FIRST or _LETTER.match(name) is not None
    if starts and _LEGAL.match(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    written = _ILLEGAL.sub("_", name)
    return f"{written if starts else f'_{written}'}"[:55] + f"_{digest}"


def may_be_renamed(name: str) -> bool:
    """Whether some form has another name for `name`."""
    return upstream_name(name, LETTER_FIRST) != name
