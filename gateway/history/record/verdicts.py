"""Verdicts on the calls of answers as rows, written with the end of their exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.history.outcome import ExchangeOutcome
from gateway.models import SafeguardVerdict

# the largest number in a column of PostgreSQL
_MOST: Final = 2**15 - 1
# columns that hold texts of others, and their longest
_TEXTS: Final = {"tool": 200, "model": 200, "reason": 500}


def write_verdicts(outcomes: Iterable[ExchangeOutcome]) -> None:
    """Write them in the caller's transaction; writing one twice changes nothing."""
    rows = [
        SafeguardVerdict(
            log_id=outcome.request_id, number=number, at=outcome.started_at, **_storable(verdict)
        )
        for outcome in outcomes
        for number, verdict in enumerate(outcome.verdicts[:_MOST], 1)
    ]
    if rows:
        SafeguardVerdict.objects.bulk_create(rows, ignore_conflicts=True)


def _storable(verdict: Mapping[str, object]) -> dict[str, Any]:
    """The facts of a verdict; the names in it are the provider's and the client's."""
    names: dict[str, Any] = {
        name: str(verdict[name]).replace("\x00", "\ufffd")[:longest]
        for name, longest in _TEXTS.items()
        if name in verdict
    }
    rest: dict[str, Any] = {
        name: verdict[name]
        for name in ("decision", "rule_id", "unavailable", "took_ms", "check_id")
        if name in verdict
    }
    return {**rest, **names}
