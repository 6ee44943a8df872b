"""The live page's socket: whoever holds a session can send into it, and it only listens."""

import contextlib
import struct

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.attacks.toll import MB, watched
from tests.attacks.wire import answer, connected, head, send, status
from tests.server.conftest import environment, manage
from tests.server.test_live_tail import PATH, logged_in, socket

pytestmark = [pytest.mark.server, pytest.mark.once]

TEXT, BINARY, PING, REST = 0x1, 0x2, 0x9, 0x0
LAST = 0x80


@pytest.fixture(scope="module")
def session(attacked):
    manage(
        "createsuperuser", "--noinput", "--username", "ann", "--email", "a@example.com",
        env=environment(attacked.data, DJANGO_SUPERUSER_PASSWORD="secret"),
    )  # fmt: skip
    return logged_in(attacked)


@contextlib.contextmanager
def opened(attacked, session):
    """A bare connection behind the handshake: what follows are frames."""
    with connected(attacked, timeout=20) as connection:
        connection.sendall(
            head(
                f"GET {PATH} HTTP/1.1", f"origin: {attacked.url}", f"cookie: sessionid={session}",
                "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13",
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            ).replace(b"host: 127.0.0.1", f"host: 127.0.0.1:{attacked.port}".encode())
        )  # fmt: skip
        assert status(connection.recv(65536)) == 101
        yield connection


def frame(kind, payload, announced=None):
    """A frame of a client; its mask is zero, so the payload stands there as it is."""
    size = len(payload) if announced is None else announced
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        length = bytes([0x80 | 127]) + struct.pack("!Q", size)
    return bytes([kind]) + length + bytes(4) + payload


FLOODS = {
    "a frame of 10 GB": lambda: (frame(BINARY | LAST, b"x" * MB, 10**10) for _ in range(200)),
    "a message that never ends": lambda: (
        frame(TEXT if not n else REST, b"x" * 60_000) for n in range(3_000)
    ),
    "messages": lambda: (frame(BINARY | LAST, b"x" * 60_000) for _ in range(1_000)),
    "pings": lambda: (frame(PING | LAST, b"x" * 100) * 100 for _ in range(1_000)),
    "no text": lambda: (frame(TEXT | LAST, b"\xff\xfe") for _ in range(10)),
    "frames of a kind that nobody knows": lambda: (frame(0x7F, b"x") for _ in range(10)),
}


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS.keys())
def test_whatever_is_sent_into_it_takes_no_memory_and_holds_nobody_up(attacked, session, frames):
    with watched(attacked) as toll, opened(attacked, session) as connection:
        send(connection, frames())
    assert toll.memory < 48
    assert toll.held < 1


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:1", "http://localhost:{port}", "https://127.0.0.1:{port}", "http://127.0.0.1", "null",
     "http://127.0.0.1:{port}.evil.example", "http://evil.example#http://127.0.0.1:{port}", ""],
)  # fmt: skip
def test_a_page_of_another_origin_gets_no_socket_with_the_cookie(attacked, session, origin):
    with pytest.raises(InvalidStatus):
        socket(attacked, session, origin=origin.format(port=attacked.port) or " ")


@pytest.mark.parametrize("cookie", ["", "x" * 32, "x" * 8000, "\xff\xfe", "../../etc/passwd", "%00"])
def test_a_made_up_session_gets_none(attacked, cookie):
    with pytest.raises(InvalidStatus):
        socket(attacked, cookie)


def test_a_socket_of_a_path_that_nobody_serves_is_refused(attacked, session):
    with connected(attacked, timeout=20) as connection:
        connection.sendall(
            head("GET /v1/messages HTTP/1.1", "upgrade: websocket", "connection: upgrade",
                 "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
        )  # fmt: skip
        assert status(answer(connection)) in (400, 403, 404, 405, 426)


NEW_PASSWORD = """
from django.contrib.auth.models import User
person = User.objects.get(username="ann")
person.set_password("another-password-of-ann")
person.save()
"""


def test_with_the_password_changed_the_view_ends(attacked, session):
    with socket(attacked, session) as page:
        manage("shell", "-c", NEW_PASSWORD, env=environment(attacked.data))
        with pytest.raises(ConnectionClosed):
            page.recv(20)
