"""A refused credential, over real processes: set aside for all, brought back by an admin in another one."""

import asyncio
import time

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, completion, error
from tests.server.conftest import environment, manage

pytestmark = pytest.mark.server
# seconds; one on a machine that has time
IN_FORCE = 10.0

TWO_KEYS = """
p = Provider.objects.create(name='P', slug='p', preset='generic', base_url='{url}', max_retries=0)
p.add_credential('sk-first', 'first')
p.add_credential('sk-spare', 'spare', position=1)
ModelMapping.objects.create(pattern='x', position=1).lead_to(p, 'up')
"""


def do(served, code):
    manage("shell", "-c", f"from gateway.models import *\n{code}", env=environment(served.data))


@pytest.fixture
async def provider():
    fake = await FakeProvider().start()
    yield fake
    await fake.stop()


def keys(provider):
    return [request.headers["authorization"].removeprefix("Bearer ") for request in provider.requests]


async def test_a_refused_credential_is_set_aside_until_an_admin_brings_it_back(serve, provider):
    provider.answers("up", error(401, "no such key"), completion("hello"))
    served = serve()
    do(served, TWO_KEYS.format(url=provider.base_url))
    async with httpx.AsyncClient(base_url=served.url, headers={"x-api-key": "any"}) as client:

        async def answered():
            return (await client.post("/v1/messages", json=asking(model="x"))).status_code == 200

        # the mapping is in force within a second
        deadline = time.monotonic() + IN_FORCE
        while not (await answered() and keys(provider)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert keys(provider) == ["sk-first", "sk-spare"]

        deadline = time.monotonic() + IN_FORCE
        while not (aside := _aside(served)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert aside == [("first", 401, "the upstream provider rejected the gateway's credentials")]
        # the process's own word is over by now, the record counts
        await asyncio.sleep(0.6)
        assert await answered()
        assert keys(provider)[2:] == ["sk-spare"]

        do(served, "Provider.objects.get(slug='p').bring_back()")
        since = time.monotonic()
        while keys(provider)[-1] != "sk-first":
            assert time.monotonic() - since < IN_FORCE
            assert await answered()
    served.stop()
    rows = served.rows(
        "SELECT credential, next_step FROM gateway_attempt WHERE provider = 'p' ORDER BY id LIMIT 2"
    )
    assert [(row["credential"], row["next_step"]) for row in rows] == [
        ("first", "credential"),
        ("spare", "answered"),
    ]


def _aside(served):
    rows = served.rows(
        "SELECT label, set_aside_status, set_aside_reason FROM gateway_providercredential"
        " WHERE set_aside_since IS NOT NULL"
    )
    return [(row["label"], row["set_aside_status"], row["set_aside_reason"]) for row in rows]
