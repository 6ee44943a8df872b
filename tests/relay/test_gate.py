import asyncio
import time

import pytest

from gateway.errors import Saturated
from gateway.relay.gate import Gate


async def entered(gate: Gate) -> asyncio.Task[None]:
    """A task that has come as far as it can."""
    task = asyncio.create_task(gate.enter())
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def test_a_gate_without_a_limit_lets_all_in():
    gate = Gate()
    for _ in range(1000):
        await gate.enter()
    assert gate.inside == 1000


async def test_who_waits_longest_comes_in_first():
    gate = Gate(1)
    await gate.enter()
    first, second = await entered(gate), await entered(gate)
    gate.leave()
    await first
    assert not second.done() and (gate.inside, gate.waiting) == (1, 1)
    gate.leave()
    await second
    gate.leave()
    assert (gate.inside, gate.waiting) == (0, 0)


async def test_a_turn_that_does_not_come_in_time_is_an_overload():
    gate = Gate(1, patience=0)
    await gate.enter()
    with pytest.raises(Saturated, match="busy with 1 requests") as error:
        await gate.enter()
    assert (error.value.status, error.value.error_type) == (529, "overloaded_error")
    gate.leave()
    await gate.enter()


async def test_who_goes_away_while_waiting_takes_nobodys_turn():
    gate = Gate(1)
    await gate.enter()
    gone, next_one = await entered(gate), await entered(gate)
    gone.cancel()
    await asyncio.sleep(0)
    gate.leave()
    await next_one
    assert gate.inside == 1


async def test_a_turn_that_comes_with_the_cancellation_is_passed_on():
    gate = Gate(1)
    await gate.enter()
    gone, next_one = await entered(gate), await entered(gate)
    gate.leave()
    gone.cancel()
    await next_one
    assert gone.cancelled() and gate.inside == 1


async def test_a_turn_that_comes_with_the_end_of_the_patience_is_taken():
    gate = Gate(1, patience=0.01)
    await gate.enter()
    loop = asyncio.get_running_loop()
    late = await entered(gate)
    # both are due in one turn of the loop, the free place first
    loop.call_later(0.001, gate.leave)
    loop.call_soon(time.sleep, 0.02)
    await late
    assert gate.inside == 1
    gate.leave()
    assert gate.inside == 0
