"""The drill of an operator: database, Redis and disk fail under load, and come back.

    python -m chaos.drill               PostgreSQL, Redis, a small disk
    python -m chaos.drill --seconds 3   how long each is away

For each outage it prints failed requests, rows that are missing in the history, the longest answer of each
health path, and the time until the gateway is ready again. The full disk is a tmpfs of a few MB for the
spool, which takes the right to mount; without it that part is left out, and said so. Exit code 1 when
something failed or is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import upstream
from chaos.asking import missing
from chaos.campaigns import MODEL, asked
from chaos.engines import HOST, EngineMissing, Postgres, Redis, running
from chaos.gateway import Gateway
from chaos.run import until_told

PATHS: Final = ("/health", "/health/ready", "/metrics")
TOKEN: Final = "drill"
DISK: Final = "4m"
READY_WITHIN: Final = 120.0


@dataclass
class Outage:
    """What one outage did. Times in seconds."""

    name: str
    failed: int = 0
    # looks at a health path that got no answer
    unanswered: int = 0
    answered: int = 0
    missing: list[str] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PATHS, 0.0))
    until_ready: float = 0.0
    # from the end of the load: what arrives is written before what waits in files
    until_written: float = 0.0

    def __str__(self) -> str:
        paths = ", ".join(f"{path} {1000 * seconds:.0f} ms" for path, seconds in self.longest.items())
        return (
            f"{self.name}\n"
            f"  requests: {self.answered} answered, {self.failed} failed\n"
            f"  rows missing in the history: {len(self.missing)}\n"
            f"  longest answer: {paths}; without an answer: {self.unanswered}\n"
            f"  ready again after {self.until_ready:.1f} s; "
            f"files written {self.until_written:.1f} s after the load ended"
        )


async def drilled(
    gateway: Gateway, name: str, fail: Callable[[], Any], mend: Callable[[], Any], seconds: float
) -> Outage:
    """Let something fail for a while under load, and see what comes of it."""
    outage = Outage(name)
    async with probed(gateway, outage), asked(gateway, MODEL, 16) as asking:
        await asyncio.sleep(1)
        await asyncio.to_thread(fail)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(mend)
        back, waiting = time.monotonic(), waiting_files(gateway)
        while not await asyncio.to_thread(is_ready, gateway):
            if time.monotonic() - back > READY_WITHIN:
                break
            await asyncio.sleep(0.1)
        outage.until_ready = time.monotonic() - back
    outage.until_written = await asyncio.to_thread(time_to_write, gateway, waiting)
    states = await asyncio.to_thread(gateway.settled_states)
    outage.answered, outage.failed = len(asking.complete), asking.cut + len(asking.wrong)
    outage.missing = missing(asking, states)
    return outage


@contextlib.asynccontextmanager
async def probed(gateway: Gateway, outage: Outage) -> AsyncIterator[None]:
    """Ask each health path all the time, and keep the longest answer of each."""
    over = asyncio.Event()

    async def probe(path: str) -> None:
        while not over.is_set():
            try:
                taken, _ = await asyncio.to_thread(look, gateway, path)
            except OSError:
                outage.unanswered += 1
            else:
                outage.longest[path] = max(outage.longest[path], taken)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.2)

    probes = [asyncio.ensure_future(probe(path)) for path in PATHS]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*probes)


def look(gateway: Gateway, path: str) -> tuple[float, bytes]:
    """How long an answer takes, and what it is."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(HOST, gateway.port, timeout=60)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {TOKEN}"})
        body = connection.getresponse().read()
    finally:
        connection.close()
    return time.monotonic() - began, body


def waiting_files(gateway: Gateway) -> set[Path]:
    """The files in which history waits."""
    return set((gateway.folder / "spool").glob("*.spool"))


def time_to_write(gateway: Gateway, waiting: set[Path]) -> float:
    """How long it takes until these files are written; at most READY_WITHIN."""
    began = time.monotonic()
    while waiting & waiting_files(gateway) and time.monotonic() - began < READY_WITHIN:
        time.sleep(0.1)
    return time.monotonic() - began


def is_ready(gateway: Gateway) -> bool:
    """Whether requests are taken and the database answers."""
    try:
        state = json.loads(look(gateway, "/health/ready")[1])
    except OSError:
        return False
    return state["status"] == "ok" and "database" not in state


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A tmpfs at `place`; gives whether there is one."""
    place.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", str(place)], check=False)


def fill(place: Path) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


async def drill(postgres: Postgres, redis: Redis, seconds: float) -> list[Outage]:
    provider = await upstream.serve()
    port = provider.sockets[0].getsockname()[1]
    outages = []
    with (
        tempfile.TemporaryDirectory(prefix="ccproxy-drill-") as name,
        small_disk(Path(name) / "spool") as limited,
    ):
        folder = Path(name)
        services = {"REDIS_URL": redis.url(), "METRICS_TOKEN": TOKEN}
        gateway = await asyncio.to_thread(
            Gateway, folder, port, postgres.create("drill"), 2, 0.05, **services
        )

        def without_room() -> None:
            postgres.stop()
            fill(folder / "spool")

        def with_room() -> None:
            (folder / "spool" / "filler").unlink(missing_ok=True)
            postgres.start()

        parts = [
            (f"PostgreSQL is stopped for {seconds:g} s", postgres.stop, postgres.start),
            (f"Redis is stopped for {seconds:g} s", redis.stop, redis.start),
        ]
        if limited:
            text = (
                f"PostgreSQL is stopped for {seconds:g} s, and the spool's disk (a tmpfs of {DISK}) is full"
            )
            parts.append((text, without_room, with_room))
        else:
            print("NOT RUN: a full disk; this user may not mount a tmpfs", flush=True)
        try:
            await asyncio.to_thread(gateway.start)
            for what, fail, mend in parts:
                outages.append(await drilled(gateway, what, fail, mend, seconds))
                print(f"\n{outages[-1]}", flush=True)
        finally:
            await asyncio.to_thread(gateway.stop)
    provider.close()
    return outages


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each of them is away")
    options = parser.parse_args(arguments)
    try:
        with running(Postgres(durable=True)) as postgres, running(Redis()) as redis:
            outages = asyncio.run(until_told(drill(postgres, redis, options.seconds)))
    except EngineMissing as missing_engine:
        print(f"NOT RUN: {missing_engine}", file=sys.stderr)
        return 1
    return int(any(outage.failed or outage.missing for outage in outages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
