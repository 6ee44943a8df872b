"""Where the gateway's time goes: a sampling profile of one workload, by part and by function.

    python -m bench.profiling paced
    python -m bench.profiling large

Shares are of the samples in which a thread ran; the process is neither slowed down nor changed. Installs
py-spy in a folder of its own; needs permission to inspect another process (root, or ptrace allowed).
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.targets.all import TARGETS
from bench.targets.base import PEERS, ROOT, Setting, Target, run
from bench.visit import visit, warm_up
from bench.workloads import WORKLOADS, Workload

FOLDER: Final = PEERS / "py-spy"
RATE: Final = 400
SHOWN: Final = 40
# The first one that occurs in the file's path names the part.
PARTS: Final = (
    "gateway/conversion", "gateway/relay", "gateway/upstream", "gateway/history", "gateway/models",
    "gateway/wire", "gateway/api", "gateway/routing", "gateway", "ccproxy_site", "daphne", "twisted",
    "httpx", "httpcore", "h11", "anyio", "asgiref", "django", "asyncio", "uvicorn", "granian",
)  # fmt: skip
_FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>[^:()]+)(?::\d+)?\)")


def main() -> None:
    options = _options()
    workload = next(workload for workload in WORKLOADS if workload.name == options.workload)
    with tempfile.TemporaryDirectory(prefix="ccproxy-bench-") as folder, _upstream() as port:
        setting = Setting(port, (workload.model,), Path(folder) / options.target)
        target = TARGETS[options.target](setting)
        target.install()
        target.prepare()
        target.start()
        try:
            warm_up(target)
            stacks = _sampled(target, workload, options.seconds, Path(folder) / "stacks")
        finally:
            target.stop()
    print(report(stacks))


def report(stacks: Counter[str]) -> str:
    """Shares by thread, by part (the innermost frame of one), and by function (the innermost frame)."""
    threads: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, count in stacks.items():
        frames = stack.split(";")
        recorder = "history/record/recorder" in stack
        threads["recorder" if recorder else "everything else"] += count
        parts[("recorder: " if recorder else "") + _part(frames)] += count
        functions[_function(frames[-1])] += count
    total = sum(stacks.values())
    titles = (("thread", threads), ("part", parts), ("function", functions))
    return "\n\n".join(_shares(title, counts, total) for title, counts in titles)


def _shares(title: str, counts: Counter[str], total: int) -> str:
    lines = [f"{count / total:6.1%}  {name}" for name, count in counts.most_common(SHOWN)]
    return "\n".join([f"by {title}, of {total} samples", *lines])


def _part(frames: list[str]) -> str:
    """The part of the innermost frame that belongs to one."""
    for frame in reversed(frames):
        for part in PARTS:
            if f"{part}/" in frame:
                return part
    return "other"


def _function(frame: str) -> str:
    found = _FRAME.fullmatch(frame)
    if found is None:
        return frame
    return f"{found['function']} ({'/'.join(Path(found['file']).parts[-3:])})"


def _sampled(target: Target, workload: Workload, seconds: float, file: Path) -> Counter[str]:
    """Repeat the workload while samples are taken. Returns counts by stack."""
    program = [str(FOLDER / "bin" / "py-spy"), "record", "--pid", str(target.pid), "--nonblocking"]
    options = ["--rate", str(RATE), "--duration", str(round(seconds)), "--format", "raw", "--full-filenames"]
    spying = subprocess.Popen(
        [*program, *options, "--output", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        visit(target, workload)
    _, words = spying.communicate(timeout=30)
    if not file.is_file():
        raise SystemExit(f"no profile: {words}")
    stacks: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[stack] += int(count)
    return stacks


@contextlib.contextmanager
def _upstream() -> Iterator[int]:
    if not (FOLDER / "bin" / "py-spy").exists():
        run([sys.executable, "-m", "venv", str(FOLDER)])
        run([str(FOLDER / "bin" / "pip"), "install", "--quiet", "py-spy"])
    process = subprocess.Popen([sys.executable, "-m", "bench.upstream"], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "workload", choices=[workload.name for workload in WORKLOADS if workload.kind == "load"]
    )
    parser.add_argument("--target", default="ours", choices=["ours", "ours-nobodies", "uvicorn"])
    parser.add_argument("--seconds", type=float, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
