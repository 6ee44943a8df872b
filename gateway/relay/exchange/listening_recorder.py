"""A recorder that passes everything on and keeps the outcome of its one exchange."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.history.outcome import ExchangeOutcome
from gateway.relay.gateway import ExchangeRecorder


@dataclass(slots=True)
class ListeningRecorder:
    """For an exchange that the gateway makes itself; `outcome` is None until it has ended."""

    recorder: ExchangeRecorder
    outcome: ExchangeOutcome | None = None

    def opened(self, outcome: ExchangeOutcome) -> None:
        self.recorder.opened(outcome)

    def closed(self, outcome: ExchangeOutcome) -> None:
        self.outcome = outcome
        self.recorder.closed(outcome)

    async def settled(self, outcome: ExchangeOutcome) -> None:
        self.outcome = outcome
        await self.recorder.settled(outcome)
