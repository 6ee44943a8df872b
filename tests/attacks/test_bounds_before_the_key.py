"""Who has no key, and only reaches the port, can neither fill the memory nor hold the connections."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.attacks.toll import MB, watched
from tests.attacks.wire import answer, connected, head, post, send, status
from tests.server.conftest import KEY

pytestmark = [pytest.mark.server, pytest.mark.once]

PIECE = b" " * MB


def chunks(count):
    return (b"%x\r\n%b\r\n" % (len(PIECE), PIECE) for _ in range(count))


@pytest.mark.parametrize("path", ["/health", "/admin/login/", "/v1/messages", "/v1/models", "/nowhere"])
@pytest.mark.parametrize("how", ["length", "chunks"])
def test_a_body_without_an_end_takes_no_memory(attacked, path, how):
    with watched(attacked) as toll, connected(attacked, timeout=15) as connection:
        if how == "length":
            connection.sendall(head(f"POST {path} HTTP/1.1", f"content-length: {10**10}"))
            sent = send(connection, (PIECE for _ in range(200)))
        else:
            connection.sendall(head(f"POST {path} HTTP/1.1", "transfer-encoding: chunked"))
            sent = send(connection, chunks(200))
        answer(connection)
    assert toll.memory < 48, sent
    assert toll.longest_health < 2


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages?beta=true"])
@pytest.mark.parametrize("how", ["length", "chunks"])
def test_a_wrong_key_is_refused_before_the_body_is_sent(attacked, path, how):
    with connected(attacked, timeout=15) as connection:
        size = "content-length: 20000000" if how == "length" else "transfer-encoding: chunked"
        connection.sendall(head(f"POST {path} HTTP/1.1", "x-api-key: wrong", size))
        assert status(connection.recv(65536)) == 401


def test_a_client_that_sends_its_whole_body_first_sees_the_refusal(attacked):
    with connected(attacked, timeout=15) as connection:
        connection.sendall(head("POST /v1/messages HTTP/1.1", f"content-length: {6 * MB}"))
        for _ in range(6):
            connection.sendall(PIECE)
        found = answer(connection)
    assert status(found) == 401
    assert b"authentication_error" in found


def test_who_expects_to_be_told_to_go_on_is_told_of_the_wrong_key(attacked):
    with connected(attacked, timeout=15) as connection:
        connection.sendall(head("POST /v1/messages HTTP/1.1", "content-length: 9", "expect: 100-continue"))
        assert status(connection.recv(65536)) == 401


@pytest.mark.parametrize("key", [None, KEY], ids=["without a key", "with a key"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/models", "/health"])
def test_who_sends_requests_and_reads_no_answers_takes_no_memory(attacked, path, key):
    """24 MB of small ones, of which 80 MB of memory were made."""
    block = post(b"{}", path=path, key=key) * 400
    with watched(attacked) as toll, connected(attacked, timeout=5) as connection:
        sent = send(connection, (block for _ in range(24 * MB // len(block))))
    assert toll.memory < 32, sent
    assert toll.longest_health < 2


@pytest.mark.parametrize("shown", [[], [f"x-api-key: {KEY}"]], ids=["without a key", "with a key"])
@pytest.mark.parametrize("path", ["/health", "/admin/login/", "/v1/messages"])
def test_a_body_in_chunks_of_a_byte_holds_nobody_up(attacked, path, shown):
    """500,000 of them, which took 4.6 seconds of CPU on the event loop."""
    with watched(attacked) as toll, connected(attacked, timeout=60) as connection:
        connection.sendall(head(f"POST {path} HTTP/1.1", "transfer-encoding: chunked", *shown))
        send(connection, (b"1\r\n \r\n" * 50_000 for _ in range(10)))
        # it reads all of it before it sees this, and does not wait for more
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        assert status(answer(connection)) in (401, 413)
    assert toll.held < 0.9
    assert toll.cpu < 1.5


@pytest.mark.parametrize("path", ["/admin/login/", "/v1/messages"])
def test_many_unfinished_bodies_share_one_bound(attacked, path):
    with contextlib.ExitStack() as open_ones, watched(attacked) as toll:
        connections = [open_ones.enter_context(connected(attacked, timeout=15)) for _ in range(20)]
        for connection in connections:
            connection.sendall(head(f"POST {path} HTTP/1.1", f"content-length: {31 * MB}"))
            send(connection, (PIECE for _ in range(20)))
    assert toll.memory < 64 + 48
    assert toll.longest_health < 2


def test_half_requests_leave_room_for_others_and_descriptors_for_the_provider(attacked):
    """1,100 of them, more than the descriptors that most systems give to begin with."""
    with contextlib.ExitStack() as open_ones, watched(attacked) as toll:
        for _ in range(1100):
            connection = open_ones.enter_context(connected(attacked))
            connection.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: ")
        body = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}'
        for _ in range(5):
            with connected(attacked) as somebody:
                somebody.sendall(post(body, "connection: close"))
                assert status(answer(somebody)) == 200
    assert toll.memory < 48
    assert toll.longest_health < 2


BEGINNINGS = {
    "a letter": b"P",
    "the API's": b"POST /v1/messages HTTP/1.1\r\nx: ",
    "a page's": b"GET /health HTTP/1.1\r\nx: ",
    "an empty line": b"\r\n",
}


def lasts(served, beginning):
    """Seconds until the gateway ends a connection on which a head begins, and then comes byte by byte."""
    began = time.monotonic()
    with connected(served, timeout=1.0) as connection:
        connection.sendall(beginning)
        while time.monotonic() - began < 30:
            try:
                if not connection.recv(65536):
                    break
            except TimeoutError:
                with contextlib.suppress(OSError):
                    connection.sendall(beginning[-1:])
            except OSError:
                break
        return time.monotonic() - began


def test_a_half_head_is_ended_in_its_time_however_many_bytes_still_come(attacked):
    with ThreadPoolExecutor(len(BEGINNINGS)) as all_at_once:
        lasted = all_at_once.map(partial(lasts, attacked), BEGINNINGS.values())
        found = dict(zip(BEGINNINGS, lasted, strict=True))
    assert max(found.values()) < 16, found
