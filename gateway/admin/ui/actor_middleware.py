"""Middleware: attributes the changes that a request to the console makes to its user."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from gateway.config.changes import acting


def acting_user(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Must come after the middleware that sets the user."""

    def respond(request: HttpRequest) -> HttpResponse:
        user = request.user
        with acting(user if user.is_authenticated else None, "" if user.is_authenticated else "login"):
            return get_response(request)

    return respond
