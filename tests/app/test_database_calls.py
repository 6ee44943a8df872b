import asyncio
import threading

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError

from gateway.api import client_services, sign_in, status_line
from gateway.app import database_calls
from gateway.app.database_calls import DatabaseCalls
from gateway.errors import DatabaseAway
from tests.conftest import key_entry

KEY = {"x-api-key": "ccp_a"}


@pytest.fixture
def hanging():
    """A question whose answer never comes, until the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


def failing(problem):
    def work():
        raise problem

    return work


async def test_an_answer_comes_from_a_thread_that_is_none_of_asyncios():
    name = await DatabaseCalls()(lambda: threading.current_thread().name)
    assert name == "database-calls"


async def test_a_database_that_hangs_costs_its_callers_their_patience_and_nobody_else_a_thread(hanging):
    calls = DatabaseCalls(at_once=2)
    for _ in range(5):
        with pytest.raises(DatabaseAway):
            await calls(hanging, patience=0.01)
    assert len(calls._threads) == 2
    assert await asyncio.to_thread(lambda: "free") == "free"


async def test_what_nobody_waits_for_any_more_is_not_begun():
    calls, over, begun = DatabaseCalls(at_once=1), threading.Event(), []
    busy = threading.Event()
    first = asyncio.create_task(calls(lambda: (busy.set(), over.wait()), patience=60))
    await asyncio.to_thread(busy.wait)
    with pytest.raises(DatabaseAway):
        await calls(lambda: begun.append("late"), patience=0.01)
    over.set()
    await first
    assert await calls(lambda: "next", patience=60) == "next"
    assert not begun


async def test_behind_a_database_that_hangs_only_so_many_wait(hanging, monkeypatch):
    monkeypatch.setattr(database_calls, "MOST_WAITING", 3)
    calls = DatabaseCalls(at_once=1)
    for _ in range(10):
        with pytest.raises(DatabaseAway):
            await calls(hanging, patience=0.01)
    assert calls._waiting.qsize() <= 3


@pytest.mark.parametrize("problem", [OperationalError("gone"), InterfaceError("closed")])
async def test_an_outage_is_one_line_without_a_traceback(caplog, problem):
    calls = DatabaseCalls()
    for _ in range(3):
        with pytest.raises(DatabaseAway):
            await calls(failing(problem))
    [line] = caplog.records
    assert (line.problem, line.exc_info) == (str(problem), None)
    await calls(lambda: None)
    with pytest.raises(DatabaseAway):
        await calls(failing(problem))
    assert len(caplog.records) == 2


async def test_a_mistake_is_no_outage():
    with pytest.raises(IntegrityError):
        await DatabaseCalls()(failing(IntegrityError("twice")))


@pytest.fixture
def away(monkeypatch):
    """Every call of the API finds the database away."""
    calls = DatabaseCalls()

    async def call(work, *patience):
        return await calls(failing(OperationalError("away")))

    for module in (client_services, sign_in, status_line):
        monkeypatch.setattr(module, "database_calls", call)


async def test_a_status_line_keeps_what_it_knows_and_says_503_else(bench, away, monkeypatch, caplog):
    bench.configure(keys=[key_entry("ccp_a")])
    known = type(status_line._known)(10)
    monkeypatch.setattr(status_line, "_known", known)
    answer = await bench.client.get("/api/status-line?session=s1", headers=KEY)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    known.put((1, "s1"), status_line._Known("a line", float("-inf")))
    answer = await bench.client.get("/api/status-line?session=s1", headers=KEY)
    assert answer.text == b"a line"
    await asyncio.wait(status_line._reading.values() or [asyncio.create_task(asyncio.sleep(0))])
    assert not [line for line in caplog.records if line.exc_info]
