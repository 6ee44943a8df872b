"""Somebody leaves: within two seconds every process refuses their key and has ended their streams."""

import asyncio
import time

import httpx
import pytest

from tests.conftest import asking
from tests.fakes.provider import FakeProvider, stream
from tests.server.conftest import environment, manage

pytestmark = pytest.mark.server
# Seconds on a busy machine, which takes its time for a look and for our requests. That processes look often
# enough for two is shown by the clock that they wait by: tests/config/snapshot/test_endings.py
IN_FORCE = 10.0

MAKE = """
from django.contrib.auth.models import User
from gateway.models import ClientKey
for name in ("ann", "bob"):
    print(ClientKey.issue(name, user=User.objects.create_user(name))[1])
"""
# as a script does it that knows nothing of the gateway
LEAVE = (
    "from django.contrib.auth.models import User; User.objects.filter(username='ann').update(is_active=False)"
)


def shell(served, code):
    return manage("shell", "-v", "0", "-c", code, env=environment(served.data)).stdout.split()


async def models(served, key):
    """The status of a small request, on a connection of its own: so many in a row meet both processes."""
    async with httpx.AsyncClient() as client:
        return (await client.get(served.url + "/v1/models", headers={"x-api-key": key})).status_code


async def test_the_streams_of_a_leaver_end_in_every_process_and_those_of_others_go_on(serve):
    provider = await FakeProvider().start()
    go_on = asyncio.Event()
    provider.answers("gpt-4o", stream("first", go_on, "second"))
    served = serve("serve", "--processes", "2", OPENAI_API_KEY="sk-up", OPENAI_BASE_URL=provider.base_url)
    ann, bob = shell(served, MAKE)

    async def followed(client, key):
        """The text of an answer and when it ended."""
        seen = b""
        headers = {"x-api-key": key}
        body = asking(model="x", stream=True)
        async with client.stream("POST", served.url + "/v1/messages", json=body, headers=headers) as answer:
            async for piece in answer.aiter_raw():
                if b"first" not in seen and b"first" in seen + piece:
                    begun.release()
                seen += piece
        return seen.decode(), time.monotonic()

    begun = asyncio.Semaphore(0)
    async with httpx.AsyncClient(timeout=60) as client:
        known = 0
        while known < 16:
            known = known + 1 if await models(served, bob) == 200 else 0
        # each on a connection of its own, so that both processes have some
        hers = [asyncio.create_task(followed(client, ann)) for _ in range(12)]
        his = [asyncio.create_task(followed(client, bob)) for _ in range(2)]
        for _ in range(14):
            await begun.acquire()
        await asyncio.to_thread(shell, served, LEAVE)
        left = time.monotonic()
        for text, ended in await asyncio.gather(*hers):
            assert ended - left < IN_FORCE
            assert text.count("event: error") == 1
            assert "the account of this client key's owner is not active" in text
        for _ in range(16):
            assert await models(served, ann) == 401
        go_on.set()
        for text, _ended in await asyncio.gather(*his):
            assert "second" in text and "message_stop" in text
    await provider.stop()
