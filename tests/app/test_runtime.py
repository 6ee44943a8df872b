"""The process's Gateway: one, however many requests come first."""

import asyncio

import pytest

from gateway.app.runtime import Runtime


@pytest.mark.django_db(transaction=True)
async def test_requests_that_come_first_together_share_one_gateway():
    runtime = Runtime()
    try:
        gateways = await asyncio.gather(*(runtime.gateway() for _ in range(4)))
    finally:
        await asyncio.to_thread(runtime.stop)
        # it ends with its process; the next test has another database
        await asyncio.to_thread(runtime._configuration.stop)
    assert len({id(gateway) for gateway in gateways}) == 1
