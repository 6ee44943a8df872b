"""How much of a budget is used, in the headers and answers that the client shows to its person.

Two headers of a refusal must never be sent: with representative-claim or overage-status the client replaces
the gateway's own sentence by one about the vendor's site. overage-disabled-reason makes it show ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

PATH: Final = "/api/oauth/usage"
_STEM: Final = "anthropic-ratelimit-unified-"
_UPSTREAMS: Final = "anthropic-ratelimit-"
THRESHOLDS: Final = (0.95, 0.75)
# what is shown while requests are let in
_MOST_SHOWN: Final = 0.99
REFUSED: Final = "billing_error"
ADVERBS: Final = {"day": "daily", "week": "weekly", "month": "monthly"}


def without_upstreams(headers: Mapping[str, str]) -> dict[str, str]:
    """A provider's headers without those of its own limits, which the client would show as its person's."""
    return {name: value for name, value in headers.items() if not name.lower().startswith(_UPSTREAMS)}


def usage_headers(share: float, resets: int) -> dict[str, str]:
    """For an answer of a person whose budget is used up to `share` (0 to 1) and resets at `resets` (Unix)."""
    # rounded down, so that a warning is not older than its number
    shown = min(_MOST_SHOWN, math.floor(max(0.0, share) * 100 + 1e-9) / 100)
    threshold = next((one for one in THRESHOLDS if share >= one), None)
    status = "allowed" if threshold is None else "allowed_warning"
    headers = {
        f"{_STEM}status": status,
        f"{_STEM}representative-claim": "overage",
        f"{_STEM}overage-status": status,
        f"{_STEM}overage-utilization": f"{shown:.2f}",
        f"{_STEM}reset": str(resets),
        f"{_STEM}overage-reset": str(resets),
    }
    if threshold is not None:
        headers[f"{_STEM}overage-surpassed-threshold"] = f"{threshold:.2f}"
    return headers


def refusal_headers(period: str, resets: int) -> dict[str, str]:
    """For the refusal of a person whose budget of a `period` (day, week, month) is used up."""
    return {
        f"{_STEM}status": "rejected",
        f"{_STEM}reset": str(resets),
        f"{_STEM}overage-reset": str(resets),
        f"{_STEM}overage-utilization": "1",
        f"{_STEM}overage-surpassed-threshold": "1",
        f"{_STEM}overage-period": ADVERBS[period],
        f"{_STEM}overage-disabled-reason": "org_spend_cap_reached",
    }


def refusal_sentence(period: str, resets: int, contact: str) -> str:
    """What the person reads: what, until when, whom to ask."""
    when = datetime.fromtimestamp(resets, UTC)
    return (
        f"Your {ADVERBS[period]} budget at this gateway is used up; "
        f"it begins anew on {when:%Y-%m-%d %H:%M} UTC. Ask {contact} for more."
    )


def uncounted_headers() -> dict[str, str]:
    """For the refusal of a person whose budget cannot be read."""
    return {f"{_STEM}overage-disabled-reason": "fetch_error"}


def uncounted_sentence(contact: str) -> str:
    """What the person reads then."""
    return f"This gateway cannot read how much of your budget is used. Try again later, or ask {contact}."


def usage_document(period: str, used_cents: float, limit_cents: float, resets: int) -> dict[str, Any]:
    """GET /api/oauth/usage of a person with a spend budget, in cents."""
    share = used_cents / limit_cents if limit_cents else 1.0
    percent = min(100, math.floor(share * 100 + 1e-9))
    severity = "critical" if share > THRESHOLDS[0] else "warning" if share > THRESHOLDS[1] else "normal"
    return {
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": round(limit_cents, 2),
            "used_credits": round(used_cents, 2),
            "utilization": percent,
            "currency": "USD",
        },
        "limits": [
            {
                "kind": "spend",
                "group": ADVERBS[period],
                "percent": percent,
                "resets_at": f"{datetime.fromtimestamp(resets, UTC):%Y-%m-%dT%H:%M:%S}.000Z",
                "severity": severity,
                "is_active": True,
            }
        ],
    }


def usage_without_cap(day: float, week: float, month: float) -> dict[str, Any]:
    """GET /api/oauth/usage of a person without one: what was spent, in cents."""

    def row(used: float) -> dict[str, Any]:
        return {"limit": None, "used_credits": round(used, 2), "utilization": None}

    extra = {"is_enabled": True, "monthly_limit": None, "used_credits": round(month, 2), "utilization": None}
    return {"extra_usage": {**extra, "currency": "USD", "daily": row(day), "weekly": row(week)}, "limits": []}
