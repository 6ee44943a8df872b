"""Real Chromium before a real gateway process and a provider on a real socket.

The browser is the distribution's (nothing is downloaded); without one these tests are
skipped and say so. Everything runs in one event loop: the provider answers while a test
waits for the page.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, StorageState, async_playwright

from tests.browser.pages import Furnished, furnish
from tests.browser.watched import Watched
from tests.fakes.provider import FakeProvider
from tests.server.conftest import Served, environment, follows, manage, start

ADMIN = "ann"
MEMBER = "bob"
PASSWORD = "a-password-for-tests"
# one process for what `make run` takes several for
PREPARE = f"""
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
get_user_model().objects.create_superuser({ADMIN!r}, password={PASSWORD!r})
get_user_model().objects.create_user({MEMBER!r}, password={PASSWORD!r}, is_staff=True)
"""
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.server)
            # the first one starts the browser and the gateway, on a machine that may be busy
            item.add_marker(pytest.mark.timeout(300))
            if inspect.iscoroutinefunction(item.function):
                # in front of the one that every asynchronous test gets
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Console:
    """A gateway with people who may log in, and the provider behind it.

    `sessions`: who has logged in, as their browsers keep it.
    """

    served: Served
    provider: FakeProvider
    sessions: dict[str, StorageState] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.served.url

    def configure(self, secrets: dict[str, str] | None = None, **sections) -> None:
        """Take in a configuration file, and wait until the gateway follows it. `secrets`: what it names."""
        file = self.served.data / "configuration.json"
        file.write_text(json.dumps({"ccproxy": 1, **sections}))
        manage("importconfig", str(file), env=environment(self.served.data, **(secrets or {})))
        follows(self.served)

    def provider_section(self, slug: str = "fake", name: str = "Fake", **fields) -> dict[str, object]:
        return {"slug": slug, "name": name, "base_url": self.provider.base_url, "auth": "none", **fields}


def executable() -> str | None:
    """The Chromium of this machine; CHROMIUM names another."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    path = executable()
    if path is None:
        pytest.skip("NOT TESTED: no Chromium on this machine (Debian: apt install chromium)")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=path,
            # root in a container has no sandbox to give; /dev/shm is small there
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield chromium
        await chromium.close()


@pytest.fixture(scope="session")
def prepared(browser, tmp_path_factory):
    """A DATA_DIR as the first `make run` leaves it, with an administrator and somebody else."""
    folder = tmp_path_factory.mktemp("prepared")
    manage("shell", "--verbosity", "0", "--command", PREPARE, env=environment(folder))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def console(prepared, tmp_path_factory):
    """One gateway for a module."""
    folder = tmp_path_factory.mktemp("console") / "data"
    shutil.copytree(prepared, folder)
    provider = await FakeProvider().start()
    served = start(folder)
    yield Console(served, provider)
    served.stop()
    await provider.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def furnished(console) -> Furnished:
    """The gateway with one of everything that pages show."""
    return await furnish(console)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, console):
    """visit(user) opens a page, logged in; what goes wrong on any of its pages fails the test."""
    opened: list[Watched] = []

    async def visit(user: str = ADMIN, **context) -> Watched:
        known = console.sessions.get(user)
        watched = await Watched.open(browser, console.url, storage_state=known, **context)
        opened.append(watched)
        if known is None:
            await watched.log_in(user, PASSWORD)
            console.sessions[user] = await watched.context.storage_state()
        return watched

    yield visit
    faults = [fault for watched in opened for fault in watched.faults]
    for watched in opened:
        await watched.context.close()
    assert faults == []
