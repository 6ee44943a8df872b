"""A real gateway on SQLite, in front of a fake provider on loopback."""

from __future__ import annotations

import pytest

from tests.fakes.provider import FakeProvider, completion
from tests.server.conftest import KEY, Served, serve, start

__all__ = ["serve"]


@pytest.fixture
async def provider():
    """A provider that answers for the model `m`."""
    fake = await FakeProvider().start()
    fake.answers("m", completion())
    yield fake
    await fake.stop()


@pytest.fixture
def attacked(serve, provider) -> Served:
    """A gateway with the client key KEY, whose provider is `provider`; each test has its own."""
    return serve(
        ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url, BIG_MODEL="m"
    )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A gateway for attackers without a key: it needs one and has no provider. One for all tests of a module."""
    served = start(tmp_path_factory.mktemp("stranger"), ANTHROPIC_API_KEY=KEY)
    yield served
    served.stop()
