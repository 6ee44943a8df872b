"""What opens sockets is tested on both event loops."""

import asyncio
import socket

import pytest

from gateway.upstream.http1 import happy_eyeballs

try:
    import uvloop
except ImportError:
    uvloop = None


BOTH_LOOPS = {"test_transport.py", "test_happy_eyeballs.py", "test_client.py", "test_network_paths.py"}


def pytest_asyncio_loop_factories(config, item):
    factories = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None and item.path.name in BOTH_LOOPS:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
async def no_names(monkeypatch):
    """No name is known, without asking the network."""

    def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(happy_eyeballs, "_looked_up", unknown)

    async def figures_only(self, host, port, **hints):
        return socket.getaddrinfo(host, port, **{**hints, "flags": socket.AI_NUMERICHOST})

    # the library's own transport asks the loop
    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", figures_only, raising=False)
