"""For how long one large request holds up everything else: a ping each millisecond beside it.

    echo '{"port": 8082, "ping_path": "/health", "requests": 10, ...}' | python -m bench.pinger

The longest round trip of a ping during the request, minus the usual one, is how long the event loop was
blocked. Nothing is added to the measured process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.load import HOST, Job, Load
from bench.results import result_of

PING_EVERY: Final = 0.001
PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pings:
    """A job of one request at a time, `requests` times; `ping_path` must answer without an upstream."""

    job: Job
    requests: int = 10
    ping_path: str = "/health"


class Pinger:
    """`trips`: (start, round trip) of each ping, in seconds."""

    def __init__(self, pings: Pings) -> None:
        self._pings = pings
        self.trips: list[tuple[float, float]] = []

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._pings.job.port)
        request = (
            f"GET {self._pings.ping_path} HTTP/1.1\r\nhost: {HOST}:{self._pings.job.port}\r\n\r\n".encode()
        )
        try:
            while True:
                started = time.monotonic()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.trips.append((started, time.monotonic() - started))
                await asyncio.sleep(PING_EVERY)
        finally:
            writer.close()

    def longest_between(self, start: float, end: float) -> float:
        return max((trip for at, trip in self.trips if at <= end and at + trip >= start), default=0.0)


async def blocks(pings: Pings) -> dict[str, Any]:
    """`block_ms`: for each request the longest ping less the usual one; `idle_ms`: the same without load."""
    pinger = Pinger(pings)
    pinging = asyncio.create_task(pinger.run())
    longest, idle, answers = [], [], []
    await asyncio.sleep(PAUSE)
    for _ in range(pings.requests):
        quiet = time.monotonic()
        await asyncio.sleep(PAUSE)
        started = time.monotonic()
        idle.append(pinger.longest_between(quiet, started))
        answers += await Load(pings.job).run()
        # what follows the answer (history) may block as well
        await asyncio.sleep(PAUSE)
        longest.append(pinger.longest_between(started, time.monotonic()))
    pinging.cancel()
    usual = median(trip for _, trip in pinger.trips)
    result = result_of(answers, pings.job.form, stream=pings.job.stream, expected=pings.requests)
    return {
        **result,
        "block_ms": [(trip - usual) * 1000 for trip in longest],
        "idle_ms": [(trip - usual) * 1000 for trip in idle],
        "usual_ms": usual * 1000,
    }


def main() -> None:
    values = json.load(sys.stdin)
    print(json.dumps(asyncio.run(blocks(Pings(job=Job(**values.pop("job")), **values)))))


if __name__ == "__main__":
    main()
