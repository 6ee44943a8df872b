"""A real gateway on SQLite, in front of a fake provider on loopback."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.fakes.provider import FakeProvider, completion
from tests.server.conftest import KEY, Served, serve, start

__all__ = ["serve"]


@pytest.fixture(scope="module")
def provider():
    """A provider that answers for the model `m`; in a thread, so that attacks may block."""
    loop = asyncio.new_event_loop()
    serving = threading.Thread(target=loop.run_forever)
    serving.start()
    fake = asyncio.run_coroutine_threadsafe(FakeProvider().start(), loop).result()
    fake.answers("m", completion())
    yield fake
    asyncio.run_coroutine_threadsafe(fake.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    serving.join()
    loop.close()


@pytest.fixture(scope="module")
def attacked(provider, tmp_path_factory) -> Served:
    """A gateway with the client key KEY, whose provider is `provider`; all tests of a module share it."""
    served = start(
        tmp_path_factory.mktemp("attacked"),
        ANTHROPIC_API_KEY=KEY,
        OPENAI_API_KEY="sk-up",
        OPENAI_BASE_URL=provider.base_url,
        BIG_MODEL="m",
    )
    yield served
    served.stop()
