"""Agent sessions as scripts: who asks when, what the model answers, and what the client says next.

Made by rule, the same in every run. Sizes and shapes follow the recorded requests of tests/captures: a read
or written file in most turns, a few large results, subagents that work side by side, a pause now and then.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.sessions import line

MAIN: Final = ""
MINUTE: Final = 60.0


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any]
    result: str


@dataclass(frozen=True)
class Step:
    """One request of an agent and what follows it.

    `at`: seconds from the session's beginning. The model thinks, speaks and calls; the client brings the
    results, `user`: what the user says then, `reminder`: what the client itself says as the system.
    `loads`: tools that the results load. `compacts`: the request asks for a summary, and the agent begins
    anew with it.
    """

    agent: str
    at: float
    thinking: str
    text: str
    calls: tuple[Call, ...] = ()
    user: str = ""
    reminder: str = ""
    loads: tuple[str, ...] = ()
    compacts: bool = False


@dataclass(frozen=True)
class Begin:
    """An agent begins. `like`: the agent whose conversation so far it goes on with (a fork, or another run of
    the client that resumes), under a session id of its own when `new_session`."""

    agent: str
    at: float
    prompt: str
    capture: str
    like: str | None = None
    new_session: bool = False


@dataclass(frozen=True)
class Session:
    name: str
    events: tuple[Begin | Step, ...]
    late_tools: tuple[str, ...] = field(default=())


HEADS: Final = {
    "main": "01-plain-text",
    "sub": "20-subagent-first",
    "search": "31-tool-search",
    "new": "33-plain-text-330",
}


class _Script:
    def __init__(self, seed: int) -> None:
        self.words = random.Random(seed)
        self.now = 0.0
        self.events: list[Begin | Step] = []

    def begin(self, agent: str, head: str = "main", **how: Any) -> None:
        prompt = line(self.words) * 6
        self.events.append(Begin(agent, self.now, prompt, HEADS[head], **how))

    def work(self, agent: str, seconds: float = 9.0, **how: Any) -> None:
        """A turn with calls."""
        words = self.words
        calls = tuple(self._call() for _ in range(words.choice((1, 1, 1, 2, 3))))
        self._step(agent, seconds, calls=calls, **how)

    def speak(self, agent: str, seconds: float = 9.0, **how: Any) -> None:
        """A turn that ends with words; the user answers."""
        self._step(agent, seconds, user=line(self.words) * 4, **how)

    def _step(self, agent: str, seconds: float, **how: Any) -> None:
        words = self.words
        self.now += seconds
        thinking = line(words) * words.randrange(2, 12)
        self.events.append(Step(agent, self.now, thinking, line(words) * 2, **how))

    def _call(self) -> Call:
        words = self.words
        lines = words.choice((2, 8, 20, 60, 120))
        result = "\n".join(f"{number:6}\t{line(words)}" for number in range(lines))
        arguments = {"file_path": f"/srv/project/{words.randrange(400)}.py", "limit": words.randrange(2000)}
        return Call(words.choice(("Read", "Bash", "Edit", "Write")), arguments, result)


def with_subagents(turns: int, seed: int = 1) -> Session:
    """`turns` requests of the main agent; every tenth turn two or three subagents work side by side."""
    script = _Script(seed)
    script.begin(MAIN)
    for turn in range(1, turns + 1):
        if turn % 10 == 5:
            names = [f"a{turn}{number}" for number in range(2 + turn % 3 // 2)]
            for name in names:
                script.begin(name, "sub")
            for _ in range(6):
                for name in names:
                    script.work(name, 2.5)
        if turn % 12 == 0:
            # the user thinks; once longer than any short lifetime
            script.speak(MAIN, 4 * MINUTE if turn % 24 else 40 * MINUTE)
        else:
            reminder = line(script.words) * 3 if turn % 7 == 0 else ""
            script.work(MAIN, reminder=reminder)
    return Session(f"{turns} turns with subagents", tuple(script.events))


def many_subagents() -> Session:
    """Ten subagents at once: more requests a minute than one machine takes of a key."""
    script = _Script(2)
    script.begin(MAIN)
    for _ in range(4):
        script.work(MAIN)
    names = [f"b{number}" for number in range(10)]
    for name in names:
        script.begin(name, "sub")
    for _ in range(12):
        for name in names:
            script.work(name, 0.8)
    for _ in range(6):
        script.work(MAIN)
    return Session("ten subagents at once", tuple(script.events))


def tool_search() -> Session:
    """Tools are loaded one after the other, as the client's search finds them."""
    script = _Script(3)
    late = tuple(f"mcp__tracker__tool_{number}" for number in range(6))
    script.begin(MAIN, "search")
    for turn in range(24):
        loads = (late[turn // 4],) if turn % 4 == 1 else ()
        script.work(MAIN, loads=loads)
    return Session("tool search", tuple(script.events), late)


def compacted() -> Session:
    script = _Script(4)
    script.begin(MAIN)
    for _ in range(18):
        script.work(MAIN)
    script.work(MAIN, compacts=True)
    for _ in range(18):
        script.work(MAIN)
    return Session("compaction", tuple(script.events))


def resumed() -> Session:
    """Another run of the client goes on two minutes later, under the same session."""
    script = _Script(5)
    script.begin(MAIN)
    for _ in range(14):
        script.work(MAIN)
    script.now += 2 * MINUTE
    script.begin("again", like=MAIN)
    for _ in range(14):
        script.work("again")
    return Session("resumed", tuple(script.events))


def forked() -> Session:
    """Two runs go on from one conversation, one of them under a session of its own."""
    script = _Script(6)
    script.begin(MAIN)
    for _ in range(14):
        script.work(MAIN)
    script.begin("fork", like=MAIN, new_session=True)
    for _ in range(10):
        script.work("fork", 4.0)
        script.work(MAIN, 4.0)
    return Session("forked", tuple(script.events))


def parallel() -> Session:
    """Two sessions of one user at the same time, with the same tools and system text."""
    script = _Script(7)
    script.begin(MAIN)
    script.begin("other", new_session=True)
    for _ in range(12):
        script.work(MAIN, 4.0)
        script.work("other", 4.0)
    return Session("parallel sessions", tuple(script.events))


def newer_client() -> Session:
    """The newer form of the requests: the marker stands on a system message behind the user's."""
    script = _Script(8)
    script.begin(MAIN, "new")
    for turn in range(24):
        script.work(MAIN, reminder=line(script.words) * 3 if turn % 3 == 0 else "")
    return Session("newer client", tuple(script.events))


def all_sessions() -> Iterator[Session]:
    yield with_subagents(50)
    yield with_subagents(200)
    yield from (many_subagents(), tool_search(), compacted(), resumed(), forked(), parallel(), newer_client())
