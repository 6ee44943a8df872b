"""Middleware for the admin's pages: browsers load nothing from anywhere but this site.

The theme evaluates the small expressions in its templates, so scripts need `unsafe-eval`; inline scripts
and remote files, which a stored conversation could try to smuggle in, stay forbidden.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADER: Final = "Content-Security-Policy"


@sync_and_async_middleware
def content_security_policy(get_response: Any) -> Callable[[HttpRequest], Any]:
    """Add the policy to every response that has none of its own."""
    if iscoroutinefunction(get_response):

        async def awaited(request: HttpRequest) -> HttpResponse:
            waiting: Awaitable[HttpResponse] = get_response(request)
            return _with_policy(await waiting)

        return awaited

    def called(request: HttpRequest) -> HttpResponse:
        return _with_policy(get_response(request))

    return called


def _with_policy(response: HttpResponse) -> HttpResponse:
    response.headers.setdefault(HEADER, POLICY)
    return response
