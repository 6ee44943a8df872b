"""Inbox: what arrived, in one piece; failures in their place; the reader held back."""

import asyncio

import pytest

from gateway.errors import UpstreamBroken
from gateway.relay import inbox as module
from gateway.relay.inbox import Inbox


async def test_pieces_that_wait_are_taken_together():
    inbox = Inbox()
    inbox.put(b"a")
    inbox.put(b"b")
    assert await inbox.take() == b"ab"


async def test_a_waiting_writer_is_woken_by_the_next_piece():
    inbox = Inbox()
    taking = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    inbox.put(b"a")
    assert await taking == b"a"


async def test_the_end_comes_after_the_data():
    inbox = Inbox()
    inbox.put(b"a")
    inbox.end()
    assert await inbox.take() == b"a"
    assert await inbox.take() is None


async def test_a_failure_comes_after_the_data():
    inbox = Inbox()
    inbox.put(b"a")
    inbox.fail(UpstreamBroken("cut"))
    assert await inbox.take() == b"a"
    with pytest.raises(UpstreamBroken):
        await inbox.take()


async def test_a_tick_wakes_without_data():
    inbox = Inbox()
    inbox.tick()
    assert await inbox.take() == b""


async def test_the_reader_waits_while_too_much_is_unread(monkeypatch):
    monkeypatch.setattr(module, "HIGH_WATER", 10)
    inbox = Inbox()
    inbox.put(b"x" * 11)
    room = asyncio.ensure_future(inbox.room())
    await asyncio.sleep(0)
    assert not room.done()
    await inbox.take()
    await room


async def test_what_nobody_takes_is_forgotten_and_the_reader_runs_on(monkeypatch):
    monkeypatch.setattr(module, "HIGH_WATER", 10)
    inbox = Inbox()
    inbox.put(b"x" * 11)
    room = asyncio.ensure_future(inbox.room())
    await asyncio.sleep(0)
    inbox.discard()
    await room
    inbox.put(b"y" * 100)
    await inbox.room()
