"""The reader's time zone: chosen on a page and kept in a cookie, like the language."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

Respond = Callable[[HttpRequest], Any]

COOKIE: Final = "ccproxy_timezone"
_YEAR: Final = 365 * 24 * 3600


@cache
def names() -> tuple[str, ...]:
    """All time zones that are named by a place, and UTC."""
    every = zoneinfo.available_timezones()
    return ("UTC", *sorted(name for name in every if "/" in name and name[0].isupper()))


def reading_zone(get_response: Respond) -> Respond:
    """Middleware: pages show times in the reader's zone."""

    def respond(request: HttpRequest) -> Any:
        chosen = request.COOKIES.get(COOKIE, "")
        if chosen not in names():
            return get_response(request)
        with timezone.override(zoneinfo.ZoneInfo(chosen)):
            response = get_response(request)
            # render the page now, while its zone is active
            if hasattr(response, "render") and callable(response.render):
                response = response.render()
            return response

    return respond


def set_zone_view(request: HttpRequest) -> HttpResponse:
    """POST `zone` and `next`: keep the choice and redirect."""
    behind = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(behind, {request.get_host()}, request.is_secure())
    response = HttpResponseRedirect(behind if safe and behind else reverse("admin:index"))
    if request.method == "POST" and request.POST.get("zone", "") in names():
        response.set_cookie(
            COOKIE,
            request.POST["zone"],
            max_age=_YEAR,
            path=settings.LANGUAGE_COOKIE_PATH,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response
