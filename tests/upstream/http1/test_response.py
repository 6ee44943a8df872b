"""The answer between its connection and its consumer."""

import asyncio

import httpx
import pytest

from gateway.upstream.http1.response import HIGH_WATER, LeanAnswer


class Source:
    def __init__(self) -> None:
        self.calls = []

    def pause(self):
        self.calls.append("pause")

    def resume(self):
        self.calls.append("resume")

    def give_up(self, answer):
        self.calls.append("give up")


@pytest.fixture
async def answer():
    made = LeanAnswer(Source(), asyncio.get_running_loop())
    made.calls = made._source.calls
    return made


async def test_a_consumer_that_waits_gets_the_piece(answer):
    taking = asyncio.ensure_future(anext(answer))
    await asyncio.sleep(0)
    answer.put(b"a")
    assert await taking == b"a"


async def test_the_end_comes_after_the_data_and_stays(answer):
    answer.put(b"a")
    answer.end()
    assert await anext(answer) == b"a"
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(answer)


async def test_a_failure_comes_after_the_data_and_stays(answer):
    answer.put(b"a")
    answer.fail(httpx.ReadError("broken"))
    assert await anext(answer) == b"a"
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            await anext(answer)


async def test_a_head_that_does_not_come_is_a_failure(answer):
    waiting = asyncio.ensure_future(answer.head())
    await asyncio.sleep(0)
    answer.fail(httpx.ReadError("broken"))
    with pytest.raises(httpx.ReadError):
        await waiting


async def test_the_source_is_paused_and_resumed_once(answer):
    answer.put(bytes(HIGH_WATER + 1))
    answer.put(b"more")
    assert answer.calls == ["pause"]
    await anext(answer)
    assert answer.calls == ["pause", "resume"]


async def test_a_source_that_has_ended_is_left_alone(answer):
    answer.put(bytes(HIGH_WATER + 1))
    answer.end()
    await anext(answer)
    await answer.aclose()
    answer.abandon()
    assert answer.calls == ["pause"]


async def test_closing_wakes_whoever_waits(answer):
    taking = asyncio.ensure_future(anext(answer))
    await asyncio.sleep(0)
    await answer.aclose()
    with pytest.raises(httpx.StreamClosed):
        await taking
    assert answer.calls == ["give up"]


async def test_a_consumer_that_was_cancelled_may_go_on(answer):
    taking = asyncio.ensure_future(anext(answer))
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    answer.put(b"a")
    assert await anext(answer) == b"a"


def test_abandoning_after_the_loops_end_is_quiet():
    loop = asyncio.new_event_loop()
    answer = LeanAnswer(Source(), loop)
    loop.close()
    answer.abandon()


class Sink:
    def __init__(self):
        self.got = []

    def put(self, piece):
        self.got.append(piece)

    def end(self):
        self.got.append("end")

    def fail(self, failure):
        self.got.append(type(failure))


async def test_a_sink_gets_what_waits_and_then_what_arrives(answer):
    sink = Sink()
    answer.put(b"a")
    answer.put(b"b")
    answer.deliver(sink)
    answer.put(b"c")
    answer.end()
    assert sink.got == [b"ab", b"c", "end"]


@pytest.mark.parametrize("ending", ["end", "fail"])
async def test_a_sink_that_comes_late_gets_the_end_too(answer, ending):
    sink = Sink()
    answer.put(b"a")
    answer.end() if ending == "end" else answer.fail(httpx.ReadError("cut"))
    answer.deliver(sink)
    assert sink.got == [b"a", "end" if ending == "end" else httpx.ReadError]


async def test_a_source_that_was_paused_before_goes_on_for_the_sink_that_now_decides(answer):
    answer.put(b"x" * (HIGH_WATER + 1))
    assert answer.calls == ["pause"]
    answer.deliver(Sink())
    assert answer.calls == ["pause", "resume"]
    answer.pause()
    answer.resume()
    assert answer.calls == ["pause", "resume", "pause", "resume"]


async def test_a_body_that_is_all_here_is_taken_at_once(answer):
    answer.put(b"a")
    assert answer.whole() is None
    answer.put(b"b")
    answer.end()
    assert answer.whole() == b"ab"


async def test_an_empty_body_is_all_here_and_a_broken_one_never_is(answer):
    answer.end()
    assert answer.whole() == b""
    broken = LeanAnswer(Source(), asyncio.get_running_loop())
    broken.put(b"a")
    broken.fail(httpx.ReadError("broken"))
    assert broken.whole() is None


class Taken:
    """A sink that remembers."""

    def __init__(self):
        self.seen = []

    def put(self, piece):
        self.seen.append(piece)

    def end(self):
        self.seen.append("end")

    def fail(self, failure):
        self.seen.append(failure)


async def test_what_waits_is_at_hand_and_makes_room(answer):
    assert answer.at_hand() == b""
    answer.put(b"x" * HIGH_WATER)
    answer.put(b"y")
    assert answer.calls == ["pause"]
    assert answer.at_hand() == b"x" * HIGH_WATER + b"y"
    assert (answer.at_hand(), answer.calls, answer.complete) == (b"", ["pause", "resume"], False)


@pytest.mark.parametrize("ends", ["end", "fail"])
@pytest.mark.parametrize("before", [True, False])
async def test_an_answer_that_is_over_keeps_nothing_of_who_took_it(answer, ends, before):
    failure = httpx.ReadError("broken")
    over = answer.end if ends == "end" else lambda: answer.fail(failure)
    sink = Taken()
    answer.put(b"a")
    if before:
        over()
    answer.deliver(sink)
    if not before:
        over()
    assert sink.seen == [b"a", "end" if ends == "end" else failure]
    assert answer.sink is None and answer.complete
