"""The `traceparent` header of W3C Trace Context, version 00: by it tracing systems join a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRACEPARENT: Final = "traceparent"
_LENGTHS: Final = (2, 32, 16, 2)
_DIGITS: Final = frozenset("0123456789abcdef")


def traceparent(headers: Mapping[str, str]) -> str:
    """The header's value; "" without one, and for one that is not `00-TRACE-PARENT-FLAGS` in lower hex."""
    value = headers.get(TRACEPARENT, "")
    parts = value.split("-", len(_LENGTHS))
    fits = tuple(map(len, parts)) == _LENGTHS and parts[0] == "00" and _DIGITS.issuperset("".join(parts))
    return value if fits and parts[1].strip("0") and parts[2].strip("0") else ""
