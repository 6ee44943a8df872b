"""Inbox: what arrived, in one piece; failures in their place; the reader held back."""

import asyncio

import pytest

from gateway.errors import UpstreamBroken
from gateway.relay.streaming import inbox as module
from gateway.relay.streaming.inbox import Inbox, InboxReader


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


class Feed:
    def __init__(self):
        self.told = []

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")


async def test_the_feed_waits_while_too_much_is_unread(monkeypatch):
    monkeypatch.setattr(module, "HIGH_WATER", 10)
    inbox, feed = Inbox(), Feed()
    inbox.fed_by(feed)
    inbox.put(b"x" * 10)
    assert feed.told == []
    inbox.put(b"x")
    assert feed.told == ["pause"]
    await inbox.take()
    assert feed.told == ["pause", "resume"]


async def test_what_nobody_takes_is_forgotten_and_the_feed_runs_on(monkeypatch):
    monkeypatch.setattr(module, "HIGH_WATER", 10)
    inbox, feed = Inbox(), Feed()
    inbox.fed_by(feed)
    inbox.put(b"x" * 11)
    inbox.discard()
    inbox.put(b"y" * 100)
    assert feed.told == ["pause", "resume"]


async def test_a_reader_feeds_an_inbox_no_faster_than_it_is_emptied(monkeypatch):
    monkeypatch.setattr(module, "HIGH_WATER", 10)
    given = []

    async def pieces():
        for piece in (b"a" * 11, b"b" * 11, b"c"):
            given.append(piece)
            yield piece

    inbox = Inbox()
    reading = asyncio.ensure_future(InboxReader(pieces(), inbox).run())
    assert await inbox.take() == b"a" * 11
    assert len(given) == 1
    assert await inbox.take() == b"b" * 11
    assert await inbox.take() == b"c"
    assert await inbox.take() is None
    await reading


async def test_a_readers_failure_arrives_behind_its_data():
    async def pieces():
        yield b"a"
        raise UpstreamBroken("cut")

    inbox = Inbox()
    await InboxReader(pieces(), inbox).run()
    assert await inbox.take() == b"a"
    with pytest.raises(UpstreamBroken):
        await inbox.take()
