"""Stopping is one state machine: whenever signals come, and however many, the end is in order."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, stream
from tests.server.conftest import ROOT, answers, environment, free_port, prepare_database, until

# how the history ends on PostgreSQL is seen in test_processes and test_served
pytestmark = [pytest.mark.server, pytest.mark.once]
TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
# what a signal that comes before there is anything to keep makes of a process
BEFORE_SERVING = (0, -TERM, -INT)


def began(folder, number: int, **variables: str):
    """`serve`, from its first moment."""
    folder.mkdir(exist_ok=True)
    env = environment(folder, PORT=str(free_port()), **variables)
    if not (folder / "ccproxy.sqlite3").exists():
        prepare_database(folder)
    log = folder / "log"
    command = [sys.executable, "manage.py", "serve", "--processes", str(number)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    return process, log, int(env["PORT"])


def ended_in_order(process, log, codes=(0,), expected="") -> None:
    """`expected`: what is said at ERROR, and right."""
    try:
        assert process.wait(60) in codes
    finally:
        process.kill()
    text = log.read_text()
    assert "Traceback" not in text, text
    errors = [line for line in text.splitlines() if '"level":"ERROR"' in line]
    assert all(expected and expected in line for line in errors), text


@pytest.mark.parametrize("processes", [1, 2])
def test_signals_at_any_moment_of_the_start_end_it_without_an_error(tmp_path, processes):
    # each further one half as long again after the start, until it serves
    wait, moment = 0.05, 0
    while True:
        process, log, port = began(tmp_path, processes)
        time.sleep(wait)
        serving = answers(port)
        for number in (TERM, INT, TERM)[: 1 + moment % 3]:
            process.send_signal(number)
        ended_in_order(process, log, BEFORE_SERVING)
        if serving or wait > 30:
            break
        wait, moment = wait * 2, moment + 1


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("signals", [(TERM,), (HUP,), (TERM, TERM), (INT, TERM, INT), (HUP, HUP)])
async def test_signals_while_a_stream_is_under_way_end_it_in_order(serve, processes, signals):
    provider = await FakeProvider().start()
    go_on = asyncio.Event()
    provider.answers("gpt-4o", stream("first", go_on, "second"))
    # two signals may come as one, for which the stream has the grace to itself
    grace = {"STOP_GRACE": "2"} if len(signals) > 1 else {}
    upstream = {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": provider.base_url}
    served = await asyncio.to_thread(serve, "serve", "--processes", processes, **upstream, **grace)
    began = asyncio.Event()

    async def one() -> bytes:
        seen = b""
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", served.url + "/v1/messages", json=asking(model="x", stream=True)) as answer,
        ):
            try:
                async for piece in answer.aiter_bytes():
                    seen += piece
                    began.set()
            except httpx.TransportError:
                pass
        return seen

    asked = asyncio.ensure_future(one())
    await began.wait()
    for number in signals:
        served.process.send_signal(number)
    if len(signals) == 1:
        go_on.set()
        assert b"message_stop" in await asked
    await asyncio.to_thread(ended_in_order, served.process, served.log)
    await asked
    assert "open" not in [row["state"] for row in served.rows()]
    go_on.set()
    await provider.stop()


def test_two_signals_close_together_end_an_idle_gateway_in_order(serve):
    for processes in ("1", "2"):
        served = serve("serve", "--processes", processes)
        for number in (INT, TERM, TERM):
            served.process.send_signal(number)
        ended_in_order(served.process, served.log)


# runs a command in a session of its own, whose terminal is its standard input
IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_terminal_that_closes_ends_its_gateway_when_the_streams_have_ended(tmp_path, processes):
    provider = await FakeProvider().start()
    go_on = asyncio.Event()
    provider.answers("gpt-4o", stream("first", go_on, "second"))
    prepare_database(tmp_path)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        tmp_path, PORT=str(port), PROCESSES=processes,
        OPENAI_API_KEY="sk", OPENAI_BASE_URL=provider.base_url,
    )  # fmt: skip
    ours, theirs = os.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220 (it returns at once)
        [sys.executable, "-c", IN_A_TERMINAL, "manage.py", "serve"],
        cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    reading = asyncio.get_running_loop()
    # what it prints has to be read, or it waits
    reading.add_reader(ours, os.read, ours, 65536)
    try:
        await asyncio.to_thread(until, lambda: answers(port), 90)
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", url + "/v1/messages", json=asking(model="x", stream=True)) as answer,
        ):
            pieces = answer.aiter_bytes()
            seen = await anext(pieces)
            reading.remove_reader(ours)
            os.close(ours)
            # nothing new is taken
            await asyncio.to_thread(until, lambda: not answers(port), 60)
            go_on.set()
            async for piece in pieces:
                seen += piece
        assert b"message_stop" in seen
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
        process.wait()
        go_on.set()
        await provider.stop()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_under_nohup_a_terminal_that_closes_changes_nothing(tmp_path, processes):
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    prepare_database(tmp_path)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", ignoring, "manage.py", "serve"],
        cwd=ROOT, env=environment(tmp_path, PORT=str(port), PROCESSES=processes),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: answers(port), 90)
        os.killpg(process.pid, HUP)
        # SIGTERM comes later and is served later: what SIGHUP did would be seen
        assert answers(port) and process.poll() is None
        process.send_signal(TERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_process_that_was_killed_just_before_the_stop_is_no_failure_of_it(serve):
    served = serve("serve", "--processes", "2")
    tasks = f"/proc/{served.process.pid}/task/{served.process.pid}/children"
    with open(tasks) as file:
        victim = int(file.read().split()[0])
    subprocess.run(["kill", "-9", str(victim)], check=True)
    served.process.send_signal(TERM)
    ended_in_order(served.process, served.log, expected="ended and is started again")


def test_a_database_that_answers_nobody_does_not_hold_up_the_end(tmp_path, postgres, migrated_postgres):
    url = migrated_postgres("stop")
    folder = tmp_path / "gateway"
    folder.mkdir()
    env = environment(folder, DATABASE_URL=url, PORT=str(free_port()), STOP_GRACE="1", PROCESSES="1")
    env["DATABASE_URL"] = url
    log = folder / "log"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=env,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    port = int(env["PORT"])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(port), 90)
        postgres.pause()
        answer = httpx.post(url + "/v1/messages", json=asking(model="claude-x"), timeout=30)
        assert answer.status_code == 200
        began_at = time.monotonic()
        for path in ("/health/ready", "/health"):
            assert httpx.get(url + path, timeout=10).status_code == 200
        assert time.monotonic() - began_at < 10
        process.send_signal(TERM)
        # STOP_GRACE, and what conf.SETTLING_SECONDS promises
        assert process.wait(56) == 0
        lines = b"".join(file.read_bytes() for file in (folder / "spool").glob("*.spool"))
        assert b'"state":"ok"' in lines
    finally:
        postgres.resume()
        process.kill()
        process.wait()
