"""Change: what a process has learnt about a target or credential, on its way to the records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Something was set aside or came back, for the records that an admin sees.

    `credential_id` None: the target itself. `since` None: it is back. `refused`: it concerns the
    credential everywhere, not only at this target.
    """

    provider: str
    upstream_model: str
    credential_id: int | None = None
    credential: str = ""
    since: float | None = None
    until: float | None = None
    status: int | None = None
    reason: str = ""
    failures: int = 0
    refused: bool = False
