"""Which event loop the serving commands get."""

import asyncio
import sys

import pytest

from ccproxy_site.server import loop


@pytest.fixture
def policy():
    before = asyncio.get_event_loop_policy()
    yield
    asyncio.set_event_loop_policy(before)


@pytest.mark.usefixtures("policy")
def test_the_serving_commands_get_uvloop_where_it_is_installed():
    uvloop = pytest.importorskip("uvloop")
    assert loop.choose_loop(["manage.py", "serve"])
    assert isinstance(asyncio.get_event_loop_policy(), uvloop.EventLoopPolicy)


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("arguments", [["manage.py"], ["manage.py", "migrate"]])
def test_other_commands_keep_asyncios_own(arguments):
    assert not loop.choose_loop(arguments)


@pytest.mark.usefixtures("policy")
def test_the_setting_keeps_asyncios_own(monkeypatch):
    monkeypatch.setenv("UVLOOP", "false")
    assert not loop.choose_loop(["manage.py", "serve"])


@pytest.mark.usefixtures("policy")
def test_without_the_package_asyncios_own_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert not loop.choose_loop(["manage.py", "serve"])
