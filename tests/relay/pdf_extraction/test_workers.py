"""Processes that read PDFs: what they may cost, and how they end."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cache import GenerationalCache
from gateway.conversion.blocks import pdf
from gateway.relay.pdf_extraction import worker
from gateway.relay.pdf_extraction import workers as pool
from gateway.relay.pdf_extraction.workers import PDFLimits, PDFWorkers
from tests.attacks.toll import memory
from tests.conversion.pdf_files import pdf_of, pdf_of_forms, pdf_of_streams

MB = 1024 * 1024
# its first page is read, its second one never
ENDLESS = pdf_of_forms(b"BT (first) Tj ET")


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(pdf, "_recent", GenerationalCache(pdf._MOST_REMEMBERED, pdf._size))


@pytest.fixture
def made():
    """Makes a pool with some limits; all are stopped at the end."""
    pools = []

    def make(**limits):
        pools.append(PDFWorkers(PDFLimits(**limits)))
        return pools[-1]

    yield make
    for one in pools:
        one.stop()


async def until(holds, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  a process cannot set an event
            await asyncio.sleep(0.01)


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def gone(pid):
    """Whether there is no such process, nor one that nobody waited for."""
    return not Path(f"/proc/{pid}").exists()


@contextlib.asynccontextmanager
async def reading(workers, data=ENDLESS, owner="a"):
    """While a file is being read; gives the task and the worker's process."""
    before = set(workers.pids)
    task = asyncio.create_task(workers.read(owner, data))
    await until(lambda: set(workers.pids) - before)
    yield task, (set(workers.pids) - before).pop()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_files_are_read_one_after_the_other_by_one_process(made):
    workers = made()
    assert workers.pids == []
    assert await workers.read("a", pdf_of("one", "two")) == ("one", "two")
    pids = workers.pids
    assert await workers.read("b", pdf_of("three")) == ("three",)
    assert workers.pids == pids and len(pids) == 1


async def test_what_was_read_is_remembered(made):
    workers = made()
    await workers.read("a", pdf_of("one"))
    workers.stop()
    assert await workers.read("a", pdf_of("one")) == ("one",)


async def test_a_file_that_takes_too_much_cpu_is_given_up_and_what_was_read_is_kept(made):
    workers = made(cpu=1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert await workers.read("a", ENDLESS) == ("first", pdf.CUT)
    await until(lambda: not workers._burials)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4
    # it is not tried again with the next turn of the conversation
    workers.stop()
    assert await workers.read("a", ENDLESS) == ("first", pdf.CUT)


async def test_the_file_after_one_that_took_too_much_is_read(made):
    workers = made(cpu=1)
    await workers.read("a", ENDLESS)
    assert await workers.read("a", pdf_of("next")) == ("next",)


def test_each_file_has_the_cpu_for_itself(monkeypatch):
    limits = []
    monkeypatch.setattr(worker.resource, "getrlimit", lambda _: (9, -1))
    monkeypatch.setattr(worker.resource, "setrlimit", lambda _, pair: limits.append(pair))
    used = SimpleNamespace(ru_utime=7.1, ru_stime=0.1)
    monkeypatch.setattr(worker.resource, "getrusage", lambda _: used)
    worker._limit_cpu(5)
    assert limits == [(13, -1)]


async def test_a_file_that_needs_too_much_memory_is_given_up(made):
    workers = made(memory=32 * MB)
    large = pdf_of_streams(b"BT (first) Tj ET", b"BT (x) Tj ET " * 5_000_000)
    assert len(large) < 300_000
    assert await workers.read("a", large) == ("first", pdf.CUT)
    for pid in workers.pids:
        assert memory(pid, "VmHWM") < 100
    assert await workers.read("a", pdf_of("next")) == ("next",)


async def test_a_large_file_with_little_in_it_is_read_within_the_memory_that_there_is(made):
    # white space behind the end, as others have pictures in it
    data = pdf_of("one")
    padded = data.rstrip("=")[: len(data) // 4 * 4 - 4] + "ICAg" * (30 * MB // 3)
    assert await made().read("a", padded) == ("one",)


async def test_a_client_that_leaves_ends_the_process_that_reads_for_it(made):
    workers = made()
    async with reading(workers) as (task, pid):
        task.cancel()
        await until(lambda: gone(pid), seconds=2)
    assert workers.pids == []
    assert pdf.remembered(ENDLESS) is None


async def test_a_file_that_takes_too_long_is_given_up_but_not_for_ever(made):
    workers = made(wall=0.5)
    async with reading(workers) as (task, pid):
        assert await task in (None, ("first", pdf.CUT))
        await until(lambda: gone(pid), seconds=2)
    assert pdf.remembered(ENDLESS) is None


async def test_of_one_owner_one_file_is_read_at_a_time_and_others_are_read_meanwhile(made):
    workers = made()
    async with reading(workers) as (_, first):
        second = asyncio.create_task(workers.read("a", pdf_of("second of a")))
        assert await workers.read("b", pdf_of("one of b")) == ("one of b",)
        assert not second.done()
        assert first in workers.pids and len(workers.pids) == 2
    assert await second == ("second of a",)


async def test_no_more_are_read_at_once_than_may_be(made):
    workers = made(workers=2)
    async with reading(workers, owner="a"), reading(workers, owner="b"):
        third = asyncio.create_task(workers.read("c", pdf_of("one of c")))
        await asyncio.sleep(0)
        assert len(workers.pids) == 2 and not third.done()
    assert await third == ("one of c",)


async def test_the_same_file_sent_twice_at_once_is_read_once(made):
    workers = made(cpu=1)
    before = time.monotonic()
    first, second = await asyncio.gather(workers.read("a", ENDLESS), workers.read("a", ENDLESS))
    assert first is second
    assert time.monotonic() - before < 60


async def test_a_process_that_dies_leaves_a_file_without_text(made):
    workers = made()
    async with reading(workers, ENDLESS) as (task, pid):
        os.kill(pid, signal.SIGKILL)
        assert await task in ((), ("first", pdf.CUT))
    assert await workers.read("a", pdf_of("next")) == ("next",)


async def test_a_process_that_dies_while_it_waits_is_replaced(made):
    workers = made()
    await workers.read("a", pdf_of("one"))
    (pid,) = workers.pids
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not any(one.alive for one in workers._workers))
    assert await workers.read("a", pdf_of("two")) == ("two",)


async def test_a_process_that_is_no_reader_leaves_a_file_without_text(made, monkeypatch):
    monkeypatch.setattr(pool, "_WORKER", "this")
    assert await made().read("a", pdf_of("one")) == ()


async def test_a_process_that_cannot_be_started_is_no_fault_of_the_file(made, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/python")
    assert await made().read("a", pdf_of("one")) is None
    assert pdf.remembered(pdf_of("one")) is None


async def test_stopping_ends_all_processes_and_what_they_read(made):
    workers = made()
    async with reading(workers) as (_, busy), reading(workers, owner="c") as (task, other):
        workers.stop()
        assert gone(busy) and gone(other)
        await task
    assert await workers.read("a", pdf_of("late")) is None
    assert workers.pids == []


async def test_a_process_ends_when_there_is_nothing_to_read_for_a_while(made):
    workers = made(idle=0.01)
    assert await workers.read("a", pdf_of("one")) == ("one",)
    await until(lambda: not workers.pids and not workers._burials)


async def test_a_process_ends_with_the_gateway_that_started_it(made):
    workers = made()
    await workers.read("a", pdf_of("one"))
    (one,) = workers._workers
    one._streams[1].transport.abort()
    await until(lambda: not one.alive)


async def test_a_process_knows_nothing_of_the_gateways_environment(made, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    workers = made()
    async with reading(workers) as (_, pid):
        assert b"sk-secret" not in environment_of(pid)
