"""The admin, loaded when a person first asks for it.

The admin, its theme and everything its pages import are a third of a process's memory; a process that
only serves clients never needs it. Uses Django's own extension points: an app configuration without
discovery, whose site is a name, and URLs that discover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

Application = Callable[[Any, Any, Any], Awaitable[None]]


class LateAdminConfig(SimpleAdminConfig):
    """Django's admin without discovery at start: `ccproxy_site/urls.py` does that."""

    default_site = "unfold.sites.UnfoldAdminSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(app_configs: Any = None, **options: Any) -> list[checks.CheckMessage]:
    """Django's check of all admin pages, which would find none before they are discovered."""
    autodiscover()
    return list(check_admin_app(app_configs, **options))


class Late:
    """An ASGI application that is built in a thread when the first request comes.

    Requests that arrive meanwhile wait for the same build. A failed build raises in the requests that waited
    for it, and is tried again with the next one.
    """

    def __init__(self, build: Callable[[], Application]) -> None:
        self._build = build
        self._built: Application | None = None
        self._building: asyncio.Task[Application] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        application = self._built or await self._ready()
        await application(scope, receive, send)

    async def _ready(self) -> Application:
        loop = asyncio.get_running_loop()
        if self._building is None or self._building.get_loop() is not loop:
            self._building = loop.create_task(asyncio.to_thread(self._build))
        building = self._building
        try:
            # a client that leaves must not cancel it for the others
            self._built = await asyncio.shield(building)
        finally:
            if building.done() and self._building is building:
                self._building = None
        return self._built
