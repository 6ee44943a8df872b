"""Sessions of a coding agent whose every step is known, and a candidate that errs at given steps.

The requests have the shape of those that Claude Code sent (tests/captures): its tools, its system blocks, its
headers. Main agents take five steps, every second session has a subagent that takes two.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import threading
from concurrent.futures import Future
from decimal import Decimal

from gateway.evaluation.asking import GatewayAsker
from gateway.history.record.rows import write
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates
from tests.client_protocol.captured import plain
from tests.conftest import at_a_bench, key_entry, rule
from tests.fakes.provider import SSE, Answer, FakeProvider, chunk, completion, error

RECORDED, CANDIDATE, JUDGE = "main-model", "candidate-model", "judge-model"
KEY = "key-of-the-scenario"
USED = {"Bash", "Edit", "Read", "Write", "Agent", "WebFetch"}
# what a request costs: the candidate a quarter
PRICES = {RECORDED: "4", CANDIDATE: "1", JUDGE: "1"}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
COST = {model: (Decimal(price) * 1100) / 1_000_000 for model, price in PRICES.items()}


def taken(number: int, agent: str, step: int):
    """What the recorded model does: (tool, arguments), or a text."""
    file = f"/srv/project/module_{number}.py"
    if agent:
        return ("Read", {"file_path": file}) if step == 0 else f"Module {number} holds one function."
    return [
        ("Read", {"file_path": file}),
        ("Edit", {"file_path": file, "old_string": f" limit = {number + 2}\n", "new_string": " limit = 0\n"}),
        ("Bash", {"command": f"cd /srv/project && pytest -q tests/test_{number}.py 2>&1 | tail -5"}),
        ("Agent", {"subagent_type": "Explore", "description": "look", "prompt": f"Look at {number}."}),
        f"The limit of module {number} is 0 now, and its tests pass.",
    ][step]  # fmt: skip


def steps_of(number: int):
    """(agent, step) of a session in the order in which they come."""
    main = [("", step) for step in range(5)]
    return [*main[:4], ("helper", 0), ("helper", 1), main[4]] if number % 2 == 0 else main


def proposed(number: int, agent: str, step: int):
    """What the candidate does, and the verdict that is the truth about it."""
    action = taken(number, agent, step)
    if agent:
        if step == 0 and number % 10 == 4:
            return ("Read", {"file_path": "/srv/project/other.py"}), "tool"
        return action, ("same" if step == 0 else "text")
    file = f"/srv/project/module_{number}.py"
    if step == 1 and number % 5 == 0:
        wrong = {"file_path": file, "old_string": f"limit = {number + 2}", "new_string": "limit = 1"}
        return ("Edit", wrong), "effect"
    if step == 1 and number % 3 == 0:
        # it quotes more of the file, and does the same
        before = "def limited(items):\n"
        more = {"old_string": f"{before} limit = {number + 2}\n", "new_string": f"{before} limit = 0\n"}
        return ("Edit", {"file_path": file, **more}), "same"
    if step == 2 and number % 10 == 1:
        return ("Bash", {"command": "git diff"}), "tool"
    if step == 2 and number % 10 == 3:
        return "I think it works.", "stopped"
    if step == 2:
        return ("Bash", {"command": f"pytest tests/test_{number}.py"}), "same"
    if step == 3 and number % 25 == 7:
        return ("Read", {"file_path": file}), "other"
    if step == 3:
        return ("Agent", {"subagent_type": "Explore", "description": "look", "prompt": "See."}), "target"
    if step == 4 and number % 10 == 9:
        return ("Bash", {"command": "ls"}), "went_on"
    return action, ("text" if step == 4 else "same")


def request_of(number: int, agent: str, step: int):
    """(headers, body) of a step, with the recorded turns and results in front of it."""
    headers, body = plain("20" if agent else "06")
    messages = [
        {"role": "user", "content": [{"type": "text", "text": f"session {number} agent {agent or 'main'}"}]}
    ]
    for earlier in range(step):
        tool, arguments = taken(number, agent, earlier)
        call = {"type": "tool_use", "id": f"toolu_{earlier}", "name": tool, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{earlier}", "content": f"result of {tool}"}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    _headers, main = plain("06")
    tools = [tool for tool in main["tools"] if tool["name"] in USED]
    body = {
        **body,
        "model": RECORDED,
        "messages": messages,
        "tools": tools,
        "stream": True,
        "max_tokens": 1000,
    }
    headers = {**headers, "x-claude-code-session-id": f"session-{number}", "x-api-key": KEY}
    headers.pop("content-length", None)
    return {**headers, "x-claude-code-agent-id": f"agent-{number}"} if agent else headers, body


class ScriptedProvider(FakeProvider):
    """Answers the steps of the scenario; `broken` sessions fail at the candidate, `held` ones wait."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[int] = set()
        self.held: dict[int, asyncio.Event] = {}
        self.verdicts: list[str] = []

    def answer_to(self, request) -> Answer:
        body = request.body
        if body["model"] == JUDGE:
            self.verdicts.append(body["messages"][-1]["content"])
            return completion(judged(self.verdicts[-1]), **{})
        number, agent, step = place(body)
        if body["model"] == CANDIDATE and number in self.broken:
            return error(400, "no such model")
        action = (
            proposed(number, agent, step)[0] if body["model"] == CANDIDATE else taken(number, agent, step)
        )
        held = [self.held[number]] if body["model"] == CANDIDATE and number in self.held else []
        return Answer(headers=SSE, pieces=[*held, *said(action)])

    def asked(self, model: str) -> list[tuple[int, str, int]]:
        """The steps that a model was asked for, in the order of their arrival."""
        return [place(one.body) for one in self.requests if one.body["model"] == model]


def judged(question: str) -> str:
    """The judge of the scenario likes whoever changes the limit to 0, and else finds both equal."""
    first, second = question.split("<SECOND>")
    liked = ["limit = 0" in part.split("<FIRST>")[-1] for part in (first, second)]
    return "FIRST" if liked == [True, False] else "SECOND" if liked == [False, True] else "Equal."


def place(body):
    messages = [one for one in body["messages"] if one["role"] in ("user", "assistant")]
    content = messages[0]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    words = text.split()
    agent = words[words.index("agent") + 1]
    steps = sum(one["role"] == "assistant" for one in messages)
    return int(words[words.index("session") + 1]), "" if agent == "main" else agent, steps


def said(action):
    if isinstance(action, str):
        return [chunk({"content": action}), chunk({}, "stop"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
    tool, arguments = action
    function = {"name": tool, "arguments": json.dumps(arguments)}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return [
        chunk({"tool_calls": [call]}), chunk({}, "tool_calls"), chunk(usage=USAGE), b"data: [DONE]\n\n",
    ]  # fmt: skip


def prices() -> PriceBook:
    def price(of):
        return Price(Rates(Decimal(of), Decimal(of)))

    return PriceBook(tuple(PriceRule(price(of), model, "fake") for model, of in PRICES.items()))


class Theatre:
    """A gateway on an event loop of its own, and a recorder whose outcomes this thread writes.

    So one thread alone touches the database.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self.loop.run_until_complete(self._open()), daemon=True
        )
        self._thread.start()
        assert self._ready.wait(60)

    async def _open(self) -> None:
        async with at_a_bench() as bench:
            self.bench = bench
            await bench.provider.stop()
            self.provider = bench.provider = ScriptedProvider()
            await self.provider.start()
            bench.base = dataclasses.replace(bench.base, base_url=self.provider.base_url)
            rules = [rule("*", id=7, targets=rule(upstream_model=RECORDED).targets)]
            keys = [key_entry(KEY, owner_id=None)]
            bench.configure(rules=rules, keys=keys, prices=prices())
            self._ready.set()
            await self._over.wait()
            # connections end with the client; a provider that is stopped later would outlive the loop
            await self.bench.gateway.client.close()
            await self.provider.stop()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        self.loop.close()

    def configure(self, **fields) -> None:
        async def change():
            self.bench.configure(**{"prices": prices(), **fields})

        self.wait_for(change())

    def wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def record(self, numbers) -> None:
        """Drive the gateway through sessions, and store what it tells the history."""
        self.wait_for(self._drive(list(numbers)))
        self.flush()

    async def _drive(self, numbers) -> None:
        for number in numbers:
            for agent, step in steps_of(number):
                headers, body = request_of(number, agent, step)
                answer = await self.bench.client.post("/v1/messages", body, headers=headers)
                assert answer.status == 200, answer.body

    def flush(self) -> None:
        recorder = self.bench.recorder
        ended, recorder.ended = recorder.ended, []
        recorder.open.clear()
        write(ended, prices=prices())

    @property
    def asker(self) -> GatewayAsker:
        return WritingAsker(self.bench.gateway, self.loop, self)


@dataclasses.dataclass(frozen=True)
class WritingAsker(GatewayAsker):
    """Hands the history over in the thread that asks for a result."""

    theatre: Theatre

    def ask(self, request):
        written = _Written(self.theatre)
        inner = super().ask(request)
        inner.add_done_callback(written.take)
        written.inner = inner
        return written


class _Written(Future):
    inner: Future

    def __init__(self, theatre) -> None:
        super().__init__()
        self._theatre = theatre

    def take(self, inner) -> None:
        if not self.done():
            self.set_result(None)

    def cancel(self) -> bool:
        return self.inner.cancel()

    def result(self, timeout=None):
        super().result(timeout)
        self._theatre.flush()
        return self.inner.result(0)


@contextlib.contextmanager
def theatre():
    made = Theatre()
    try:
        yield made
    finally:
        made.close()
