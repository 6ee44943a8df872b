"""How long it takes to choose among the rules for a request, without anything around it.

    python -m bench.routing                     # 50 rules, medians of 15 rounds
    python -m bench.routing --rules 500
    python -m bench.routing --goal 5            # exits 1 if a case takes longer, in microseconds

Each case has as many rules for every name, of which the last takes the request: the worst place. The figures
are CPU time of `resolve`, which the relay calls once a request with the facts it has worked out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.client_protocol.purpose import Purpose, RequestClass
from gateway.routing.conditions import compiled
from gateway.routing.facts import Client, Facts
from gateway.routing.resolve import resolve
from gateway.routing.snapshot import ConfigSnapshot, MappingRule, ProviderConfig, Target

ROUNDS: Final = 15
CALLS: Final = 2_000
MODEL: Final = "claude-opus-5-5"
_NOON: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)

When = Callable[[int], dict[str, Any]]


def _mixed(number: int) -> dict[str, Any]:
    """Each fact in some rule."""
    kinds: list[dict[str, Any]] = [
        {"class": ["subagent"], "agent_type": [f"agent-{number}*"]},
        {"input_tokens": {"from": 200_000 + number}},
        {"images": True, "key": [f"key-{number}"]},
        {"thinking": False, "effort": ["low"]},
        {"tools": {"from": 100 + number}, "streamed": True},
        {"client": [f"client-{number} >=2.1"]},
        {"header": {"x-team": [f"team-{number}"]}},
        {"time": {"days": ["sat"], "from": "18:00", "to": "08:00", "zone": "Europe/Berlin"}},
        {"owner": [f"owner-{number}"], "pdfs": True},
        {"max_tokens": {"to": number}, "web_search": True},
    ]
    return kinds[number % len(kinds)]


CASES: Final[dict[str, When]] = {
    "one fact: purpose": lambda number: {"class": ["subagent"]},
    "one fact: input tokens": lambda number: {"input_tokens": {"from": 200_000 + number}},
    "four facts": lambda number: {
        "class": ["main"], "images": True, "input_tokens": {"from": number}, "key": [f"key-{number}"],
    },
    "every fact": _mixed,
}  # fmt: skip


def facts(number: int) -> Facts:
    """Of a usual request of Claude Code; its size and moment differ from one to the next."""
    return Facts(
        purpose=Purpose(RequestClass.MAIN),
        input_tokens=20_000 + number,
        images=False,
        pdfs=False,
        thinking=True,
        effort="high",
        tools=24,
        web_search=False,
        structured_output=False,
        streamed=True,
        max_tokens=32_000,
        key="dev",
        owner="ann",
        client=Client("claude-cli", (2, 1, 332)),
        moment=_NOON + timedelta(seconds=number),
        headers={"x-team": "red"},
    )


def snapshot(rules: int, when: When) -> ConfigSnapshot:
    """So many rules for every name, of which only the last has no condition."""
    made = [
        MappingRule(number, "*", False, (Target("p", "m"),), condition=compiled(when(number), ZoneInfo))
        for number in range(rules - 1)
    ]
    last = MappingRule(rules, "*", False, (Target("p", "m"),))
    provider = ProviderConfig("p", "P", "https://p.example/v1")
    return ConfigSnapshot(1, providers={"p": provider}, rules=(*made, last))


def microseconds(config: ConfigSnapshot, requests: list[Facts]) -> float:
    """The median over rounds of the mean CPU time of one call."""
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for one in requests:
            resolve(config, MODEL, one)
        found.append((time.process_time() - begun) / len(requests) * 1e6)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--goal", type=float, help="microseconds that no case may exceed")
    given = parser.parse_args()
    requests = [facts(number) for number in range(CALLS)]
    slowest = 0.0
    for name, when in CASES.items():
        took = microseconds(snapshot(given.rules, when), requests)
        slowest = max(slowest, took)
        print(f"{given.rules} rules, {name}: {took:.2f} µs a request")
    if given.goal is not None and slowest > given.goal:
        sys.exit(f"more than {given.goal} µs")


if __name__ == "__main__":
    main()
