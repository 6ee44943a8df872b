"""What every target is asked to do. Bounded counts, fixed concurrency."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

from bench.bodies import Size

Kind = Literal["load", "slow", "block", "memory", "start"]

# A chunk costs (a stream of 300 - a stream of 1) / 299.
CHUNKS: Final = 300


@dataclass(frozen=True, slots=True)
class Workload:
    """`count` requests at `concurrency`. `scaled`: slow targets get fewer requests. `only`: these targets;
    `never`: not these. `ramp` and `settle` as in load.Job."""

    name: str
    what: str
    model: str = "ep-1-0ms-text"
    kind: Kind = "load"
    size: Size = "small"
    stream: bool = True
    concurrency: int = 8
    count: int = 400
    scaled: bool = True
    ramp: float = 0.0
    settle: float = 0.0
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def visits(self, target: str) -> bool:
        return target not in self.never and (not self.only or target in self.only)

    def count_for(self, share: float) -> int:
        return max(self.concurrency, round(self.count * share)) if self.scaled else self.count

    def quick(self) -> Workload:
        """The same with fewer requests."""
        smaller = max(self.concurrency, self.count // 4)
        if self.kind == "slow":
            return dataclasses.replace(self, concurrency=200, count=200)
        return dataclasses.replace(self, count=smaller if self.kind != "memory" else 2_000)


WORKLOADS: Final = (
    Workload("small", "1 KB request, not streamed", stream=False, count=1_000),
    Workload("large", "137 KB request, not streamed", stream=False, size="large", count=200),
    Workload("stream-1", "1 KB request, a stream of one chunk", count=800),
    Workload("large-stream", "137 KB request, a stream of one chunk", size="large", count=200),
    Workload("burst", "300 chunks in one burst", "ep-300-0ms-text", count=240),
    Workload(
        "paced", "300 chunks, one each 5 ms, 32 streams", "ep-300-5ms-text-clock",
        concurrency=32, count=64, scaled=False,
    ),
    Workload(
        "paced-tool", "the same with fragments of tool arguments", "ep-300-5ms-tool",
        concurrency=32, count=64, scaled=False,
    ),
    Workload(
        "paced-think", "the same with reasoning", "ep-300-5ms-think",
        concurrency=32, count=64, scaled=False,
    ),
    Workload("alone", "1 KB request alone, streamed", concurrency=1, count=200),
    Workload("alone-large", "137 KB request alone, streamed", size="large", concurrency=1, count=60),
    # the first text while the rest of the answer, and with it its end, is still to come
    Workload(
        "alone-more", "1 KB request alone, a second chunk follows", "ep-2-5ms-text", concurrency=1, count=100
    ),
    Workload(
        "alone-more-large", "137 KB request alone, a second chunk follows", "ep-2-5ms-text", size="large",
        concurrency=1, count=60,
    ),
    # synchronous ticks: all the streams have something to send in the same turn
    Workload(
        "slow", "1,000 streams, one chunk each 500 ms", "ep-24-500ms-text-clock", kind="slow",
        concurrency=1_000, count=1_000, scaled=False, ramp=5.0, settle=6.0,
        never=("litellm", "ours-nobodies"),
    ),
    Workload(
        "block", "one request of 1 MB beside a ping each millisecond", kind="block", size="huge",
        concurrency=1, count=8,
    ),
    Workload("start", "start until the first answer", kind="start"),
    Workload(
        "memory", "resident memory after 10,000 small requests", kind="memory", stream=False, count=10_000,
        scaled=False, never=("litellm",),
    ),
)  # fmt: skip
ONCE: Final = ("start", "memory")
