"""400 requests at once on a key with a small budget: what gets through, and what it may cost at most."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass

import pytest
from redis import Redis

from tests.attacks.toll import watched
from tests.attacks.wire import post
from tests.conftest import asking
from tests.fakes.provider import Answer, FakeProvider
from tests.server.conftest import KEY, Served, environment, manage, name_of, start

pytestmark = [pytest.mark.server, pytest.mark.once, pytest.mark.timeout(300)]

AT_ONCE = 400
# each answer costs 2 dollars, and says so in advance: 1,000 tokens of output at most, all of them used
PRICE = 2_000
COST = 2
BUDGET = 10
HELD = (
    "What is left of your budget is held by requests that are still under way; try again when they have ended"
)
USAGE = {"prompt_tokens": 0, "completion_tokens": 1_000, "total_tokens": 1_000}
ENGINES = {
    "sqlite": {"PROCESSES": "1"},
    "memory": {"PROCESSES": "1", "LIMITS_STORE": "memory"},
    "postgresql": {"PROCESSES": "2"},
    "redis": {"PROCESSES": "2"},
}
SETUP = """
from gateway.models import ClientKey, ModelPrice
ModelPrice.objects.create(model="m", input=0, output={price})
record = ClientKey(name="team", **{limits})
record.set_key("{key}")
record.save()
"""
CORRECTED = """
from gateway.models import ModelPrice
price = ModelPrice.objects.get(model="m")
price.output = 1
price.save()
"""
TEAM = "sk-the-key-of-a-team-with-a-budget"


def whole(provider_waits: asyncio.Event) -> Answer:
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up", "usage": USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    }  # fmt: skip
    head = {"content-type": "application/json"}
    return Answer(headers=head, body=json.dumps(body).encode(), before_head=[provider_waits])


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    yield fake
    await fake.stop()


@dataclass
class Attacked:
    served: Served
    env: dict[str, str]

    def shell(self, code: str) -> str:
        return manage("shell", "-c", code, env=self.env).stdout

    def spent(self) -> float:
        """Dollars, as the history has them."""
        code = "from gateway.models import DailyTotal; print(*DailyTotal.objects.values_list('cost_units'))"
        return sum(int(digits) for digits in re.findall(r"\((\d+),\)", self.shell(code))) / 10**10

    def limit(self, **limits: object) -> None:
        self.shell(SETUP.format(price=PRICE, limits=limits, key=TEAM))


@pytest.fixture(params=ENGINES)
def attacked(request, tmp_path, provider):
    variables = {
        **ENGINES[request.param],
        "ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": "sk-up",
        "OPENAI_BASE_URL": provider.base_url, "BIG_MODEL": "m", "MIDDLE_MODEL": "m", "SMALL_MODEL": "m",
    }  # fmt: skip
    if request.param in ("postgresql", "redis"):
        made = request.getfixturevalue("migrated_postgres")
        variables["DATABASE_URL"] = made(name_of(tmp_path))
        (tmp_path / "ccproxy.sqlite3").touch()
    if request.param == "redis":
        variables["REDIS_URL"] = request.getfixturevalue("redis_server").url(5)
        Redis.from_url(variables["REDIS_URL"]).flushdb()
    served = start(tmp_path, **variables)
    yield Attacked(served, environment(tmp_path, PORT=str(served.port), **variables))
    served.stop()


async def ask(served: Served, key: str = TEAM, **fields: object) -> tuple[int, dict[str, object]]:
    """One request on a connection of its own: its status and its body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(post(json.dumps(asking(**fields)).encode(), "connection: close", key=key))
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), {"head": head, **json.loads(body)}


async def known(served: Served) -> None:
    """Every process has heard of the key: 20 requests that are refused for their form, not for their key."""

    async def all_know() -> bool:
        answers = [await ask(served, max_tokens=-1) for _ in range(20)]
        return all(status == 400 for status, _ in answers)

    for _ in range(100):
        if await all_know():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a process does not know the key")


async def burst(served: Served, provider: FakeProvider, **fields: object) -> Counter[tuple[int, str]]:
    """AT_ONCE requests that are all under way before the first is answered; (status, message) of each."""
    go_on = asyncio.Event()
    provider.answers("m", whole(go_on))
    before = len(provider.requests)
    asked = [asyncio.create_task(ask(served, model="m", **fields)) for _ in range(AT_ONCE)]
    for _ in range(2_000):
        if sum(not task.done() for task in asked) <= len(provider.requests) - before:
            break
        await asyncio.sleep(0.05)
    go_on.set()
    answers = await asyncio.gather(*asked)
    return Counter((status, "" if status == 200 else body["error"]["message"]) for status, body in answers)


async def test_a_burst_on_a_small_budget_costs_no_more_than_what_is_left_and_one_answer(attacked, provider):
    served = attacked.served
    attacked.limit(spend_budget=BUDGET)
    await known(served)
    with watched(served) as toll:
        told = await burst(served, provider, max_tokens=1_000)
    # all that the budget has room for, and nothing else; who may come again is told so
    assert told == {(200, ""): BUDGET // COST, (429, HELD): AT_ONCE - BUDGET // COST}
    assert "not counted" not in served.log.read_text()
    assert "cannot be counted" not in served.log.read_text()
    assert toll.memory < 60 and toll.longest_health < 10
    # settled: it is used up now, to the cent, and says so for good
    status, body = await ask(served, model="m")
    assert (status, body["error"]["message"][:19]) == (429, "spend limit reached")
    assert attacked.spent() == BUDGET
    # the price was wrong: corrected, and what was used is worked out again
    attacked.shell(CORRECTED)
    manage("recomputecosts", env=attacked.env)
    await asyncio.sleep(1.1)
    assert (await ask(served, model="m"))[0] == 200


async def test_a_burst_over_a_rate_lets_in_exactly_the_rate(attacked, provider):
    attacked.limit(requests_per_minute=5, concurrent_requests=50)
    await known(attacked.served)
    told = await burst(attacked.served, provider, max_tokens=10)
    assert sum(number for (status, _), number in told.items() if status == 200) in (5, 10)
    assert "not counted" not in attacked.served.log.read_text()


async def test_a_burst_over_the_places_lets_in_exactly_as_many(attacked, provider):
    attacked.limit(concurrent_requests=3)
    await known(attacked.served)
    told = await burst(attacked.served, provider, max_tokens=10)
    assert told[200, ""] == 3
    # the places are free again
    told = await burst(attacked.served, provider, max_tokens=10)
    assert told[200, ""] == 3
