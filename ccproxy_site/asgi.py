"""The ASGI application: the admin and static files go to Django's handler, everything else to the gateway's.

Django's handler is built with the first request for it, together with the admin.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any, Final

import django
from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
django.setup(set_prefix=False)

# these need the apps to be loaded
from servestatic import ServeStaticASGI  # noqa: E402

from ccproxy_site.django_seam import origin_verified  # noqa: E402
from ccproxy_site.forwarded import take_in  # noqa: E402
from ccproxy_site.lazy_admin import Late  # noqa: E402
from ccproxy_site.public_path import PUBLIC_PATH, PublicPath  # noqa: E402
from ccproxy_site.server.handler import GatewayHandler  # noqa: E402
from gateway.conf import gateway_conf  # noqa: E402
from gateway.urls import websocket_urlpatterns  # noqa: E402

# a server that runs no checks must not serve with wrong values either
gateway_conf()

# the frameworks' own ASGI types do not agree with each other
Application = Callable[[Any, Any, Any], Awaitable[None]]

PEOPLES_PATHS: Final = ("/admin", "/static/")


class StaticFiles(ASGIStaticFilesHandler):
    """Django's function, which raises for a path that leads outside the folder."""

    async def get_response_async(self, request: HttpRequest) -> Any:
        try:
            return await super().get_response_async(request)
        except SuspiciousOperation:
            return HttpResponseNotFound()


def with_static_files(application: Any) -> Application:
    """Collected files when there are any (`make run` collects them), else straight from the packages."""
    if settings.STATIC_ROOT.is_dir():
        return ServeStaticASGI(application, root=str(settings.STATIC_ROOT), prefix=settings.STATIC_URL)
    handler: Application = StaticFiles(application)
    return handler


def for_people() -> Application:
    """Django's handler with the admin and static files; imports them, so it takes a second."""
    handler = ASGIHandler()
    get_resolver().url_patterns  # noqa: B018
    return with_static_files(handler)


class OrEnd:
    """Closes a WebSocket whose path nobody serves; Channels' router raises instead."""

    def __init__(self, router: URLRouter) -> None:
        self._router = router

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].lstrip("/")
        if any(route.pattern.match(path) for route in self._router.routes):
            await self._router(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4404})


def _no_view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


class SameOrigin:
    """WebSockets for pages of this site only; all others are refused.

    Cookies ignore the port, so a server on another port of this machine counts as foreign here. Django
    decides what is the same origin, as it does for a form: scheme, host and port of the request, or one of
    CSRF_TRUSTED_ORIGINS.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._forms: Any = CsrfViewMiddleware(_no_view)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._is_ours(scope):
            await self._application(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403})

    def _is_ours(self, scope: dict[str, Any]) -> bool:
        scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")
        request = ASGIRequest({**scope, "type": "http", "method": "GET", "scheme": scheme}, BytesIO())
        return "HTTP_ORIGIN" in request.META and origin_verified(self._forms, request)


class Entrance:
    """Sends WebSockets, the admin and static files, and the API to their applications.

    Replaces Channels' ProtocolTypeRouter because it releases what it was called with: a stream may last for
    an hour.
    """

    def __init__(
        self,
        pages: Application,
        people: Application,
        clients: Application,
        public_path: PublicPath = PUBLIC_PATH,
    ) -> None:
        self._pages = pages
        self._people = people
        self._clients = clients
        self._public_path = public_path

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if "client" in scope:
            take_in(scope)
        if self._public_path and "path" in scope:
            scope["path"] = self._public_path.within(scope["path"])
        answering = self._application(scope)(scope, receive, send)
        del scope, receive, send
        await answering

    def _application(self, scope: dict[str, Any]) -> Application:
        if scope["type"] == "websocket":
            return self._pages
        if scope["type"] != "http":
            # servers ask for `lifespan`, and accept this as an answer
            raise ValueError(f"nothing serves {scope['type']!r} here")
        if not scope["path"].startswith(PEOPLES_PATHS):
            return self._clients
        if self._public_path:
            self._public_path.put_before(scope)
        return self._people


application = Entrance(
    # the live tail: pages of this site only, with the admin's session
    pages=SameOrigin(SessionMiddlewareStack(OrEnd(URLRouter(websocket_urlpatterns)))),
    people=Late(for_people),
    clients=GatewayHandler(),
)
