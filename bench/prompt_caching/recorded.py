"""Recorded conversations of the real client (tests/captures), turn by turn as it sent them.

A recorded request has everything that was said before it, so each turn of its conversation is a beginning of
it. What ran beside what, and what was resumed or forked, is laid over them: the recordings are of one
conversation each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.prompt_caching.client import JSONObject, recorded_turns
from bench.prompt_caching.routes import Direct, ThroughGateway
from gateway.wire import jsontext
from tests.fakes.prompt_caches.rules import Family, Receipt

TOOLS: Final = "06-tools-write-read-bash"
PARALLEL_TOOLS: Final = "07-parallel-tools"
SUBAGENT: Final = "21-subagent-second-late-system"
TOOL_SEARCH: Final = "31-tool-search"
COMPACTION: Final = "36-compaction-request"
THINKING: Final = "12-thinking-second-turn"
# seconds between two requests of an agent, and until somebody resumes
_PAUSE: Final = 9.0
_LATER: Final = 120.0


@dataclass(frozen=True)
class RecordedTurn:
    """One recorded request of `name`, the conversation. `like`: the conversation that it goes on with."""

    name: str
    at: float
    session_id: str
    request: JSONObject = field(repr=False)
    subagent: bool = False
    like: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        agent = {"x-claude-code-agent-id": self.name} if self.subagent else {}
        return {"x-claude-code-session-id": self.session_id, "anthropic-version": "2023-06-01", **agent}


def _turns(capture: str, name: str = "main", *, since: float = 0.0, **how: Any) -> list[RecordedTurn]:
    """The turns of a conversation, one after the other from a time on."""
    session = how.pop("session_id", "session")
    return [
        RecordedTurn(name, since + _PAUSE * number, session, request, **how)
        for number, request in enumerate(recorded_turns(capture))
    ]


def recordings() -> Iterator[tuple[str, list[RecordedTurn]]]:
    """(what it shows, the turns in the order of their arrival)."""
    tools = _turns(TOOLS)
    yield "tools", tools
    yield "thinking", _turns(THINKING)
    yield "tool search", _turns(TOOL_SEARCH)
    yield "compaction", _turns(COMPACTION)
    subagents = [
        turn
        for number in range(3)
        for turn in _turns(SUBAGENT, f"a{number}", since=10.0 + number, subagent=True)
    ]
    yield "subagents", _in_order([*tools, *subagents])
    later = _turns(TOOLS, "again", since=_LATER, like="main")
    yield "resumed", [*tools[:2], *later[2:]]
    fork = _turns(TOOLS, "fork", since=1.0, session_id="session of the fork", like="main")
    yield "forked", _in_order([*tools, *fork[2:]])
    other = _turns(PARALLEL_TOOLS, "other", since=1.0, session_id="session of the other")
    yield "parallel", _in_order([*tools, *other])


def _in_order(turns: list[RecordedTurn]) -> list[RecordedTurn]:
    return sorted(turns, key=lambda turn: turn.at)


def replayed_turns(turns: list[RecordedTurn], family: Family) -> Iterator[tuple[Receipt, Receipt, bool]]:
    """(the bill through the gateway, the ideal client's, whether it counts) of each turn.

    The first request of a conversation counts only if the conversation goes on with another one.
    """
    gateway, direct = ThroughGateway(family), Direct(family)
    bodies = [json.loads(jsontext.dumps(gateway.converted(turn, turn.request).body)) for turn in turns]
    # tools that are loaded late stand in the ideal client's list from the beginning
    tools = {turn.name: body.get("tools") for turn, body in zip(turns, bodies, strict=True)}
    for turn, body in zip(turns, bodies, strict=True):
        counts = direct.knows(turn.name) or turn.like is not None
        ours = gateway.cache.ask(body, turn.at)
        yield ours, direct.go_on(turn, body, tools[turn.name]), counts
