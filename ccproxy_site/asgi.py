"""The ASGI application: admin and static files to Django's handler, everything else to the gateway's.

Django's handler is built with the first request for it, with the admin behind it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.handlers.asgi import ASGIHandler
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
django.setup(set_prefix=False)

# these need the apps to be loaded
from servestatic import ServeStaticASGI  # noqa: E402

from ccproxy_site.people import Late  # noqa: E402
from ccproxy_site.server.handler import GatewayHandler  # noqa: E402
from gateway.urls import websocket_urlpatterns  # noqa: E402

# the frameworks' own ASGI types do not agree with each other
Application = Callable[[Any, Any, Any], Awaitable[None]]

PEOPLES_PATHS: Final = ("/admin", "/static/")


def with_static_files(application: Any) -> Application:
    """Collected files when there are some (`make run` collects them), else straight from the packages."""
    if settings.STATIC_ROOT.is_dir():
        return ServeStaticASGI(application, root=str(settings.STATIC_ROOT), prefix=settings.STATIC_URL)
    handler: Application = ASGIStaticFilesHandler(application)
    return handler


def for_people() -> Application:
    """Django's handler with the admin and static files; imports them, so it takes a second."""
    handler = ASGIHandler()
    get_resolver().url_patterns  # noqa: B018
    return with_static_files(handler)


class OrEnd:
    """Ends a WebSocket whose path nobody serves; Channels' router raises instead."""

    def __init__(self, router: URLRouter) -> None:
        self._router = router

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].lstrip("/")
        if any(route.pattern.match(path) for route in self._router.routes):
            await self._router(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4404})


class Entrance:
    """WebSockets, admin and static files, and the API, each to its application.

    In place of Channels' ProtocolTypeRouter, because it lets go of what it was called with: a stream
    may last for an hour.
    """

    def __init__(self, pages: Application, people: Application, clients: Application) -> None:
        self._pages = pages
        self._people = people
        self._clients = clients

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        answering = self._application(scope)(scope, receive, send)
        del scope, receive, send
        await answering

    def _application(self, scope: dict[str, Any]) -> Application:
        if scope["type"] == "websocket":
            return self._pages
        if scope["type"] != "http":
            # servers ask for `lifespan`, and take this for an answer
            raise ValueError(f"nothing serves {scope['type']!r} here")
        return self._people if scope["path"].startswith(PEOPLES_PATHS) else self._clients


application = Entrance(
    # the live tail: pages of this site alone, with the session that the admin made
    pages=AllowedHostsOriginValidator(AuthMiddlewareStack(OrEnd(URLRouter(websocket_urlpatterns)))),
    people=Late(for_people),
    clients=GatewayHandler(),
)
