"""What every endpoint shares: a request id, JSON errors instead of pages, the allowed methods."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponseBase

from gateway.api.responses import Answer, error_response
from gateway.errors import GatewayError, InternalError, InvalidRequest, MethodNotAllowed
from gateway.relay.exchange.ids import new_id

logger = logging.getLogger("gateway.api")

View = Callable[..., Coroutine[Any, Any, HttpResponseBase | Answer]]


# Django's patterns know only its own response classes
Pattern = Callable[..., Any]


def endpoint(*methods: str) -> Callable[[View], Pattern]:
    """Decorate an async view `view(request, request_id, ...)` that answers `methods`.

    A GatewayError becomes its JSON. Anything unexpected becomes a 500; its details are
    only in the log, under the request id.
    """
    allowed = ", ".join(methods)

    def decorate(view: View) -> Pattern:
        @functools.wraps(view)
        async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | Answer:
            request_id = new_id("req_")
            try:
                if request.method not in methods:
                    raise MethodNotAllowed(allowed)
                return await view(request, request_id, *args, **kwargs)
            except GatewayError as error:
                return error_response(error, request_id)
            except (BadRequest, SuspiciousOperation) as problem:
                # Django's own errors for bad requests, such as too many query parameters
                return error_response(InvalidRequest(str(problem)), request_id)
            except Exception:
                logger.exception("unexpected error", extra={"request_id": request_id})
                return error_response(InternalError(), request_id)

        return answer

    return decorate
