"""A session of a client laid out: its agents as a tree, its numbers, and where the time went (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from django.utils.translation import gettext as _

from gateway.admin.inert import inert
from gateway.admin.pictures import Picture, Span, picture

# rows of one session that are counted and drawn, and those that are listed; the newest
MOST_ROWS: Final = 1_000
MOST_LISTED: Final = 200
DEEPEST: Final = 8
# longer pauses are drawn so long, in milliseconds
LONGEST_PAUSE: Final = 60_000.0


@dataclass(slots=True)
class Agent:
    """`id` is "" for the main one. `depth` counts from 0. `listed`: the turns to list, with their numbers."""

    id: str
    parent: str = ""
    depth: int = 0
    rows: list[Any] = field(default_factory=list)
    name: str = ""
    listed: list[tuple[int, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    calls: int
    failures: int


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """Milliseconds: `waiting` until first bytes, `answering` after them, `elsewhere` between the requests."""

    whole: float
    waiting: float
    answering: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class Numbers:
    requests: int
    failed: int
    retries: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost: Decimal | None
    unpriced: int

    @property
    def cache_hits(self) -> float | None:
        """Percent of the tokens that went in which came from the provider's cache."""
        whole = self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
        return 100 * self.cache_read_tokens / whole if whole else None


def agents(rows: Iterable[Any]) -> list[Agent]:
    """Who took part, each under the one that sent it, in order of appearance; rows oldest first."""
    found: dict[str, Agent] = {}
    for row in rows:
        agent = found.setdefault(row.agent_id, Agent(row.agent_id, row.parent_agent_id))
        agent.rows.append(row)
    below: dict[str, list[Agent]] = {}
    roots = []
    for agent in found.values():
        # a parent that is not here, or the agent itself: it belongs to the main one
        parent = agent.parent if agent.parent in found and agent.parent != agent.id else ""
        if agent.id == "" or ("" not in found and parent == ""):
            roots.append(agent)
        else:
            below.setdefault(parent, []).append(agent)
    ordered: list[Agent] = []
    for root in roots:
        _walk(root, 0, below, ordered)
    # what a circle of parents left out
    seen = {agent.id for agent in ordered}
    ordered += [agent for agent in found.values() if agent.id not in seen]
    newest = {
        row.pk for row in sorted(chain.from_iterable(agent.rows for agent in ordered), key=_age)[:MOST_LISTED]
    }
    number = 0
    for agent in ordered:
        agent.listed = [(turn, row) for turn, row in enumerate(agent.rows, 1) if row.pk in newest]
        number += agent.id != ""
        agent.name = _("subagent %(number)s") % {"number": number} if agent.id else _("main agent")
    return ordered


def _age(row: Any) -> float:
    return -float(row.started_at.timestamp())


def _walk(agent: Agent, depth: int, below: dict[str, list[Agent]], ordered: list[Agent]) -> None:
    agent.depth = min(depth, DEEPEST)
    ordered.append(agent)
    for child in below.pop(agent.id, ()):
        _walk(child, depth + 1, below, ordered)


def numbers(rows: Sequence[Any]) -> Numbers:
    """The sums over rows; unknown tokens are no tokens, unpriced rows are counted."""

    def total(name: str) -> int:
        return sum(getattr(row, name) or 0 for row in rows)

    costs = [row.cost for row in rows if row.cost is not None]
    return Numbers(
        requests=len(rows),
        failed=sum(row.state in ("error", "broken", "interrupted") for row in rows),
        retries=sum(max(0, row.attempts - 1) for row in rows),
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        cache_read_tokens=total("cache_read_tokens"),
        cache_write_tokens=total("cache_write_tokens"),
        cost=sum(costs, Decimal(0)) if costs else None,
        unpriced=len(rows) - len(costs),
    )


def tools(rows: Iterable[Any]) -> list[Tool]:
    """The tools by how often they were called; failures are results that came back as errors."""
    calls: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for row in rows:
        calls.update(inert(str(name)) for name in row.tools_called)
        failures.update(inert(str(name)) for name in row.tools_failed)
    names = sorted(calls | failures, key=lambda name: (-calls[name], name))
    return [Tool(name, calls[name], failures[name]) for name in names]


def time_spent(rows: Sequence[Any]) -> TimeSpent:
    """Where the time of a session went. Subagents work side by side, so parts are of the union."""
    if not rows:
        return TimeSpent(0, 0, 0, 0)
    start = min(row.started_at for row in rows)
    spans = [(_since(start, row.started_at), row.duration_ms or 0) for row in rows]
    busy = sum(end - begin for begin, end in _union((at, at + took) for at, took in spans))
    answering = sum(
        end - begin
        for begin, end in _union(
            (at + (row.first_byte_ms if row.first_byte_ms is not None else took), at + took)
            for row, (at, took) in zip(rows, spans, strict=True)
        )
    )
    whole = max(at + took for at, took in spans)
    return TimeSpent(whole, max(0.0, busy - answering), answering, max(0.0, whole - busy))


def session_picture(found: Sequence[Agent], links: dict[int, str]) -> Picture:
    """Each request as a bar in the row of its agent; `links` by primary key. Long pauses are shortened."""
    rows = [row for agent in found for row in agent.rows]
    if not rows:
        return picture([], [], 0)
    start = min(row.started_at for row in rows)
    shortened = _Shortened(_union((_since(start, row.started_at), _end(start, row)) for row in rows))
    spans: list[Span] = []
    for number, agent in enumerate(found):
        for row in agent.rows:
            at = shortened(_since(start, row.started_at))
            took = float(row.duration_ms or 0)
            first = float(row.first_byte_ms) if row.first_byte_ms is not None else took
            text = f"{inert(row.asked_model)} {row.started_at:%H:%M:%S} {row.get_state_display()}"
            kind = "answering" if row.state in ("ok", "open") else "failed"
            link = links.get(row.pk, "")
            spans.append(Span(number, at, min(first, took), "waiting", text, link))
            spans.append(Span(number, at + first, max(0.0, took - first), kind, text, link))
    length = max(span.start + span.took for span in spans)
    drawn = picture(spans, [agent.name for agent in found], length)
    return drawn if not shortened.pauses else Picture(drawn.shapes, [], drawn.labels, drawn.height)


class _Shortened:
    """Milliseconds since the start as they are drawn: pauses between `busy` spans are cut short."""

    def __init__(self, busy: Iterable[tuple[float, float]]) -> None:
        self.pauses: list[tuple[float, float]] = []
        before = 0.0
        for begin, end in busy:
            if begin - before > LONGEST_PAUSE:
                self.pauses.append((begin, begin - before - LONGEST_PAUSE))
            before = end

    def __call__(self, at: float) -> float:
        return at - sum(cut for begin, cut in self.pauses if begin <= at)


def _union(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans that overlap, as one, in order."""
    current: tuple[float, float] | None = None
    for begin, end in sorted(spans):
        if current is not None and begin <= current[1]:
            current = (current[0], max(current[1], end))
        else:
            if current is not None:
                yield current
            current = (begin, end)
    if current is not None:
        yield current


def _end(start: datetime, row: Any) -> float:
    return _since(start, row.started_at) + float(row.duration_ms or 0)


def _since(start: datetime, at: datetime) -> float:
    return (at - start).total_seconds() * 1000
