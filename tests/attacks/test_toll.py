"""The measuring itself: it sees a gateway that stands still, and one that takes memory."""

import math
import signal

import pytest

from tests.attacks.toll import MB, health, watched
from tests.attacks.wire import answer, connected, post, status

pytestmark = [pytest.mark.server, pytest.mark.once]


def test_a_gateway_at_rest_costs_next_to_nothing(attacked):
    with watched(attacked) as toll:
        pass
    assert toll.memory < 10 and toll.cpu < 1
    assert toll.longest_health < 10


def test_a_gateway_that_stands_still_is_seen(attacked):
    attacked.process.send_signal(signal.SIGSTOP)
    try:
        assert math.isinf(health(attacked, patience=0.2))
    finally:
        attacked.process.send_signal(signal.SIGCONT)


def test_memory_that_was_given_back_is_seen(attacked, provider):
    with watched(attacked) as toll, connected(attacked) as connection:
        connection.sendall(post(b'{"model": "m", "junk": "' + b"x" * 8 * MB + b'"}', "connection: close"))
        assert status(answer(connection)) == 400
    assert toll.memory > 8


def test_an_answer_that_does_not_come_has_the_status_0(attacked):
    with connected(attacked, timeout=0.1) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        assert status(answer(connection)) == 0
