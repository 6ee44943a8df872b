"""What a serving process loads, and the admin that comes with the first person."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ccproxy_site.lazy_admin import Late

ROOT = Path(__file__).parent.parent.parent
# what an API process has no use for: the admin's pages, its theme, another database's driver, the PDF reader
FOR_PEOPLE = {"gateway.admin", "unfold.admin", "markdown_it", "pypdf", "psycopg"}


def loaded_by(code: str, data: Path) -> set[str]:
    """The names of the modules a new process has after `code`, on SQLite."""
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
    }
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        cwd=ROOT,
        env=environment
        | {
            "DJANGO_SETTINGS_MODULE": "ccproxy_site.settings",
            "DATA_DIR": str(data),
            "DATABASE_URL": f"sqlite:///{data / 'x.sqlite3'}",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_a_process_that_serves_the_api_has_not_loaded_the_admin(tmp_path):
    loaded = loaded_by("import ccproxy_site.asgi", tmp_path)
    assert "gateway.api.views" in loaded
    assert not loaded & FOR_PEOPLE


def test_the_first_person_loads_it(tmp_path):
    loaded = loaded_by("from ccproxy_site import asgi; asgi.for_people()", tmp_path)
    assert {"gateway.admin", "unfold.admin"} <= loaded


EVERY_PAGE = """
import django; django.setup()
from django.contrib import admin
from django.core.checks import run_checks
from gateway.models import Provider
problems = run_checks(tags=["admin"])
assert problems == [], problems
assert any(base.__module__.startswith("unfold.") for base in type(admin.site._registry[Provider]).__mro__)
"""


def test_every_page_is_there_for_checks_and_carries_the_theme(tmp_path):
    # in a process of its own: the theme adds fields to lists that were shown
    loaded_by(EVERY_PAGE, tmp_path)


class Builder:
    """Builds an application that notes whom it answered; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.built, self.failures, self.answered = 0, failures, []

    def __call__(self):
        self.built += 1
        if self.built <= self.failures:
            raise RuntimeError("cannot be built")

        async def application(scope, receive, send):
            self.answered.append(scope)

        return application


def test_requests_at_the_same_time_share_one_build():
    builder = Builder()

    async def ask():
        late = Late(builder)
        await asyncio.gather(*(late(place, None, None) for place in range(5)))
        await late(5, None, None)

    asyncio.run(ask())
    assert (builder.built, sorted(builder.answered)) == (1, [0, 1, 2, 3, 4, 5])


def test_a_client_that_leaves_does_not_end_the_build_for_others():
    builder = Builder()

    async def ask():
        late = Late(builder)
        leaving = asyncio.create_task(late("leaves", None, None))
        staying = asyncio.create_task(late("stays", None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying

    asyncio.run(ask())
    assert (builder.built, builder.answered) == (1, ["stays"])


def test_a_build_that_failed_is_tried_again_with_the_next_request():
    builder = Builder(failures=1)

    async def ask():
        late = Late(builder)
        with pytest.raises(RuntimeError, match="cannot be built"):
            await late("first", None, None)
        await late("second", None, None)

    asyncio.run(ask())
    assert builder.answered == ["second"]
