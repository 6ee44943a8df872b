"""What an attack costs a gateway: memory, CPU, and how long others wait meanwhile.

with watched(served) as toll:
    attack()
assert toll.memory < 50 and toll.cpu < 2 and toll.longest_health < 1

Much of it comes after the answer: the history of a request is written, its words are indexed. So
watching begins and ends with a gateway at rest; nothing is blamed on the attack that comes next.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server.conftest import Served

# seconds between two looks at /health, and the longest that one is waited for
PAUSE = 0.05
PATIENCE = 60.0
# at the gateway's threads, before it counts as resting
LOOKS = 5
MB = 1024 * 1024


@dataclass
class Toll:
    """What was used while the gateway was watched; summed over its processes.

    `memory`: MB of resident memory at the highest, above what it was before. `cpu`: seconds.
    `longest_health`: seconds that the slowest GET /health took; infinite when one failed. `held`: the most
    CPU seconds that the gateway used for others while one GET /health waited: at most so long would it have
    waited on a machine that does nothing else.
    """

    memory: float = 0.0
    cpu: float = 0.0
    longest_health: float = 0.0
    held: float = 0.0


def processes(served: Served) -> list[int]:
    """The gateway's process, and those that it started."""
    found = [served.process.pid]
    for pid in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def memory(pid: int, name: str = "VmRSS") -> float:
    """MB of a process, as /proc has it: VmRSS (now) or VmHWM (at the highest)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no {name}; has it ended?")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def health(served: Served, patience: float = PATIENCE) -> float:
    """Seconds until GET /health answered 200 on a connection of its own; infinite when it did not."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", served.port), timeout=patience) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
    except OSError:
        return float("inf")
    return time.monotonic() - began if answer.startswith(b"HTTP/1.1 200") else float("inf")


def at_rest(served: Served, pids: Sequence[int]) -> bool:
    """Whether nothing of what the gateway was sent is left to do: none of its threads runs, in several
    looks, and its history waits for nothing."""
    for _ in range(LOOKS):
        if any(map(runs, pids)):
            return False
        time.sleep(PAUSE / LOOKS)
    return not served.rows("SELECT 1 FROM gateway_followup LIMIT 1") and not list(
        served.data.rglob("*.spool")
    )


def runs(pid: int) -> bool:
    """Whether a thread of the process runs, wants to, or waits for a disk."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (thread / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


@contextlib.contextmanager
def watched(served: Served, only: Sequence[int] = ()) -> Iterator[Toll]:
    """Watch a gateway; what it cost stands in the value once the block is left.

    `only`: these of its processes, where others may end meanwhile.
    """
    toll = Toll()
    pids = only or processes(served)
    deadline = time.monotonic() + PATIENCE
    while not at_rest(served, pids):
        assert time.monotonic() < deadline, "the gateway never rests"
    for pid in pids:
        # let VmHWM begin anew
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = sum(map(memory, pids))
    used = sum(map(cpu, pids))
    over = threading.Event()

    def one_look() -> None:
        began = sum(map(cpu, pids))
        toll.longest_health = max(toll.longest_health, health(served))
        toll.held = max(toll.held, sum(map(cpu, pids)) - began)

    def look() -> None:
        while not over.wait(PAUSE):
            one_look()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield toll
    finally:
        over.set()
        looking.join()
    deadline = time.monotonic() + PATIENCE
    one_look()
    while not at_rest(served, pids):
        assert time.monotonic() < deadline, "the gateway never rests"
        one_look()
    toll.memory = sum(memory(pid, "VmHWM") for pid in pids) - before
    toll.cpu = sum(map(cpu, pids)) - used
