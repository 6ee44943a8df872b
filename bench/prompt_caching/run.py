"""The table of `make bench-cache`: what each family's cache gives, through the gateway and at best.

    python -m bench.prompt_caching.run [--family NAME] [--each] [--recorded]
    python -m bench.prompt_caching.run --brought       # what each strategy brings, by switching it off

The figures go to bench/.results/cache.json; those of recorded conversations stand under `recorded` in each
family and are no part of its sums. An agent's first request does not count in the shares: nothing
of it can have been cached for it. It counts in the money.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
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
from bench.prompt_caching.recorded import RecordedTurn, recordings, replayed_turns
from bench.prompt_caching.routes import Direct, ThroughGateway
from bench.prompt_caching.sessions import Begin, Session, all_sessions
from bench.prompt_caching.strategies import STRATEGIES
from tests.fakes.prompt_caches.rules import FAMILIES, Family, Receipt

Found = dict[str, dict[str, "Outcome"]]
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

    def tokens(self, part: str) -> int:
        return sum(getattr(receipt, part) for receipt in self.receipts)

    def share(self, part: str) -> float:
        return self.tokens(part) / max(1, self.tokens("prompt"))


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


def replayed(
    session: Session, family: Family, options: dict[str, Any] | None = None, *, both: bool = True
) -> Outcome:
    """One session, both ways, or through the gateway alone."""
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
        counts = not first or begun[event.agent].like is not None
        outcome.ours.take(receipt, family, counts=counts)
        like = fresh.pop(event.agent, None)
        if both:
            if first:
                direct.begin(agent, body, like)
            outcome.ideal.take(direct.ask(agent, event), family, counts=counts)
        agent.heard(content, event)
        if event.compacts:
            # it begins anew with the summary, and so does the ideal client
            fresh[event.agent] = None
    return outcome


def recorded_outcome(turns: list[RecordedTurn], family: Family) -> Outcome:
    """A recorded conversation, both ways."""
    outcome = Outcome()
    for ours, ideal, counts in replayed_turns(turns, family):
        outcome.ours.take(ours, family, counts=counts)
        outcome.ideal.take(ideal, family, counts=counts)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="append", help="only these families")
    parser.add_argument("--each", action="store_true", help="one line for each session, too")
    parser.add_argument("--recorded", action="store_true", help="only the recorded conversations")
    parser.add_argument("--brought", action="store_true", help="only what each strategy brings")
    given = parser.parse_args()
    if given.brought:
        for row in _brought(given.family):
            print(row, flush=True)
        return 0
    sessions = [] if given.recorded else list(all_sessions())
    made: Found = defaultdict(dict)
    recorded: Found = defaultdict(dict)
    for family in FAMILIES:
        if not given.family or family.name in given.family:
            for session in sessions:
                made[family.name][session.name] = replayed(session, family)
            for name, turns in recordings():
                recorded[family.name][name] = recorded_outcome(turns, family)
    if made:
        print(_table(made, each=given.each), end="\n\n")
    print(_table(recorded, each=given.each, what="recorded"))
    _store(made, recorded)
    return 0


def _brought(only: list[str] | None) -> Iterator[str]:
    """A line for each strategy and family that it concerns: all sessions with it and without it."""
    sessions = list(all_sessions())
    head = ("strategy", "family", "read without", "with", "more read", "cost without, $", "with", "saved")
    yield "| " + " | ".join(head) + " |"
    for family in FAMILIES:
        concerning = {name: one for name, one in STRATEGIES.items() if family.name in one.families}
        if not concerning or (only and family.name not in only):
            continue
        now = _total({one.name: replayed(one, family, both=False) for one in sessions}).ours
        for strategy in concerning.values():
            with strategy.switched_off() as options:
                made = {one.name: replayed(one, family, options, both=False) for one in sessions}
            without = _total(made).ours
            row = [
                strategy.text, family.name, f"{without.share('read'):.1%}", f"{now.share('read'):.1%}",
                f"{now.tokens('read') - without.tokens('read'):,}", f"{without.cost:.2f}", f"{now.cost:.2f}",
                f"{without.cost - now.cost:.2f}",
            ]  # fmt: skip
            yield "| " + " | ".join(row) + " |"


def _store(made: Found, recorded: Found) -> None:
    """Write the figures; what was not measured this time keeps those of before."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text())["families"] if RESULTS.exists() else {}
    families: dict[str, Any] = {name: before.get(name, {}) for name in dict.fromkeys((*before, *recorded))}
    for name in recorded:
        families[name] = {
            **(_figures(made[name]) if name in made else families[name]),
            "recorded": _figures(recorded[name]),
        }
    RESULTS.write_text(json.dumps({"families": families}, indent=1) + "\n")


def _figures(by_session: dict[str, Outcome]) -> dict[str, Any]:
    sessions = {session: outcome.figures() for session, outcome in by_session.items()}
    return {**_total(by_session).figures(), "sessions": sessions}


def _total(by_session: dict[str, Outcome]) -> Outcome:
    total = Outcome()
    for outcome in by_session.values():
        total.ours.add(outcome.ours)
        total.ideal.add(outcome.ideal)
    return total


def _table(found: Found, *, each: bool, what: str = "sessions") -> str:
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
    head = ["family", what, "read", "ideal", "written", "in full", "of ideal", "cost, $", "ideal, $"]
    return markdown(head, rows)


if __name__ == "__main__":
    sys.exit(main())
