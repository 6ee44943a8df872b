"""The load generator: a bounded number of requests at a fixed concurrency, every answer verified.

    echo '{"port": 8082, "model": "ep-1-0ms-text", ...}' | python -m bench.load

One Job as JSON on standard input, one result as JSON on standard output. During the run it only stores what
it reads, with the time; decoding and verification come afterwards. It connects to the loopback interface
only.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.bodies import NUMBER, Size, body
from bench.captured import Captured
from bench.results import result_of
from bench.verify import Form

HOST: Final = "127.0.0.1"
_END_OF_CHUNKS: Final = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Job:
    """`ramp`: seconds over which the connections start. `settle`: lags of text written earlier than
    this many seconds after the start are left out. `timeout`: seconds for the whole job."""

    port: int
    model: str
    size: Size = "small"
    stream: bool = True
    form: Form = "messages"
    path: str = "/v1/messages"
    key: str = "bench"
    upstream_model: str = ""
    concurrency: int = 1
    count: int = 1
    ramp: float = 0.0
    settle: float = 0.0
    timeout: float = 120.0

    def request(self) -> bytes:
        """Head and body with NUMBER in it. `upstream_model` replaces the name in the body."""
        text = body(self.model, self.size, stream=self.stream)
        if self.upstream_model:
            text = text.replace(json.dumps(self.model).encode(), json.dumps(self.upstream_model).encode(), 1)
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\naccept: application/json\r\n"
            f"user-agent: bench\r\nx-api-key: {self.key}\r\nauthorization: Bearer {self.key}\r\n"
            "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
            f"content-length: {len(text)}\r\n\r\n"
        )
        return head.encode() + text


class Client(asyncio.Protocol):
    """One connection: sends, stores what comes, and sends again while there is something left."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._current: Captured | None = None
        self._length: int | None = None
        self._size = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.next_request()

    def next_request(self) -> None:
        assert self._transport is not None
        if not self._load.take():
            self._transport.close()
            return
        self._length, self._size, self._tail = None, 0, b""
        self._current = Captured(self._load.job.model, time.monotonic_ns())
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        current = self._current
        if current is None:
            return
        current.reads.append((time.monotonic_ns(), data))
        self._size += len(data)
        if self._length is None:
            self._find_length(current)
        if self._length == -1:
            self._tail = data[-7:] if len(data) >= 7 else (self._tail + data)[-7:]
            if self._tail == _END_OF_CHUNKS:
                self._ended(current)
        elif self._length is not None and self._size >= self._length:
            self._ended(current)

    def _find_length(self, current: Captured) -> None:
        """The length of the whole answer once its head is here; -1: it ends with its last chunk."""
        start = b"".join(data for _, data in current.reads)
        head, found, _ = start.partition(b"\r\n\r\n")
        if found:
            _, named, rest = head.lower().partition(b"\r\ncontent-length:")
            self._length = len(head) + 4 + int(rest.split(b"\r\n")[0]) if named else -1

    def _ended(self, current: Captured) -> None:
        self._current = None
        self._load.done(current)
        self.next_request()

    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None
        if self._current is not None:
            self._load.done(self._current)
        self._load.lost(self)


class Load:
    """The run of one job. Answers that have not ended at `timeout` are kept as they are, and judged wrong."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._before, self._after = job.request().split(NUMBER.encode())
        self._left = job.count
        self._answers: list[Captured] = []
        self._open = 0
        self._finished = asyncio.Event()
        self.problems: list[str] = []

    def request(self) -> bytes:
        """The next request; no other has its number."""
        return b"%b%018d%b" % (self._before, time.monotonic_ns(), self._after)

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def done(self, captured: Captured) -> None:
        self._answers.append(captured)

    def lost(self, _: Client) -> None:
        self._open -= 1
        if self._left > 0:
            # the server does not keep connections open, or dropped this one
            self._open += 1
            asyncio.get_running_loop().create_task(self._connect())
        elif self._open <= 0:
            self._finished.set()

    async def _connect(self, delay: float = 0.0) -> None:
        await asyncio.sleep(delay)
        try:
            await asyncio.get_running_loop().create_connection(lambda: Client(self), HOST, self.job.port)
        except OSError as problem:
            self.problems.append(f"cannot connect: {problem}")
            self._left = 0
            self.lost(None)  # type: ignore[arg-type]

    async def run(self) -> list[Captured]:
        count = min(self.job.concurrency, self.job.count)
        self._open = count
        step = self.job.ramp / count
        connecting = [asyncio.create_task(self._connect(number * step)) for number in range(count)]
        try:
            await asyncio.wait_for(self._finished.wait(), self.job.timeout)
        except TimeoutError:
            self.problems.append(f"not finished after {self.job.timeout} s")
        for task in connecting:
            task.cancel()
        return self._answers


async def measured(job: Job) -> dict[str, Any]:
    """Run a job. The result's fields are those of results.result_of, and the generator's own CPU share."""
    load = Load(job)
    cpu, started = time.process_time(), time.monotonic_ns()
    answers = await load.run()
    seconds = (time.monotonic_ns() - started) / 1e9
    share = (time.process_time() - cpu) / seconds
    settled = started + int(job.settle * 1e9)
    result = result_of(answers, job.form, stream=job.stream, expected=job.count, settled=settled)
    result["problems"] = load.problems + result["problems"]
    return {**result, "seconds": seconds, "generator_share": share, "job": asdict(job)}


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < 4096 else soft, hard))
    print(json.dumps(asyncio.run(measured(Job(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
