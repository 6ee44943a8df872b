"""The campaigns: killing processes, stopping the database, and load for a long time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from bench.load import Job
from chaos.asking import Asking, missing
from chaos.engines import Postgres
from chaos.gateway import KEY, Gateway

MODEL: Final = "ep-20-5ms-text"
CONVERSATION: Final = "ep-60-100ms-text"
# a process is killed after it has had time for some requests
LEAST_LIFE: Final = 1.0
UNLIMITED: Final = 10**9


@dataclass
class Result:
    """Plain sentences, and what is wrong."""

    sentences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def said(progress: str) -> None:
    """Progress for the person who waits; a campaign takes minutes."""
    print(f"  ... {progress}", flush=True)


@contextlib.asynccontextmanager
async def asked(gateway: Gateway, model: str, concurrency: int) -> AsyncIterator[Asking]:
    """Load on the gateway for as long as the block lasts, and until its last answers have ended."""
    job = Job(
        port=gateway.port, model=model, key=KEY, concurrency=concurrency, count=UNLIMITED,
        timeout=UNLIMITED, ramp=0.5,
    )  # fmt: skip
    asking = Asking(job)
    running = asyncio.create_task(asking.run())
    try:
        yield asking
    finally:
        asking.finish()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(running, 60)


async def killing(gateway: Gateway, rounds: int, seed: int) -> Result:
    """kill -9 of one process after another while all are under load."""
    chance = random.Random(seed)
    killed = 0
    async with asked(gateway, MODEL, 16) as asking:
        await asyncio.sleep(1)
        since: dict[int, float] = {}
        while killed < rounds:
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            now = time.monotonic()
            for pid in gateway.serving():
                since.setdefault(pid, now)
            old = [pid for pid in gateway.serving() if now - since[pid] > LEAST_LIFE]
            if len(old) < 2:
                # some process must be left to answer
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(old[0], signal.SIGKILL)
                killed += 1
                if killed % 25 == 0 and killed < rounds:
                    said(f"{killed} of {rounds} were killed, {len(asking.complete)} answers so far")
    states = await asyncio.to_thread(gateway.settled_states)
    result = Result([f"{killed} processes were killed."])
    return counted(result, asking, states)


async def outage(gateway: Gateway, postgres: Postgres | None, seconds: float) -> Result:
    """The database is unreachable for `seconds` while the gateway is under load."""
    async with asked(gateway, MODEL, 16) as asking:
        await asyncio.sleep(2)
        before = len(asking.complete)
        if postgres is None:
            what = "SQLite's write lock was held"
            lock = sqlite3.connect(gateway.folder / "ccproxy.sqlite3", isolation_level=None, timeout=60)
            lock.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            lock.execute("ROLLBACK")
            lock.close()
        else:
            what = "PostgreSQL was halted (SIGSTOP) for half of the time and down for the other half,"
            postgres.pause()
            await asyncio.sleep(seconds / 2)
            postgres.resume()
            await asyncio.to_thread(postgres.stop, signal.SIGQUIT)
            await asyncio.sleep(seconds / 2)
            await asyncio.to_thread(postgres.start)
        during = len(asking.complete) - before
        await asyncio.sleep(3)
    states = await asyncio.to_thread(gateway.settled_states)
    result = Result([f"{what} for {seconds:.0f} s in all; {during} answers were received meanwhile."])
    counted(result, asking, states)
    if not during:
        result.problems.append("no answer was received during the outage")
    if asking.cut:
        result.problems.append(f"{asking.cut} answers were cut")
    return result


async def soak(gateway: Gateway, minutes: float, conversations: int) -> Result:
    """Many conversations for a long time; memory is measured every five seconds."""
    samples: list[tuple[float, int]] = []
    async with asked(gateway, CONVERSATION, conversations) as asking:
        start = time.monotonic()
        while (now := time.monotonic()) - start < minutes * 60:
            samples.append(((now - start) / 60, gateway.memory()))
            if len(samples) % 12 == 0:
                said(f"{samples[-1][0]:.0f} of {minutes:g} minutes, memory {samples[-1][1] / 1024:.0f} MiB")
            await asyncio.sleep(5)
    states = await asyncio.to_thread(gateway.settled_states)
    # caches fill in the beginning; what matters is the trend after that
    later = [sample for sample in samples if sample[0] >= minutes / 2] or samples
    slope = statistics.linear_regression(*zip(*later, strict=True)).slope if len(later) > 1 else 0.0
    result = Result(
        [
            f"{conversations} conversations at once for {minutes:g} minutes.",
            f"Memory of all processes: {samples[0][1] / 1024:.0f} MiB in the beginning, "
            f"{samples[-1][1] / 1024:.0f} MiB in the end; in the second half it grew by "
            f"{slope:.0f} KiB a minute.",
        ]
    )
    counted(result, asking, states)
    # nothing fails here, so nobody needs to be told of anything; a shorter run is all start
    warnings = gateway.warnings()
    result.sentences.append(f"{len(warnings)} lines of the log are at WARNING or above.")
    if minutes >= 1:
        result.problems += warnings[:5]
    if asking.cut:
        result.problems.append(f"{asking.cut} answers were cut")
    return result


def counted(result: Result, asking: Asking, states: dict[str, list[str]]) -> Result:
    """Add the answers and what the history says."""
    lost = missing(asking, states)
    kinds = Counter(state for rows in states.values() for state in rows)
    result.sentences += [
        f"{len(asking.complete)} answers were received completely, {asking.cut} were cut.",
        f"{len(asking.complete) - len(lost)} of the complete ones are in the history exactly once.",
        "The history has " + ", ".join(f"{number} {state}" for state, number in sorted(kinds.items())) + ".",
    ]
    result.problems += lost[:20]
    if len(lost) > 20:
        result.problems.append(f"and {len(lost) - 20} more")
    if asking.wrong:
        result.problems.append(f"{len(asking.wrong)} answers were wrong, the first: {asking.wrong[0]}")
    if kinds["open"]:
        result.problems.append(f"{kinds['open']} rows stay open")
    if not asking.complete:
        result.problems.append("no answer was received at all")
    return result
