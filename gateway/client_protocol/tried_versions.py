"""Which releases of the client were tried with this gateway, and how that ended (`make compat`)."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from gateway.wire import jsontext

# `make compat` writes it
RESULTS: Final = "tried_versions.json"


class Trial(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NEVER = "never"


@lru_cache(maxsize=1)
def results() -> dict[str, Any]:
    """By version: the day, and the result of each scenario."""
    path = resources.files("gateway.client_protocol") / RESULTS
    found: dict[str, Any] = jsontext.loads(path.read_bytes())
    return found


def trial_of(version: str) -> Trial:
    """How a version did, such as 2.1.332 or claude-cli/2.1.332; NEVER for one that nobody tried."""
    tried = results().get(version.rpartition("/")[2])
    if tried is None:
        return Trial.NEVER
    failed = any(one["result"] == "failed" for one in tried["scenarios"].values())
    return Trial.FAILED if failed else Trial.PASSED
