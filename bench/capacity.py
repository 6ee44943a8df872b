"""The capacity table of docs/operations.md, computed from the figures of the last run of the benchmark.

python -m bench.capacity             prints it
python -m bench.capacity --write     puts it into the page
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.collected import Collected, Measure
from bench.goals import LARGE_STREAM, MEMORY, PACED, PER_STREAM
from bench.table import markdown
from bench.targets.base import ROOT

RESULTS: Final = ROOT / "bench" / ".results" / "latest.json"
PAGE: Final = ROOT / "docs" / "operations.md"
BEGIN: Final = "<!-- capacity: python -m bench.capacity --write -->\n"
END: Final = "<!-- end of the capacity -->\n"
# half of a core is left for bursts
BUSY_MS: Final = 500.0
CHUNKS: Final = (100, 300, 1000)
CHUNKS_A_SECOND: Final = 50
PROCESSES: Final = (1, 2, 4)
STREAMS: Final = 200
# the body, its JSON, what is sent, while a request is under way
_OPEN: Final = "requests under way × 3 × their size"


class Figures(NamedTuple):
    """CPU in ms, memory in MB, a stream in KB."""

    request: float
    chunk: float
    process: float
    stream: float


def figures(run: Collected) -> Figures:
    """Medians of ours. Raises ValueError when the run left one of them out."""

    def median(measure: Measure) -> float:
        spread = measure.spread(run, "ours")
        if spread is None:
            raise ValueError(f"the last run has no figure for: {measure.name}")
        return spread.median

    return Figures(median(LARGE_STREAM), median(PACED) / 1000, median(MEMORY), median(PER_STREAM))


def page(found: Figures) -> str:
    """The part of the page between its two marks."""
    inputs = markdown(
        ["Measured, one process", "Figure"],
        [
            ["a request of 137 KB with the first chunk of its answer", f"{found.request:.2f} ms CPU"],
            ["each further chunk", f"{found.chunk:.3f} ms CPU"],
            ["memory of a process after 10,000 requests", f"{found.process:.0f} MB"],
            ["memory of a slow stream", f"{found.stream:.1f} KB"],
        ],
    )
    formulas = f"""    CPU of one answer = {found.request:.2f} ms + chunks × {found.chunk:.3f} ms
    answers a second and core = {BUSY_MS:.0f} ms / CPU of one answer     (half of the core is left for bursts)
    streams at once and core = {BUSY_MS:.0f} ms / (chunks a second and stream × {found.chunk:.3f} ms)
    memory = processes × {found.process:.0f} MB + streams × {found.stream:.1f} KB + {_OPEN}
"""
    streams = BUSY_MS / (CHUNKS_A_SECOND * found.chunk)
    answers = markdown(
        [
            "Chunks of an answer to 137 KB",
            "Answers a second and core",
            "Answers an hour and core",
            f"At {CHUNKS_A_SECOND} chunks/s: streams at once and core",
        ],
        [_answers(found, chunks, streams) for chunks in CHUNKS],
    )
    memory = markdown(
        ["Processes", f"Memory with {STREAMS} streams each"],
        [[str(n), f"{n * (found.process + STREAMS * found.stream / 1024):.0f} MB"] for n in PROCESSES],
    )
    return "\n".join((inputs, "", formulas, answers, "", memory, ""))


def _answers(found: Figures, chunks: int, streams: float) -> Sequence[str]:
    rate = BUSY_MS / (found.request + chunks * found.chunk)
    return [f"{chunks:,}", f"{rate:.0f}", f"{rate * 3600:,.0f}", f"{streams:.0f}"]


def written(text: str, part: str) -> str:
    """The page's text with `part` between the marks. Raises ValueError when they are missing."""
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"the page has no {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}{part}{END}{after}"


def main(arguments: Sequence[str], results: Path = RESULTS, target: Path = PAGE) -> int:
    if not results.exists():
        print("Nothing was measured yet: make bench", file=sys.stderr)
        return 1
    part = page(figures(Collected(json.loads(results.read_text())["visits"])))
    if "--write" in arguments:
        target.write_text(written(target.read_text(), part))
    else:
        print(part)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
