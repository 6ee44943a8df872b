"""To whom the facts of requests are attributed, and what they add to the totals (pure).

What a request is by itself (failed, cost, time) counts for its own target. What it says about an earlier
one (results of calls, an interruption) counts for the target of that one, in the hour of that one. The
turns of one agent are looked at in the order in which they began, so the same turns give the same numbers
in whatever order they are processed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.client_protocol.purpose import RequestClass, counted_as
from gateway.conversion.repairs import ARGUMENTS, PLACEHOLDER
from gateway.history.outcome import BROKEN, CANCELLED, ERROR, OK
from gateway.history.outcomes.turn_facts import Result, TurnFacts
from gateway.history.outcomes.units import CountedAs, SessionShare, unit
from gateway.history.totals.contributions import FOLDED_ASKED, FOLDED_UPSTREAM
from gateway.models.history.hourly_total import BUCKETS, FIRST_BYTE_BOUNDS, OTHER
from gateway.models.history.outcome_total import EVERY_CLASS

# how many turns before a request are looked at
LOOK_BACK: Final = 12
# classes of requests that carry an agent's conversation on
CONVERSING: Final = frozenset(
    {
        RequestClass.MAIN,
        RequestClass.SUBAGENT,
        RequestClass.WORKFLOW,
        RequestClass.UNKNOWN,
        RequestClass.COMPACTION,
    }
)
# of these, the ones in which a person's message may stand
_SPOKEN_TO: Final = frozenset({RequestClass.MAIN, RequestClass.WORKFLOW, RequestClass.UNKNOWN})
_CUT: Final = frozenset({"max_tokens", "model_context_window_exceeded"})
_REPAIRED: Final = frozenset({ARGUMENTS.note, PLACEHOLDER.note})
# so that sums of squares fit into 64 bits
_MOST_TOKENS: Final = 10_000_000
_MOST_MS: Final = 10_000_000


class OutcomeSlot(NamedTuple):
    """Where something counts: OutcomeTotal.SLOT."""

    hour: int
    mapping_pk: int
    mapping: str
    provider: str
    upstream_model: str
    request_class: str


class TurnRow(NamedTuple):
    """What counts of an ended request: columns of RequestLog under the same names.

    `hour` in which it began; `cost_units` are COST_UNIT each, None: unpriced.
    """

    request_id: str
    hour: int
    session_id: str
    agent_id: str
    owner_id: int | None
    client_key_id: int | None
    mapping_pk: int | None
    mapping: str
    provider: str
    upstream_model: str
    asked_model: str
    folded: int
    request_class: str
    task: str
    state: str
    stop_reason: str
    streamed: bool
    usage_estimated: bool
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cost_units: int | None
    first_byte_ms: int | None
    duration_ms: int | None
    attempts: int
    ledger: Sequence[Mapping[str, Any]]
    tools_called: Sequence[str]
    tools_failed: Sequence[str]
    prompt_id: str

    @property
    def was_sent(self) -> bool:
        """Whether a provider was asked. Its mapping, limits of the key, or an answer that the gateway gives
        itself say nothing about a model.
        """
        return bool(self.provider) and self.attempts > 0


class Attempted(NamedTuple):
    """One try of a request at a target."""

    provider: str
    upstream_model: str
    state: str


class AgentTurn(NamedTuple):
    """One request of an agent. `prompt`: what it worked for, when it was counted before."""

    row: TurnRow
    facts: TurnFacts
    tries: Sequence[Attempted] = ()
    prompt: str = ""

    @property
    def called(self) -> list[str]:
        """The tools of its calls: from the answer where that is kept, else from the row."""
        return [call.tool for call in self.facts.calls] or [str(tool) for tool in self.row.tools_called]

    @property
    def slot(self) -> OutcomeSlot:
        return self.at(self.row.provider, self.row.upstream_model)

    def at(self, provider: str, upstream_model: str) -> OutcomeSlot:
        """Where something counts that concerns another target. A name that is not told apart is OTHER."""
        row = self.row
        folded = (row.folded & FOLDED_UPSTREAM and upstream_model == row.upstream_model) or (
            row.folded & FOLDED_ASKED and upstream_model == row.asked_model
        )
        return OutcomeSlot(
            row.hour, row.mapping_pk or 0, row.mapping, provider, OTHER if folded else upstream_model,
            counted_as(row.request_class, row.task),
        )  # fmt: skip


Numbers = dict[str, int]


class Sums:
    """Numbers by slot, and by slot and tool."""

    __slots__ = ("of", "tools")

    def __init__(self) -> None:
        self.of: dict[OutcomeSlot, Numbers] = {}
        self.tools: dict[tuple[OutcomeSlot, str], Numbers] = {}

    def add(self, slot: OutcomeSlot, **numbers: int) -> None:
        _add(self.of, slot, numbers)

    def add_call(self, slot: OutcomeSlot, tool: str, **numbers: int) -> None:
        """Numbers of one call: in all, and by its tool."""
        _add(self.of, slot, numbers)
        _add(self.tools, (slot, tool), numbers)


def _add(sums: dict[Any, Numbers], key: Any, numbers: Mapping[str, int]) -> None:
    kept = sums.setdefault(key, {})
    for name, number in numbers.items():
        if number:
            kept[name] = kept.get(name, 0) + number


class Derived(NamedTuple):
    """What one turn counts for: `own` of itself, `told` of the turn whose results it brought or that it
    interrupted, and its share in `units`: its session and its prompt. `told_of`: the request id of that turn.
    """

    own: Sums
    told: Sums
    share: SessionShare | None
    units: Sequence[CountedAs]
    prompt: str
    told_of: str


def derived(turns: Sequence[AgentTurn], first: int) -> Iterator[Derived]:
    """What the turns of one agent from number `first` on count for; they are in the order in which they
    began.

    Those before `first` are what they are attributed to. Turns of no agent's conversation are derived one
    by one.
    """
    prompts = {number: turn.prompt for number, turn in enumerate(turns[:first])}
    # results that somebody brought before
    told: set[str] = {result.id for turn in turns[:first] for result in turn.facts.results}
    for number in range(first, len(turns)):
        turn = turns[number]
        before = _before(turns, number)
        caller = _caller(turns, number, told)
        found = _prompt(turn, turns, before, caller, prompts)
        # what was before it may have been purged
        prompts[number] = found or (turn.prompt if before is None and caller is None else "")
        sums = Sums()
        new = [result for result in turn.facts.results if result.id not in told]
        told.update(result.id for result in new)
        told_of = ""
        if caller is not None:
            told_of = turns[caller].row.request_id
            _count_results(turns, number, caller, new, sums)
        if before is not None and turns[before].row.was_sent and _interrupts(turn, turns[before]):
            sums.add(turns[before].slot, interruptions=1)
            told_of = told_of or turns[before].row.request_id
        yield Derived(
            _own(turn, turns, before), sums, *_shares(turn, prompts[number]), prompts[number], told_of
        )


def _before(turns: Sequence[AgentTurn], number: int) -> int | None:
    """The turn of the conversation before this one; compactions are beside it."""
    for place in range(number - 1, max(-1, number - 1 - LOOK_BACK), -1):
        if turns[place].row.request_class != RequestClass.COMPACTION:
            return place
    return None


def _caller(turns: Sequence[AgentTurn], number: int, told: set[str]) -> int | None:
    """The turn whose calls this one brings the results of, and nobody did before; None: no such turn is
    known.

    By the ids of the calls. Where contents are not kept, it is the turn before, if it called something.
    """
    turn = turns[number]
    earliest = max(-1, number - 1 - LOOK_BACK)
    wanted = {result.id for result in turn.facts.results} - told
    if (turn.facts.read and not wanted) or turn.row.request_class not in CONVERSING:
        return None
    for place in range(number - 1, earliest, -1):
        earlier = turns[place]
        if turn.facts.read and earlier.facts.calls:
            if earlier.row.state == OK and any(call.id in wanted for call in earlier.facts.calls):
                return place
        elif not turn.facts.read and earlier.row.request_class == RequestClass.COMPACTION:
            continue
        elif not turn.facts.read or earlier.called:
            # the first turn after it, whatever became of that, has its results
            return place if earlier.row.state == OK and earlier.called else None
    return None


def _count_results(
    turns: Sequence[AgentTurn], number: int, caller: int, new: Sequence[Result], sums: Sums
) -> None:
    turn, slot = turns[number], turns[caller].slot
    if not turn.facts.read:
        failed = list(turn.row.tools_failed)
        for tool in turns[caller].called:
            wrong = tool in failed
            if wrong:
                failed.remove(tool)
            sums.add_call(slot, tool, results=1, errors=int(wrong))
        return
    earliest = max(0, number - LOOK_BACK)
    seen = {result.pair for earlier in turns[earliest:number] for result in earlier.facts.results}
    # what a retry brings again is in `turns` too, but is not in `new`
    for result in new:
        sums.add_call(
            slot,
            result.tool,
            results=1,
            compared=1,
            errors=int(result.end in ("error", "arguments")),
            rejected=int(result.end == "rejected"),
            invalid_arguments=int(result.end == "arguments"),
            loops=int(result.pair in seen),
        )
        seen.add(result.pair)


def _interrupts(turn: AgentTurn, before: AgentTurn) -> bool:
    """Whether the person interrupted since the turn before: the same tail said it less often then."""
    if turn.row.request_class == RequestClass.COMPACTION:
        return False
    known = before.facts.markers if before.facts.anchor == turn.facts.anchor else 0
    return turn.facts.markers > known


def _prompt(
    turn: AgentTurn,
    turns: Sequence[AgentTurn],
    before: int | None,
    caller: int | None,
    prompts: Mapping[int, str],
) -> str:
    """What names the prompt that a request works for: the client's id, else the person's message; "" when
    unknown.
    """
    row, facts = turn.row, turn.facts
    if row.prompt_id:
        return f"id {row.prompt_id}"
    if not row.session_id or row.agent_id or row.request_class not in _SPOKEN_TO:
        return ""
    if facts.read and facts.person:
        return f"message {facts.person}"
    if caller is not None:
        return prompts[caller]
    if not facts.read and (before is None or turns[before].row.state == OK):
        # nothing was called, so somebody said something
        return f"request {row.request_id}"
    return "" if before is None else prompts[before]


def _own(turn: AgentTurn, turns: Sequence[AgentTurn], before: int | None) -> Sums:
    row, facts, slot = turn.row, turn.facts, turn.slot
    sums = Sums()
    if not row.was_sent:
        return sums
    ok = row.state == OK
    sums.add(
        slot,
        requests=1,
        answered=int(ok),
        failed=int(row.state in (ERROR, BROKEN)),
        cancelled=int(row.state == CANCELLED),
        refused=int(ok and row.stop_reason == "refusal"),
        cut=int(ok and row.stop_reason in _CUT),
        followed=int(bool(row.session_id) and facts.read and row.request_class in CONVERSING),
        cost_units=row.cost_units or 0,
        unpriced=int(row.cost_units is None),
    )
    if ok:
        _count_calls(turn, sums)
        _count_tokens(row, slot, sums)
    if ok and row.first_byte_ms is not None:
        sums.add(slot, **{BUCKETS[bisect_left(FIRST_BYTE_BOUNDS, row.first_byte_ms)]: 1})
    if ok and row.request_class == RequestClass.COMPACTION:
        # it is the conversation that became too long, whoever summed it up
        grown = before is not None and turns[before].row.was_sent
        sums.add(turns[before].slot if before is not None and grown else slot, compactions=1)
    for tried in turn.tries or (Attempted(row.provider, row.upstream_model, row.state),):
        failed = tried.state in (ERROR, BROKEN)
        if failed or tried.state == OK:
            sums.add(turn.at(tried.provider, tried.upstream_model), attempts=1, failed_attempts=int(failed))
    return sums


def _count_calls(turn: AgentTurn, sums: Sums) -> None:
    slot, facts = turn.slot, turn.facts
    for tool in () if facts.calls else turn.called:
        sums.add_call(slot, tool, calls=1)
    for call in facts.calls:
        known = call.offered is not None
        sums.add_call(
            slot, call.tool, calls=1, checked_calls=int(known), unknown_tools=int(known and not call.offered)
        )
    # a row may hold what no ledger ever said
    repaired = sum(str(entry.get("note")) in _REPAIRED for entry in turn.row.ledger)
    sums.add(slot, calls_sq=len(turn.called) ** 2, repaired=min(repaired, len(turn.called)))


def _count_tokens(row: TurnRow, slot: OutcomeSlot, sums: Sums) -> None:
    if row.cache_read_tokens is not None:
        read = min(row.cache_read_tokens, _MOST_TOKENS)
        asked = min(_input(row), _MOST_TOKENS)
        sums.add(
            slot, cached_requests=1, input_tokens=asked, input_tokens_sq=asked**2, cached_tokens=read,
            cached_tokens_sq=read**2, cached_by_input=read * asked,
        )  # fmt: skip
    said = min(row.output_tokens or 0, _MOST_TOKENS)
    took = min((row.duration_ms or 0) - (row.first_byte_ms or 0), _MOST_MS)
    if row.streamed and not row.usage_estimated and row.first_byte_ms is not None and said and took > 0:
        sums.add(
            slot, timed_requests=1, timed_tokens=said, timed_tokens_sq=said**2, timed_ms=took,
            timed_ms_sq=took**2, tokens_by_ms=said * took,
        )  # fmt: skip


def _input(row: TurnRow) -> int:
    return (row.input_tokens or 0) + (row.cache_read_tokens or 0) + (row.cache_write_tokens or 0)


def _shares(turn: AgentTurn, prompt: str) -> tuple[SessionShare | None, list[CountedAs]]:
    """What the request adds to its session and its prompt, of its class and of every class."""
    row, slot = turn.row, turn.slot
    if not row.session_id or not row.was_sent:
        return None, []
    share = SessionShare(
        row.hour,
        int(row.state == OK),
        min(_input(row) + (row.output_tokens or 0), _MOST_TOKENS),
        row.cost_units or 0,
        int(row.cost_units is None),
    )
    named = [("session", "")] + ([("prompt", prompt)] if prompt else [])
    return share, [
        unit(kind, row.session_id, holder_of(row), name, slot._replace(request_class=counted))
        for kind, name in named
        for counted in (slot.request_class, EVERY_CLASS)
    ]


def holder_of(row: TurnRow) -> str:
    """Whose session it is: clients choose the ids of sessions, and two may choose the same."""
    if row.owner_id is not None:
        return f"user:{row.owner_id}"
    return "" if row.client_key_id is None else f"key:{row.client_key_id}"
