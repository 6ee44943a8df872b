"""CPU and memory of a process tree, the core's present speed, and for how long an event loop is blocked."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")
# One scheduler accounts for all threads of a process: Linux's CPU clock of another process.
_CPU_CLOCK: Final = 2

REFERENCE_TEXT: Final = json.dumps(
    {"rows": [{"id": n, "name": f"row {n}", "tags": ["a", "b"]} for n in range(400)]}
)
REFERENCE_ROUNDS: Final = 8
# Rounds in which the core's speed differed by more than this are left out.
SPEED_TOLERANCE: Final = 1.25

QUIET_MS: Final = 1.0
QUIET_STEP: Final = 0.1


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{current}/task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of the process, its descendants, and the children they have reaped."""
    return sum(_process_seconds(one) for one in tree(pid))


def _process_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    try:
        # the same figure as utime + stime, in nanoseconds instead of ticks of 10 ms
        return time.clock_gettime((~pid << 3) | _CPU_CLOCK) + reaped / TICK
    except OSError:
        return (own + reaped) / TICK


def rss_mb(pid: int) -> float:
    """Resident memory of the tree. Pages shared between its processes count in each."""
    pages = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def settled_cpu(pid: int, limit: float = 5.0) -> float:
    """CPU seconds once the tree is quiet: what a target does after its answers is part of their cost."""
    deadline = time.monotonic() + limit
    before = cpu_seconds(pid)
    while True:
        time.sleep(QUIET_STEP)
        now = cpu_seconds(pid)
        if (now - before) * 1000 < QUIET_MS or time.monotonic() > deadline:
            return now
        before = now


def reference_ms() -> float:
    """CPU milliseconds of a fixed JSON loop, the best of some tries: how fast the core is now."""
    best = float("inf")
    for _ in range(REFERENCE_ROUNDS):
        started = time.thread_time()
        for _ in range(5):
            json.dumps(json.loads(REFERENCE_TEXT))
        best = min(best, time.thread_time() - started)
    return best * 1000


def steady(speeds: list[float]) -> bool:
    """Whether the core ran at about the same speed all the time."""
    return max(speeds) <= min(speeds) * SPEED_TOLERANCE
