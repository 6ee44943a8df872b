"""One timer looks at all connections, as long as there are some."""

import asyncio

import pytest

from ccproxy_site.server import silence
from ccproxy_site.server.silence import Silences


class Connection:
    """Ends with the second look, and takes another one with it."""

    def __init__(self, silences, other=None):
        self.silences, self.other = silences, other
        self.looked = []
        self.done = asyncio.Event()
        silences.add(self)

    def look(self, now):
        self.looked.append(now)
        if len(self.looked) == 2:
            for ended in filter(None, (self, self.other)):
                self.silences.discard(ended)
            self.done.set()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(silence, "LOOK_EVERY", 0.001)


async def test_connections_are_looked_at_until_they_are_gone_and_again_when_others_come():
    silences = Silences()
    for _ in range(2):
        first = Connection(silences)
        second = Connection(silences, other=first)
        await asyncio.wait_for(second.done.wait(), 10)
        assert len(first.looked) == len(second.looked) == 2
        assert first.looked == sorted(first.looked)
