"""What Claude Code's own headers cost: hint headers read from a request, usage headers put onto its answer.

    python -m bench.client_protocol                # medians of 15 rounds
    python -m bench.client_protocol --small 0.703  # the CPU of a small request, in ms: docs/performance.md
    python -m bench.client_protocol --goal 3       # exits 1 if both together take more of it, in percent

The figures are CPU time of what the relay calls once a request, with nothing around it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from gateway.client_protocol import purpose
from gateway.client_protocol.novelties import novelties_of
from gateway.client_protocol.usage_headers import usage_headers

ROUNDS: Final = 15
CALLS: Final = 2_000
REQUEST: Final[dict[str, Any]] = {
    "model": "claude-opus-4-7",
    "max_tokens": 64_000,
    "stream": True,
    "system": [{"type": "text", "text": "You are Claude Code."}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
}
PLAIN: Final = {"user-agent": "claude-cli/2.1.332 (external, cli)", "anthropic-beta": "claude-code-20250219"}
HINTS: Final = {
    **PLAIN,
    purpose.CLASS: "subagent",
    purpose.FINER_CLASS: "blocking-subagent",
    purpose.AGENT_TYPE: "general-purpose",
    purpose.PROMPT_ID: "0b1f4a1e-8a52-4a2e-9c53-6a4f6a1d2c3b",
    purpose.TOOL_DURATIONS: "Bash=608;Bash=1512;Read=4",
    purpose.SETTINGS_CHECKSUM: "sha256:" + "0a" * 32,
}


def read(headers: dict[str, str]) -> None:
    purpose.purpose_of(REQUEST, headers, "messages")
    novelties_of(REQUEST, headers)


CASES: Final[dict[str, Callable[[], object]]] = {
    "hint headers, read": lambda: read(HINTS),
    "usage headers, written": lambda: usage_headers(0.82, 1_796_083_200),
}


def microseconds(work: Callable[[], object]) -> float:
    """The median over rounds of the mean CPU time of one call."""
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            work()
        found.append((time.process_time() - begun) / CALLS * 1e6)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", type=float, default=0.703, help="CPU of a small request, in ms")
    parser.add_argument("--goal", type=float, help="percent of it that both may take together")
    given = parser.parse_args()
    took = {name: microseconds(work) for name, work in CASES.items()}
    for name, cost in took.items():
        print(f"{name}: {cost:.2f} µs a request")
    print(f"inferred without hint headers: {microseconds(lambda: read(PLAIN)):.2f} µs a request")
    percent = sum(took.values()) / (given.small * 1_000) * 100
    print(f"together {percent:.2f} % of a small request")
    if given.goal is not None and percent > given.goal:
        sys.exit(f"more than {given.goal} %")


if __name__ == "__main__":
    main()
