"""Identifiers in the API's form."""

import re
import time

from gateway.relay.exchange.ids import new_id


def test_an_id_is_its_prefix_and_24_characters_of_base62():
    assert re.fullmatch(r"msg_[0-9A-Za-z]{24}", new_id("msg_"))


def test_ids_do_not_repeat():
    assert len({new_id("") for _ in range(10_000)}) == 10_000


def test_ids_are_in_the_order_of_their_time(monkeypatch):
    times = [0, 1, 1023, 1024, 1025, 1_790_000_000_000, 1_790_000_000_001, 2_000_000_000_000, 32**9 - 1]
    found = []
    for milliseconds in times:
        monkeypatch.setattr(time, "time_ns", lambda now=milliseconds: now * 1_000_000)
        found.append(new_id("req_"))
    assert found == sorted(found)
    assert [id[:13] for id in found] == sorted({id[:13] for id in found})
