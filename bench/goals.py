"""The measures of the table, and the goals: what must be reached and what is wished for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.collected import Collected, Measure, Spread, added, per_chunk, plain

SMALL: Final = Measure("small request, CPU", "ms", "small", plain("small", "cpu_ms"))
LARGE: Final = Measure("137 KB request, CPU", "ms", "large", plain("large", "cpu_ms"))
STREAM: Final = Measure("stream of one chunk, CPU", "ms", "stream-1", plain("stream-1", "cpu_ms"))
LARGE_STREAM: Final = Measure(
    "137 KB, stream of one chunk, CPU", "ms", "large-stream", plain("large-stream", "cpu_ms")
)
PACED: Final = Measure("paced chunk, CPU", "us", "paced", per_chunk("paced"))
PACED_TOOL: Final = Measure("paced tool-argument fragment, CPU", "us", "paced-tool", per_chunk("paced-tool"))
PACED_THINK: Final = Measure("paced reasoning fragment, CPU", "us", "paced-think", per_chunk("paced-think"))
BURST: Final = Measure("chunk in a burst, CPU", "us", "burst", per_chunk("burst"))
ADDED: Final = Measure("added to first text, small", "ms", "alone", added("alone"))
ADDED_LARGE: Final = Measure("added to first text, 137 KB", "ms", "alone-large", added("alone-large"))
ADDED_MORE: Final = Measure("added to first of two texts, small", "ms", "alone-more", added("alone-more"))
ADDED_MORE_LARGE: Final = Measure(
    "added to first of two texts, 137 KB", "ms", "alone-more-large", added("alone-more-large")
)
LAG: Final = Measure("lag p99, 32 streams of 200 chunks/s", "ms", "paced", plain("paced", "lag_ms", "p99"))
LAG_SLOW: Final = Measure("lag p99, 1,000 slow streams", "ms", "slow", plain("slow", "lag_ms", "p99"))
PER_STREAM: Final = Measure("memory per slow stream", "KB", "slow", plain("slow", "kb_per_stream"))
BLOCK: Final = Measure("block of the loop by a 1 MB request", "ms", "block", plain("block", "block_ms"))
START: Final = Measure("start until the first answer", "s", "start", plain("start", "start_s"))
IDLE: Final = Measure("memory before the first request", "MB", "memory", plain("memory", "rss_idle_mb"))
MEMORY: Final = Measure("memory after 10,000 requests", "MB", "memory", plain("memory", "rss_mb"))

MEASURES: Final = (
    SMALL, LARGE, STREAM, LARGE_STREAM, PACED, PACED_TOOL, PACED_THINK, BURST,
    ADDED, ADDED_LARGE, ADDED_MORE, ADDED_MORE_LARGE,
    LAG, LAG_SLOW, PER_STREAM, BLOCK, START, IDLE, MEMORY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goal:
    """`measure` of ours to `base` (or the same) of `reference`; without a reference the value itself."""

    measure: Measure
    at_least: float
    goal: float
    reference: str = ""
    base: Measure | None = None
    ours: str = "ours"

    @property
    def title(self) -> str:
        if not self.reference:
            return self.measure.name
        return (
            f"{self.measure.name} : {self.reference}"
            if self.base is None
            else (f"{self.measure.name} : {self.base.name}")
        )

    def result(self, run: Collected) -> Spread | None:
        """The ratios per repetition, or the values."""
        if self.reference:
            return self.measure.ratios(run, self.ours, self.reference, self.base)
        return self.measure.spread(run, self.ours)

    def mark(self, found: float) -> str:
        if found <= self.goal:
            return "goal"
        return "yes" if found <= self.at_least else "NO"


GOALS: Final = (
    Goal(PACED, 3.5, 2.2, "nginx"),
    Goal(PACED, 0.6, 0.37, "ccr"),
    Goal(PACED_TOOL, 1.15, 1.0, "ours", PACED),
    Goal(PACED_THINK, 1.15, 1.0, "ours", PACED),
    Goal(BURST, 0.4, 0.2, "ccr"),
    Goal(SMALL, 0.3, 0.19, "ccr"),
    Goal(SMALL, 0.06, 0.035, "litellm"),
    Goal(LARGE, 0.05, 0.03, "ccr"),
    Goal(LARGE, 0.09, 0.055, "litellm"),
    Goal(ADDED, 0.45, 0.25, "ccr"),
    Goal(ADDED_LARGE, 0.06, 0.04, "ccr"),
    Goal(ADDED_MORE, 0.45, 0.25, "ccr"),
    Goal(ADDED_MORE_LARGE, 0.06, 0.04, "ccr"),
    Goal(LAG, 4.0, 2.0, "nginx"),
    Goal(LAG_SLOW, 6.0, 3.0, "nginx"),
    Goal(MEMORY, 0.55, 0.42, "ccr"),
    Goal(PER_STREAM, 40.0, 25.0),
    Goal(SMALL, 1.15, 1.05, "ours-nobodies"),
    Goal(LARGE, 1.15, 1.05, "ours-nobodies"),
    Goal(STREAM, 1.15, 1.05, "ours-nobodies"),
    Goal(BURST, 1.15, 1.05, "ours-nobodies"),
    Goal(PACED, 1.15, 1.05, "ours-nobodies"),
    Goal(BLOCK, 20.0, 10.0),
)
