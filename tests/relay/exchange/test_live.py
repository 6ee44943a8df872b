"""What is under way can be ended, with an error that its client understands."""

import asyncio

import pytest

from gateway.errors import AuthenticationFailed, InvalidRequest, Saturated
from gateway.relay.exchange.live import LiveExchanges
from gateway.routing.snapshot import ConfigSnapshot
from tests.conftest import key_entry


async def waits(ends):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ends.append("cancelled")
        raise


async def begun(work):
    task = asyncio.ensure_future(work)
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def test_a_call_gives_what_it_gives_and_raises_what_it_raises():
    live = LiveExchanges()

    async def gives():
        assert len(live) == 1
        return 5

    async def raises():
        raise InvalidRequest("no")

    assert await live.guarded(gives()) == 5
    with pytest.raises(InvalidRequest):
        await live.guarded(raises())
    assert len(live) == 0


async def test_an_interrupted_call_raises_the_error_and_its_task_goes_on():
    live, ends = LiveExchanges(), []

    async def told():
        try:
            await live.guarded(waits(ends))
        except Saturated:
            # the answer is still to be written and recorded, which waits
            await asyncio.sleep(0)
            return "told"

    task = await begun(told())
    live.interrupt()
    live.interrupt()
    assert await task == "told"
    assert (ends, task.cancelling(), len(live)) == (["cancelled"], 0, 0)


async def test_a_limit_within_an_interrupted_call_is_not_taken_for_the_interruption():
    live = LiveExchanges()

    async def limited():
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    task = await begun(live.guarded(limited()))
    live.interrupt()
    with pytest.raises(Saturated):
        await task


@pytest.mark.parametrize("first", ["client", "stop"])
async def test_a_client_that_leaves_an_interrupted_call_is_gone(first):
    live, ends = LiveExchanges(), []
    task = await begun(live.guarded(waits(ends)))
    for one in (first, "stop" if first == "client" else "client"):
        if one == "client":
            task.cancel()
        else:
            live.interrupt()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["cancelled"]


async def test_nobody_is_let_in_while_the_gateway_stops():
    live = LiveExchanges()
    live.admit()
    live.draining = True
    with pytest.raises(Saturated):
        live.admit()


KEY = key_entry("k", id=1)
OTHER = key_entry("o", id=2)


def configured(*keys):
    return ConfigSnapshot(stamp=2, keys={key.digest: key for key in keys})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (configured(key_entry("k", revoked=True), OTHER), "this client key was revoked"),
        (configured(key_entry("k", owner_active=False), OTHER), "owner is not active"),
        (configured(OTHER), "this client key was deleted"),
    ],
)
async def test_what_came_with_a_key_that_is_refused_from_now_on_ends_and_nothing_else(changed, reason):
    live = LiveExchanges()
    theirs = await begun(live.guarded(waits([]), KEY))
    others = [await begun(live.guarded(waits([]), key)) for key in (OTHER, None)]
    live.dismiss(changed, now=5.0)
    with pytest.raises(AuthenticationFailed, match=reason):
        await theirs
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()


@pytest.mark.parametrize(("known", "ends"), [(4.0, False), (None, True), (9.0, True)])
async def test_an_end_that_a_key_always_had_lets_its_request_finish_and_one_that_it_was_given_does_not(
    known, ends
):
    live = LiveExchanges()
    task = await begun(live.guarded(waits([]), key_entry("k", expires_at=known)))
    live.dismiss(configured(key_entry("k", expires_at=4.0)), now=5.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert task.done() is ends
    task.cancel()
    with pytest.raises((AuthenticationFailed, asyncio.CancelledError)):
        await task
