"""Teaching: what the refusals of one exchange teach, tried before the first byte and kept if it works.

A refusal that names an option leads to one more attempt at the same target with that option changed.
A lesson is kept only when the target has answered with it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

from gateway.conversion.errors.refusals import Lesson, fitted_to_minute, lesson, told_window, with_options
from gateway.errors import UpstreamError, UpstreamRejected
from gateway.relay.exchange.exchange import Exchange
from gateway.relay.gateway import Gateway
from gateway.routing.resolve import Route
from gateway.upstream.failover.attempts import is_overflow
from gateway.upstream.failover.choices import AttemptChoice
from gateway.upstream.failover.learnt_options import refused_of
from gateway.wire import jsontext

logger = logging.getLogger("gateway.relay")

# A model may refuse two parameters; one that refuses more needs an admin.
MOST_LESSONS: Final = 2
# overflow.py's limit if the prompt fits, but not together with the output
OUTPUT_TOO_LONG: Final = "input length and `max_tokens` exceed"


class Teaching:
    """Ask `changed` after a refusal, report `accepted` when the changed request goes out, then `worked`.

    `refusal`: the error that led to the first lesson, for the client when no lesson helps.
    """

    def __init__(self, exchange: Exchange, gateway: Gateway) -> None:
        self._exchange = exchange
        self._gateway = gateway
        self._lessons: dict[int, list[Lesson]] = {}
        self._given = 0
        self.refusal: UpstreamError | None = None

    def changed(
        self, choice: AttemptChoice, error: UpstreamError, sent: Mapping[str, object]
    ) -> tuple[list[Lesson], Route] | None:
        """What a refusal teaches and the route with it; None when it teaches nothing more.

        `sent`: the body that was refused.
        """
        if not isinstance(error, UpstreamRejected) or self._given >= MOST_LESSONS:
            return None
        route = choice.route
        if is_overflow(error):
            found = self._overflow(route, error, sent)
        else:
            one = lesson(error.upstream_status or error.status, self._answer(error), route.profile, sent)
            found = [] if one is None else [one]
        refused = self._refused(route)
        if not found or any(one.lasting and one.option in refused for one in found):
            return None
        profile = with_options(route.profile, {one.option: one.new for one in found})
        return found, dataclasses.replace(route, profile=profile)

    def accepted(self, choice: AttemptChoice, found: list[Lesson], error: UpstreamError) -> None:
        """Note that the request is sent again with these lessons because of this error."""
        self._given += 1
        self._lessons.setdefault(choice.index, []).extend(found)
        self.refusal = self.refusal or error

    def worked(self, choice: AttemptChoice) -> None:
        """Note that the target has answered: its changed options are in force from now on."""
        lessons = [one for one in self._lessons.get(choice.index, ()) if one.lasting]
        if lessons:
            self._learn(choice.route, lessons)

    def _overflow(self, route: Route, error: UpstreamError, sent: Mapping[str, object]) -> list[Lesson]:
        """Notes the window. When only the output did not fit, a `max_tokens` fitted to it is worth a try."""
        if error.message.startswith(OUTPUT_TOO_LONG):
            minute = fitted_to_minute(self._answer(error), route.profile, sent)
            if minute is not None:
                return [minute]
        window = told_window(self._exchange.answered.text(), route.profile)
        if window is not None and window.option not in self._refused(route):
            self._learn(route, [window])
        if not error.message.startswith(OUTPUT_TOO_LONG) or route.profile.window_check != "upstream":
            return []
        fitted = Lesson("window_check", "upstream", "fit", error.message)
        return [fitted] if window is None else [window, fitted]

    def _learn(self, route: Route, lessons: list[Lesson]) -> None:
        for learnt in self._gateway.lessons.learn(route, lessons):
            logger.warning(
                "an option was learnt from a refusal; it is in force here until an admin has decided",
                extra={
                    "request_id": self._exchange.request_id,
                    "provider": route.provider.slug,
                    "upstream_model": route.upstream_model,
                    "option": learnt.option,
                    "old": learnt.old,
                    "new": learnt.new,
                    "words": learnt.words,
                },
            )

    def _refused(self, route: Route) -> Any:
        return refused_of(route, self._gateway.configuration.snapshot.refused_options)

    def _answer(self, error: UpstreamError) -> bytes:
        """The body of the refusal; a refusal inside a 200 has only its message."""
        if error.upstream_status is not None:
            return self._exchange.answered.text()
        return jsontext.dumps({"error": {"message": error.message}})
