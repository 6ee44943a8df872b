"""The process's Gateway: one, however many requests come first."""

import asyncio
import sqlite3
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from gateway.app.runtime import Runtime
from gateway.errors import NotReady
from gateway.routing.snapshot import ConfigSnapshot


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


def test_requests_of_refused_keys_end_before_the_disk_is_written():
    runtime, done = Runtime(), []
    runtime._gateway = SimpleNamespace(live=SimpleNamespace(dismiss=None))
    runtime._loop = SimpleNamespace(
        is_closed=lambda: False, call_soon_threadsafe=lambda *_: done.append("endings")
    )
    runtime._last_policies = SimpleNamespace(keep=lambda _: done.append("disk"))
    runtime._configuration_changed(ConfigSnapshot(stamp=1))
    assert done == ["endings", "disk"]


async def test_a_process_that_cannot_reach_its_database_waits_for_it_only_with_kept_policies(monkeypatch):
    state = {"away": True, "kept": None}
    waiting = Runtime()

    def prepare():
        if state["away"]:
            raise OperationalError("the server does not answer") from sqlite3.OperationalError("no")

    monkeypatch.setattr(waiting, "_prepare", prepare)
    monkeypatch.setattr(waiting, "kept_policies", lambda: state["kept"])
    with pytest.raises(OperationalError):
        waiting.prepare_or_wait()
    state["kept"] = ConfigSnapshot(stamp=-1)
    waiting.prepare_or_wait()
    for _ in range(2):
        with pytest.raises(NotReady):
            await waiting.gateway()
    state["away"] = False
    with pytest.raises(NotReady):
        # not asked again so soon
        waiting._prepare_late()
    monkeypatch.setattr("gateway.app.runtime.RETRY_SECONDS", 0.0)
    waiting._prepare_late()
    assert waiting._unprepared is None
