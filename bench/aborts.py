"""Clients that leave in every phase of a request, by the thousand: is everything released?

    python -m bench.aborts               2,000 aborts
    python -m bench.aborts --count 70

For each phase: how long after the client's leaving the provider's connection was closed, and what the
history says. Before and after: tasks, file descriptors, memory of the gateway's process. Exit status 1
when something was not released.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.abort_upstream import AbortUpstream
from bench.load import HOST
from bench.targets.base import KEY, ROOT, Setting, run
from bench.targets.ours import Ours

# seconds; the promise, and how long to wait before an abort counts as never noticed
PROMISED: Final = 1.0
PATIENCE: Final = 30.0
CONCURRENCY: Final = 20
# a permanent leak of this many KiB per exchange would show in 2,000 of them
LEAK_KIB: Final = 4.0


@dataclass(frozen=True, slots=True)
class Phase:
    """When the client leaves. `model` is the provider's behaviour.

    `waits_for`: bytes the client reads first. `asked`: the model the client asks for, where that differs.
    `tokens`: part of the answer has been sent already.
    """

    name: str
    model: str
    streamed: bool = True
    waits_for: bytes = b""
    asked: str = ""
    tokens: bool = False

    @property
    def waits(self) -> bool:
        """The gateway is waiting by itself; there is no connection to close."""
        return self.model == "retry"


PHASES: Final = (
    Phase("before the provider's headers", "headers"),
    Phase("before the first token", "first"),
    Phase("in the middle of text", "text", waits_for=b"text_delta", tokens=True),
    Phase("in the middle of a tool call", "tool", waits_for=b"input_json_delta", tokens=True),
    Phase("in a call that is not streamed", "headers", streamed=False),
    Phase("waiting for a retry", "retry"),
    Phase("waiting for a second target", "headers", asked="second"),
)

_SECOND_TARGET: Final = """
from gateway.models import ModelMapping, Provider
provider = Provider.objects.get()
mapping = ModelMapping.objects.create(pattern="second-*", position=1)
mapping.lead_to(provider, "ep-missing-*")
mapping.lead_to(provider, "ep-headers-*")
"""


class Counted(Ours):
    """The gateway, which reports what it holds."""

    name = "counted"

    @property
    def python(self) -> Path:
        return Path(sys.executable)

    @property
    def counts_file(self) -> Path:
        return self.setting.folder / "counts.json"

    def prepare(self) -> None:
        super().prepare()
        options = {"cwd": ROOT, "env": self._whole_environment()}
        run([*self.manage, "setupgateway"], **options)
        run([*self.manage, "shell", "-c", _SECOND_TARGET], **options)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "bench.counted_serve", str(self.counts_file), "serve"]

    async def counts(self) -> dict[str, int]:
        """What the process holds now."""
        self.counts_file.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        while not self.counts_file.exists():  # noqa: ASYNC110 (another process writes it)
            await asyncio.sleep(0.01)
        counts: dict[str, int] = json.loads(self.counts_file.read_text())
        return counts

    async def at_rest(self, like: dict[str, int] | None = None) -> dict[str, int]:
        """The counts once nothing changes any more: no more than `like`, or whatever they are after
        a while.
        """
        for _ in range(50):
            await asyncio.sleep(0.2)
            counts = await self.counts()
            if like is not None and all(counts[name] <= like[name] for name in ("tasks", "fds", "threads")):
                break
        return counts


@dataclass
class Result:
    """The results of a campaign. Times in seconds."""

    closed: dict[str, list[float]] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    during: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    repeated: int = 0
    problems: list[str] = field(default_factory=list)


async def campaign(count: int, folder: Path, promised: float = PROMISED) -> Result:
    """`count` aborts spread over the phases, after as many for warming up.

    A connection that is closed later than `promised` seconds is a problem.
    """
    upstream = AbortUpstream()
    target = Counted(Setting(await upstream.start(), (), folder))
    result = Result()
    try:
        await asyncio.to_thread(target.prepare)
        await asyncio.to_thread(target.start)
        # as many again first, to fill what is kept on purpose (resolved names, known pieces)
        await _aborts(count, target, upstream, Result(), "warm")
        result.before = await target.at_rest()
        aborts = asyncio.create_task(_aborts(count, target, upstream, result, "abort"))
        result.during = await _most_held(target, aborts)
        result.after = await target.at_rest(result.before)
    finally:
        await asyncio.to_thread(target.stop)
        await upstream.stop()
    result.rows = _rows(folder / "data" / "ccproxy.sqlite3")
    result.repeated = sum(asked.times - 1 for asked in upstream.asked.values() if asked.times > 1)
    result.problems = _problems(result, count, promised)
    return result


async def _most_held(target: Counted, aborts: asyncio.Task[None]) -> dict[str, int]:
    """The highest counts during the aborts: they show that there is something to release."""
    most: dict[str, int] = {}
    while not aborts.done():
        for name, number in (await target.counts()).items():
            most[name] = max(number, most.get(name, 0))
        await asyncio.wait({aborts}, timeout=0.05)
    await aborts
    return most


async def _aborts(count: int, target: Counted, upstream: AbortUpstream, result: Result, word: str) -> None:
    slots = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int) -> None:
        phase = PHASES[number % len(PHASES)]
        async with slots:
            seconds = await _abort(phase, f"{word}-{number}", target.port, upstream, hard=number % 2 == 0)
        result.closed.setdefault(phase.name, []).append(seconds)

    await asyncio.gather(*(one(number) for number in range(count)))


async def _abort(phase: Phase, name: str, port: int, upstream: AbortUpstream, *, hard: bool) -> float:
    """Ask, wait for the phase, leave; seconds until the provider's connection was closed."""
    model = f"ep-{phase.model}-{name}"
    asked_model = f"{phase.asked}-{name}" if phase.asked else model
    asked = upstream.expect(model)
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(_request(asked_model, phase.streamed))
    seen = b""
    while phase.waits_for not in seen:
        seen += await asyncio.wait_for(reader.read(65536), PATIENCE)
    await asyncio.wait_for(asked.said.wait(), PATIENCE)
    # the data sent so far has reached the gateway by then
    await asyncio.sleep(0.02)
    left = asyncio.get_running_loop().time()
    if hard:
        writer.transport.abort()
    else:
        writer.close()
    if phase.waits:
        return 0.0
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(asyncio.shield(asked.closed), PATIENCE) - left
    return PATIENCE


def _request(model: str, streamed: bool) -> bytes:
    tool = {"name": "Write", "input_schema": {"type": "object"}}
    body = json.dumps(
        {
            "model": model,
            "max_tokens": 1000,
            "stream": streamed,
            "tools": [tool],
            "messages": [{"role": "user", "content": "hello"}],
        }
    ).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _rows(database: Path) -> dict[str, dict[str, int]]:
    """By the first word of the asked model and whether it was streamed: rows, cancelled ones, with tokens."""
    found: dict[str, dict[str, int]] = {}
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT asked_model, streamed, state, output_tokens FROM gateway_requestlog"
            " WHERE asked_model LIKE '%-abort-%'"
        )
        for model, streamed, state, tokens in rows:
            word = model.removeprefix("ep-").split("-")[0]
            counts = found.setdefault(f"{word} {bool(streamed)}", {"rows": 0, "cancelled": 0, "tokens": 0})
            counts["rows"] += 1
            counts["cancelled"] += state == "cancelled"
            counts["tokens"] += tokens is not None
    return found


def _row_of(result: Result, phase: Phase) -> dict[str, int]:
    key = f"{phase.asked or phase.model} {phase.streamed}"
    return result.rows.get(key, {"rows": 0, "cancelled": 0, "tokens": 0})


def _problems(result: Result, count: int, promised: float) -> list[str]:
    problems = []
    for phase in PHASES:
        times, row = result.closed.get(phase.name, []), _row_of(result, phase)
        if times and max(times) > promised:
            problems.append(f"{phase.name}: a connection was closed only after {max(times):.2f} s")
        if not row["rows"] == row["cancelled"] == len(times):
            problems.append(f"{phase.name}: {len(times)} aborts, {row['cancelled']} rows that say so")
        if phase.tokens and row["tokens"] != len(times):
            problems.append(f"{phase.name}: only {row['tokens']} rows with tokens")
    for name in ("tasks", "fds", "threads"):
        if result.after[name] > result.before[name]:
            problems.append(f"{name}: {result.before[name]} before, {result.after[name]} after")
    grown = result.after["rss"] - result.before["rss"]
    if count >= 1000 and grown > LEAK_KIB * count:
        problems.append(f"memory grew by {grown} KiB")
    if result.repeated:
        problems.append(f"{result.repeated} requests were sent again after their client had left")
    return problems


def report(result: Result) -> str:
    """The figures as text."""
    titles = f"{'aborts':>8}{'closed p50':>12}{'max':>10}{'cancelled':>11}{'tokens':>8}"
    lines = [f"{'the client leaves':34}{titles}"]
    for phase in PHASES:
        times, row = result.closed[phase.name], _row_of(result, phase)
        typical = "–" if phase.waits else f"{statistics.median(times) * 1000:.1f} ms"
        longest = "–" if phase.waits else f"{max(times) * 1000:.1f} ms"
        lines.append(
            f"{phase.name:34}{len(times):8}{typical:>12}{longest:>10}{row['cancelled']:11}{row['tokens']:8}"
        )
    lines.append("")
    lines.append(f"{'':34}{'before':>8}{'during':>12}{'after':>10}")
    for name, unit in (("tasks", ""), ("fds", ""), ("threads", ""), ("rss", " KiB")):
        lines.append(f"{name:34}{result.before[name]:8}{result.during[name]:12}{result.after[name]:10}{unit}")
    lines += ["", *(result.problems or ["Everything was let go of."])]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="aborts-") as folder:
        result = asyncio.run(campaign(options.count, Path(folder)))
    print(report(result))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
