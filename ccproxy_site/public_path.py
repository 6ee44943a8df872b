"""The path under which the gateway is reached: the sub-path of PUBLIC_URL.

A server in front may take it off or pass it on, so both are understood. Pages are addressed with it, so that
their links lead back through the server in front; the API's views and the bounds of a head never see it.
"""

from __future__ import annotations

from typing import Any, AnyStr, Final, cast

from django.conf import settings


class PublicPath:
    """`prefix`: begins with a slash and ends without one; empty for a gateway at the root of its host."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._sent = prefix.encode()

    def __bool__(self) -> bool:
        return bool(self._prefix)

    def within(self, path: AnyStr) -> AnyStr:
        """The path without the prefix, as text or as it was sent."""
        prefix: Any = self._prefix if isinstance(path, str) else self._sent
        if not path.startswith(prefix):
            return path
        rest = path[len(prefix) :]
        slash: Any = "/" if isinstance(path, str) else b"/"
        if not rest:
            return cast(AnyStr, slash)
        return rest if rest.startswith(slash) else path

    def put_before(self, scope: dict[str, Any]) -> None:
        """Put the prefix before the path of an ASGI scope, so that Django makes links with it."""
        scope["root_path"] = self._prefix
        scope["path"] = self._prefix + scope["path"]


PUBLIC_PATH: Final = PublicPath(settings.PUBLIC_PATH)
