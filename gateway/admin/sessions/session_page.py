"""The layout of a session: its agents as a tree, its numbers, and where the time went (pure)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _

from gateway.admin.ui.sanitize import inert
from gateway.admin.ui.timeline_svg import Picture, Span, picture
from gateway.models.history.request_log import State

# How many of the newest turns are read for tools and times, are drawn, and are listed on one page. Listing
# is what costs.
MOST_TURNS: Final = 5_000
MOST_DRAWN: Final = 1_000
LISTED: Final = 200
DEEPEST: Final = 8
# longer pauses are drawn at this length, in milliseconds
LONGEST_PAUSE: Final = 60_000.0


class SessionTurn(NamedTuple):
    """The columns of RequestLog that the tree, the timeline and the tables need of each request."""

    pk: int
    started_at: datetime
    agent_id: str
    parent_agent_id: str
    asked_model: str
    state: str
    first_byte_ms: int | None
    duration_ms: int | None
    tools_called: list[Any]
    tools_failed: list[Any]
    provider: str = ""
    upstream_model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cost: Decimal | None = None
    usage_estimated: bool = False
    service_tier: str = ""


@dataclass(slots=True)
class Agent:
    """`id` is "" for the main one. `depth` counts from 0. `listed`: the rows to list, with their numbers.
    `sums`: the numbers of all its rows, as history/totals/sessions.py has them."""

    id: str
    parent: str = ""
    depth: int = 0
    turns: list[Any] = field(default_factory=list)
    name: str = ""
    listed: list[tuple[int, Any]] = field(default_factory=list)
    sums: Mapping[str, Any] = field(default_factory=dict)


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
class SessionSums:
    """The sums of a session, as history/totals/sessions.py has them."""

    requests: int
    failed: int
    retries: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost: Decimal | None
    unpriced: int
    context_tokens: int

    @classmethod
    def of(cls, sums: Mapping[str, Any]) -> SessionSums:
        """From `sums` of a session's totals."""
        return cls(**{each.name: sums[each.name] for each in fields(cls)})

    @property
    def cache_hits(self) -> float | None:
        """The percentage of input tokens that came from the provider's cache."""
        whole = self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
        return 100 * self.cache_read_tokens / whole if whole else None


def agents(turns: Iterable[Any], listed: Mapping[int, Any] | None = None) -> list[Agent]:
    """The agents, each below its parent, in order of appearance; their turns oldest first.

    `listed`: the rows to list, by primary key.
    """
    found: dict[str, Agent] = {}
    for turn in turns:
        agent = found.get(turn.agent_id)
        if agent is None:
            agent = found[turn.agent_id] = Agent(turn.agent_id, turn.parent_agent_id)
        agent.turns.append(turn)
    below: dict[str, list[Agent]] = {}
    roots = []
    for agent in found.values():
        # the parent is missing or is the agent itself: put it below the main agent
        parent = agent.parent if agent.parent in found and agent.parent != agent.id else ""
        if agent.id == "" or ("" not in found and parent == ""):
            roots.append(agent)
        else:
            below.setdefault(parent, []).append(agent)
    ordered: list[Agent] = []
    for root in roots:
        _walk(root, 0, below, ordered)
    # agents in a cycle of parents were not reached
    seen = {agent.id for agent in ordered}
    ordered += [agent for agent in found.values() if agent.id not in seen]
    listed = listed or {}
    number = 0
    for agent in ordered:
        agent.listed = [
            (place, listed[turn.pk]) for place, turn in enumerate(agent.turns, 1) if turn.pk in listed
        ]
        number += agent.id != ""
        agent.name = _("subagent %(number)s") % {"number": number} if agent.id else _("main agent")
    return ordered


def _walk(agent: Agent, depth: int, below: dict[str, list[Agent]], ordered: list[Agent]) -> None:
    agent.depth = min(depth, DEEPEST)
    ordered.append(agent)
    for child in below.pop(agent.id, ()):
        _walk(child, depth + 1, below, ordered)


def tools(turns: Iterable[Any]) -> list[Tool]:
    """The tools by how often they were called; failures are results that came back as errors."""
    calls: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for turn in turns:
        calls.update(inert(str(name)) for name in turn.tools_called)
        failures.update(inert(str(name)) for name in turn.tools_failed)
    names = sorted(calls | failures, key=lambda name: (-calls[name], name))
    return [Tool(name, calls[name], failures[name]) for name in names]


def time_spent(turns: Sequence[Any]) -> TimeSpent:
    """Where the time of a session went. Subagents run in parallel, so overlapping spans count once."""
    if not turns:
        return TimeSpent(0, 0, 0, 0)
    start = min(turn.started_at for turn in turns)
    spans = [(_since(start, turn.started_at), turn.duration_ms or 0) for turn in turns]
    busy = sum(end - begin for begin, end in _union((at, at + took) for at, took in spans))
    answering = sum(
        end - begin
        for begin, end in _union(
            (at + (turn.first_byte_ms if turn.first_byte_ms is not None else took), at + took)
            for turn, (at, took) in zip(turns, spans, strict=True)
        )
    )
    whole = max(at + took for at, took in spans)
    return TimeSpent(whole, max(0.0, busy - answering), answering, max(0.0, whole - busy))


def session_picture(found: Sequence[Agent], link: Callable[[int], str]) -> Picture:
    """The newest requests as bars in the rows of their agents. Long pauses are shortened.

    `link`: the address for a primary key.
    """
    drawn = _drawn(found)
    if not drawn:
        return picture([], [], 0)
    every = list(chain.from_iterable(turns for _agent, turns in drawn))
    start = min(turn.started_at for turn in every)
    shortened = _Shortened(_union((_since(start, turn.started_at), _end(start, turn)) for turn in every))
    # translated once for a thousand bars
    states = {state.value: str(state.label) for state in State}
    models = {model: inert(model) for model in {turn.asked_model for turn in every}}
    spans: list[Span] = []
    for number, (_agent, turns) in enumerate(drawn):
        for turn in turns:
            at = shortened(_since(start, turn.started_at))
            took = float(turn.duration_ms or 0)
            first = float(turn.first_byte_ms) if turn.first_byte_ms is not None else took
            state = states.get(turn.state, turn.state)
            text = f"{models[turn.asked_model]} {timezone.localtime(turn.started_at):%H:%M:%S} {state}"
            kind = "answering" if turn.state in ("ok", "open") else "failed"
            address = link(turn.pk)
            spans.append(Span(number, at, min(first, took), "waiting", text, address))
            spans.append(Span(number, at + first, max(0.0, took - first), kind, text, address))
    length = max(span.start + span.took for span in spans)
    laid = picture(spans, [agent.name for agent, _turns in drawn], length)
    return laid if not shortened.pauses else Picture(laid.shapes, [], laid.labels, laid.height)


def _drawn(found: Sequence[Agent]) -> list[tuple[Agent, list[Any]]]:
    """The newest turns by agent, without agents that have none of them."""
    every = sorted(
        chain.from_iterable(agent.turns for agent in found), key=lambda turn: turn.started_at, reverse=True
    )
    newest = {turn.pk for turn in islice(every, MOST_DRAWN)}
    kept = [(agent, [turn for turn in agent.turns if turn.pk in newest]) for agent in found]
    return [(agent, turns) for agent, turns in kept if turns]


class _Shortened:
    """Converts milliseconds since the start for the picture: pauses between `busy` spans are shortened."""

    def __init__(self, busy: Iterable[tuple[float, float]]) -> None:
        # where pauses end, and how much was cut up to there
        self.pauses: list[float] = []
        self._cut = [0.0]
        before = 0.0
        for begin, end in busy:
            if begin - before > LONGEST_PAUSE:
                self.pauses.append(begin)
                self._cut.append(self._cut[-1] + begin - before - LONGEST_PAUSE)
            before = end

    def __call__(self, at: float) -> float:
        return at - self._cut[bisect_right(self.pauses, at)]


def _union(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The spans in order, with overlapping ones merged."""
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


def _end(start: datetime, turn: Any) -> float:
    return _since(start, turn.started_at) + float(turn.duration_ms or 0)


def _since(start: datetime, at: datetime) -> float:
    return (at - start).total_seconds() * 1000
