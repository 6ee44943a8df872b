"""The table of `make bench-cache`: what each family's cache gives, through the gateway and at best.

    python -m bench.prompt_caching.run [--family NAME] [--each]

The figures go to bench/.results/cache.json. An agent's first request does not count in the shares: nothing
of it can have been cached for it. It counts in the money.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import django
from django.conf import settings

from bench.table import markdown

if not settings.configured:
    settings.configure(USE_I18N=False)
    django.setup()

from bench.prompt_caching.client import Agent
from bench.prompt_caching.routes import Direct, ThroughGateway
from bench.prompt_caching.sessions import Begin, Session, all_sessions
from tests.fakes.prompt_caches.rules import FAMILIES, Family, Receipt

RESULTS: Final = Path(__file__).parent.parent / ".results" / "cache.json"
GOAL: Final = 0.98


@dataclass
class Bills:
    """Of one way: the receipts that count in the shares, and all money."""

    receipts: list[Receipt] = field(default_factory=list)
    cost: Decimal = Decimal(0)

    def take(self, receipt: Receipt, family: Family, *, counts: bool) -> None:
        self.cost += receipt.cost(family.cache.rates)
        if counts:
            self.receipts.append(receipt)

    def add(self, other: Bills) -> None:
        self.receipts += other.receipts
        self.cost += other.cost

    def share(self, part: str) -> float:
        prompt = sum(receipt.prompt for receipt in self.receipts)
        return sum(getattr(receipt, part) for receipt in self.receipts) / max(1, prompt)


@dataclass
class Outcome:
    ours: Bills = field(default_factory=Bills)
    ideal: Bills = field(default_factory=Bills)

    @property
    def reached(self) -> float:
        """Of what the ideal client reads, what we read."""
        return self.ours.share("read") / max(1e-9, self.ideal.share("read"))

    def figures(self) -> dict[str, float]:
        return {
            "read_share": round(self.ours.share("read"), 4),
            "ideal_read_share": round(self.ideal.share("read"), 4),
            "written_share": round(self.ours.share("written"), 4),
            "ideal_written_share": round(self.ideal.share("written"), 4),
            "full_share": round(self.ours.share("full"), 4),
            "cost": round(float(self.ours.cost), 4),
            "ideal_cost": round(float(self.ideal.cost), 4),
        }


def replayed(session: Session, family: Family, options: dict[str, Any] | None = None) -> Outcome:
    """One session, both ways."""
    gateway, direct, outcome = ThroughGateway(family, options), Direct(family), Outcome()
    agents: dict[str, Agent] = {}
    begun: dict[str, Begin] = {}
    fresh: dict[str, str | None] = {}
    for event in session.events:
        if isinstance(event, Begin):
            own = f"session-{event.agent}" if event.new_session else "session"
            agent = agents[event.agent] = Agent(event, own, session.late_tools)
            if event.like is not None:
                agent.goes_on_with(agents[event.like])
            begun[event.agent], fresh[event.agent] = event, event.like
            continue
        agent = agents[event.agent]
        first = event.agent in fresh
        receipt, content, body = gateway.ask(agent, event)
        if first:
            direct.begin(agent, body, fresh.pop(event.agent))
        ideal = direct.ask(agent, event)
        agent.heard(content, event)
        counts = not first or begun[event.agent].like is not None
        outcome.ours.take(receipt, family, counts=counts)
        outcome.ideal.take(ideal, family, counts=counts)
        if event.compacts:
            # it begins anew with the summary, and so does the ideal client
            fresh[event.agent] = None
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="append", help="only these families")
    parser.add_argument("--each", action="store_true", help="one line for each session, too")
    given = parser.parse_args()
    sessions = list(all_sessions())
    found: dict[str, dict[str, Outcome]] = defaultdict(dict)
    for family in FAMILIES:
        if not given.family or family.name in given.family:
            for session in sessions:
                found[family.name][session.name] = replayed(session, family)
    print(_table(found, each=given.each))
    RESULTS.parent.mkdir(exist_ok=True)
    families = {}
    for name, by_session in found.items():
        total = _total(by_session)
        families[name] = {
            **total.figures(),
            "sessions": {session: outcome.figures() for session, outcome in by_session.items()},
        }
    RESULTS.write_text(json.dumps({"families": families}, indent=1) + "\n")
    return 0


def _total(by_session: dict[str, Outcome]) -> Outcome:
    total = Outcome()
    for outcome in by_session.values():
        total.ours.add(outcome.ours)
        total.ideal.add(outcome.ideal)
    return total


def _table(found: dict[str, dict[str, Outcome]], *, each: bool) -> str:
    rows = []
    for family, by_session in found.items():
        lines = {"all": _total(by_session), **(by_session if each else {})}
        for name, outcome in lines.items():
            ours, ideal = outcome.ours, outcome.ideal
            shares = [ours.share("read"), ideal.share("read"), ours.share("written"), ours.share("full")]
            rows.append(
                [family, name, *(f"{share:.1%}" for share in shares), f"{outcome.reached:.1%}",
                 f"{ours.cost:.2f}", f"{ideal.cost:.2f}"]
            )  # fmt: skip
    head = ["family", "sessions", "read", "ideal", "written", "in full", "of ideal", "cost, $", "ideal, $"]
    return markdown(head, rows)


if __name__ == "__main__":
    sys.exit(main())
