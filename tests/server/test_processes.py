"""Several server processes on one port, seen from outside."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, stream
from tests.server.conftest import ROOT, environment, manage, prepare_database, until

pytestmark = pytest.mark.server


def children(served) -> list[int]:
    tasks = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
    return [int(pid) for pid in tasks.read_text().split()]


def connections_of(pid: int, port: int) -> int:
    """How many connections to `port` this process has whose client is still there."""
    established = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            established.add(f"socket:[{rest[5]}]")
    count = 0
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry) in established
    except OSError:
        # it is gone
        return 0
    return count


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def refused(served) -> bool:
    try:
        socket.create_connection(("127.0.0.1", served.port), timeout=1).close()
    except OSError:
        return True
    return False


def answering(served, number: int) -> list[int]:
    """The processes, when all of them are there and have accepted something."""
    pids = children(served)
    return pids if len(pids) == number else []


def spread(served, pids, number) -> list[int]:
    """How many of so many connections each process takes."""
    connections = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(number)]
    for connection in connections:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        connection.recv(1000)
    taken = [connections_of(pid, served.port) for pid in pids]
    for connection in connections:
        connection.close()
    return taken


def both_accept(served, pids) -> bool:
    return min(spread(served, pids, 40)) > 5


@pytest.mark.once
def test_connections_spread_over_the_processes_and_all_stop_together(serve):
    served = serve("serve", "--processes", "2")
    pids = until(lambda: answering(served, 2))
    # from then on as many again: no process takes most of them
    until(lambda: both_accept(served, pids), 60)
    taken = spread(served, pids, 60)
    assert sum(taken) == 60
    assert min(taken) >= 10
    assert served.stop() == 0
    assert all(gone(pid) for pid in pids)


@pytest.mark.once
def test_a_process_that_dies_is_started_again_and_the_others_answer_meanwhile(serve):
    served = serve("serve", "--processes", "2")
    first, second = until(lambda: answering(served, 2))
    os.kill(first, signal.SIGKILL)
    until(lambda: gone(first))
    for _ in range(20):
        assert httpx.get(served.url + "/health").status_code == 200
    now = until(lambda: first not in children(served) and answering(served, 2))
    assert second in now
    assert "a server process ended and is started again" in served.log.read_text()
    assert served.stop() == 0


def longest_wait(served, number: int = 40) -> float:
    """Seconds until the last of so many connections, opened at once, has its answer."""
    began = time.monotonic()
    connections = [socket.create_connection(("127.0.0.1", served.port), timeout=60) for _ in range(number)]
    for connection in connections:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    for connection in connections:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.close()
    return time.monotonic() - began


@pytest.mark.once
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nobody_waits_for_a_process_that_was_killed_or_told_to_stop(serve, how):
    served = serve("serve", "--processes", "2")
    pids = until(lambda: answering(served, 2))
    until(lambda: both_accept(served, pids), 60)
    usual = longest_wait(served)
    os.kill(pids[0], how)
    assert longest_wait(served) < max(5.0, 5 * usual)
    until(lambda: pids[0] not in children(served) and answering(served, 2), 60)
    assert served.stop() == 0


async def test_a_stop_lets_streams_of_every_process_end(serve):
    provider = await FakeProvider().start()
    go_on = asyncio.Event()
    provider.answers("gpt-4o", stream("first", go_on, "second"))
    served = serve("serve", "--processes", "2", OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url)
    began = asyncio.Semaphore(0)

    async def one() -> bytes:
        seen = b""
        async with (
            httpx.AsyncClient(timeout=30) as client,
            client.stream("POST", served.url + "/v1/messages", json=asking(model="x", stream=True)) as answer,
        ):
            async for piece in answer.aiter_bytes():
                if b"first" not in seen and b"first" in seen + piece:
                    began.release()
                seen += piece
        return seen

    asked = [asyncio.ensure_future(one()) for _ in range(8)]
    for _ in asked:
        await began.acquire()
    served.process.terminate()
    await asyncio.to_thread(until, lambda: refused(served))
    go_on.set()
    for answer in await asyncio.gather(*asked):
        assert b"second" in answer
        assert b"message_stop" in answer
    assert await asyncio.to_thread(served.process.wait, 20) == 0
    assert [row["state"] for row in served.rows()] == ["ok"] * 8
    await provider.stop()


async def test_streams_of_every_process_that_outlast_the_grace_end_in_an_error_event(serve):
    provider = await FakeProvider().start()
    provider.answers("gpt-4o", stream("first", 60))
    served = serve(
        "serve", "--processes", "2",
        OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url, STOP_GRACE="0.5",
    )  # fmt: skip
    pids = until(lambda: answering(served, 2))
    until(lambda: both_accept(served, pids), 60)
    began = asyncio.Semaphore(0)

    async def one() -> str:
        seen = ""
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", served.url + "/v1/messages", json=asking(model="x", stream=True)) as answer,
        ):
            async for piece in answer.aiter_text():
                if "first" not in seen and "first" in seen + piece:
                    began.release()
                seen += piece
        return seen

    asked = [asyncio.ensure_future(one()) for _ in range(8)]
    for _ in asked:
        await began.acquire()
    served.process.terminate()
    for seen in await asyncio.gather(*asked):
        assert seen.count("event: error") == 1
        assert '"type":"overloaded_error"' in seen
        assert "message_stop" not in seen
    assert await asyncio.to_thread(served.process.wait, 60) == 0
    assert [row["state"] for row in served.rows()] == ["interrupted"] * 8
    assert len({row["served_by"] for row in served.rows()}) == 2
    await provider.stop()


@pytest.mark.once
def test_the_processes_stop_when_the_one_that_watches_is_killed(serve):
    served = serve("serve", "--processes", "2")
    pids = until(lambda: answering(served, 2))
    served.process.kill()
    until(lambda: all(gone(pid) for pid in pids))
    assert refused(served)


@pytest.mark.once
def test_metrics_are_those_of_all_processes_and_stay_when_one_dies(serve):
    served = serve("serve", "--processes", "2", METRICS_TOKEN="t")
    first, _ = pids = until(lambda: answering(served, 2))
    until(lambda: both_accept(served, pids), 60)
    for _ in range(12):
        assert httpx.post(served.url + "/v1/messages", json=asking(), timeout=30).status_code == 200

    def told() -> set[tuple[float, float]]:
        """Ended and open, as several questions find it, which meet both processes."""
        return {ended_and_open(served) for _ in range(6)}

    assert told() == {(12, 0)}
    os.kill(first, signal.SIGKILL)
    until(lambda: gone(first) and first not in children(served))
    assert told() == {(12, 0)}


def ended_and_open(served) -> tuple[float, float]:
    answer = httpx.get(served.url + "/metrics", headers={"authorization": "Bearer t"}, timeout=30)
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    return found["ccproxy_requests_total"], found["ccproxy_open_requests"]


@pytest.mark.once
def test_a_port_that_is_taken_is_said_before_any_process_starts(serve):
    served = serve()
    second = served.data.parent / "second"
    second.mkdir()
    env = environment(second, PORT=str(served.port))
    prepare_database(second)
    with pytest.raises(Exception) as problem:
        manage("serve", "--processes", "2", env=env)
    assert "choose another PORT" in problem.value.stderr
    assert "Traceback" not in problem.value.stderr


@pytest.mark.once
def test_a_restart_on_a_socket_of_somebody_else_refuses_nobody(tmp_path):
    """As systemd does with a .socket unit: it keeps the port, and who comes meanwhile waits."""
    env = environment(tmp_path)
    prepare_database(tmp_path)
    answered, failed, over = [], [], threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/health"
        command = [sys.executable, "manage.py", "serve", "--fd", str(listening.fileno())]

        def started():
            return subprocess.Popen(
                command, cwd=ROOT, env=env, pass_fds=[listening.fileno()], stdout=subprocess.DEVNULL
            )

        def ask():
            # a connection for each: what a load balancer that knows nothing does
            while not over.is_set():
                try:
                    answered.append(httpx.get(url, timeout=60, trust_env=False).status_code)
                except httpx.HTTPError as problem:
                    failed.append(problem)
                over.wait(0.01)

        first = started()
        assert httpx.get(url, timeout=60, trust_env=False).status_code == 200
        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        first.terminate()
        assert first.wait(30) == 0
        second = started()
        try:
            assert httpx.get(url, timeout=60, trust_env=False).status_code == 200
        finally:
            over.set()
            for thread in asking:
                thread.join()
            second.terminate()
            assert second.wait(30) == 0
    assert failed == []
    assert answered and set(answered) == {200}


@pytest.mark.once
def test_a_socket_that_somebody_else_listens_on_is_served(serve, tmp_path):
    env = environment(tmp_path)
    prepare_database(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--fd", str(listening.fileno())],
            cwd=ROOT, env=env, pass_fds=[listening.fileno()], stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            # it waits in the queue of the socket until the gateway is there
            assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
        finally:
            process.terminate()
            assert process.wait(20) == 0
