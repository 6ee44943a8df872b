"""The ASGI application: admin and static files to Django's handler, everything else to the gateway's."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
django_application = get_asgi_application()

# these need the apps to be loaded
from servestatic import ServeStaticASGI  # noqa: E402

from ccproxy_site.server.handler import GatewayHandler  # noqa: E402

# the frameworks' own ASGI types do not agree with each other
Application = Callable[[Any, Any, Any], Awaitable[None]]

PEOPLES_PATHS: Final = ("/admin", "/static/")


def with_static_files(application: Any) -> Application:
    """Collected files when there are some (`make run` collects them), else straight from the packages."""
    if settings.STATIC_ROOT.is_dir():
        return ServeStaticASGI(application, root=str(settings.STATIC_ROOT), prefix=settings.STATIC_URL)
    handler: Application = ASGIStaticFilesHandler(application)
    return handler


class ByPath:
    """Admin and static files one way, the API the other."""

    def __init__(self, people: Application, clients: Application) -> None:
        self._people = people
        self._clients = clients

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        chosen = self._people if scope["path"].startswith(PEOPLES_PATHS) else self._clients
        await chosen(scope, receive, send)


application = ProtocolTypeRouter(
    {"http": ByPath(people=with_static_files(django_application), clients=GatewayHandler())}
)
