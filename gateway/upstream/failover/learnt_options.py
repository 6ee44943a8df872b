"""Lessons: options that providers have taught this process, in force until an admin decides.

A value with methods; no clock and no waiting. A lesson holds as long as the profile has the value
that was refused. An admin's setting that says otherwise ends it, and so does the confirmed record;
an option that an admin has refused is never applied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.conversion.errors.refusal_rules import value_of
from gateway.conversion.errors.refusals import Lesson, with_options
from gateway.routing.learnt_options import Taught
from gateway.routing.resolve import Route
from gateway.upstream.failover.health import TargetKey, key_of

# More than any admin configures; clients can make up names that are sent on unchanged.
MOST_TARGETS: Final = 1000

# options that an admin has refused, by provider slug and upstream model
RefusedOptions = Mapping[tuple[str, str], Collection[str]]


class _Changed(NamedTuple):
    """A route as it was resolved, the options that were refused then, and the route with the lessons."""

    route: Route
    refused: Collection[str]
    changed: Route


class Lessons:
    """Ask `in_force` for routes; report `learn`.

    `on_taught` hears what an admin should see; it must not block.
    """

    def __init__(self, on_taught: Callable[[Taught], None] | None = None) -> None:
        self._on_taught = on_taught
        self._targets: dict[TargetKey, dict[str, Lesson]] = {}
        self._changed: dict[TargetKey, _Changed] = {}

    def in_force(self, routes: Sequence[Route], refused: RefusedOptions) -> Sequence[Route]:
        """The routes with what has been learnt about their targets applied."""
        if not self._targets:
            return routes
        return [self._with_lessons(route, refused_of(route, refused)) for route in routes]

    def learn(self, route: Route, lessons: Iterable[Lesson]) -> list[Lesson]:
        """Note that these lessons held at the route's target. Returns the new ones."""
        key = key_of(route)
        if key not in self._targets and len(self._targets) >= MOST_TARGETS:
            return []
        known = self._targets.setdefault(key, {})
        new = []
        for lesson in lessons:
            before = known.get(lesson.option)
            if before is not None and before.new == lesson.old:
                # a second step for the same option: the profile still has the original value
                lesson = lesson._replace(old=before.old)
            if before is not None and before[:3] == lesson[:3]:
                continue
            known[lesson.option] = lesson
            new.append(lesson)
            self._tell(route, lesson)
        self._changed.pop(key, None)
        return new

    def _with_lessons(self, route: Route, refused: Collection[str]) -> Route:
        key = key_of(route)
        lessons = self._targets.get(key)
        if not lessons:
            return route
        last = self._changed.get(key)
        if last is None or last.route is not route or last.refused != refused:
            options = {
                lesson.option: lesson.new
                for lesson in lessons.values()
                if lesson.option not in refused and value_of(route.profile, lesson.option) == lesson.old
            }
            profile = with_options(route.profile, options) if options else route.profile
            changed = dataclasses.replace(route, profile=profile) if options else route
            last = self._changed[key] = _Changed(route, refused, changed)
        return last.changed

    def _tell(self, route: Route, lesson: Lesson) -> None:
        if self._on_taught is not None:
            taught = (lesson.option, lesson.old, lesson.new, lesson.words, route.rule.id)
            self._on_taught(Taught(route.provider.slug, route.upstream_model, *taught))


def refused_of(route: Route, refused: RefusedOptions) -> Collection[str]:
    """The options that an admin has refused for a route's target."""
    return refused.get((route.provider.slug, route.upstream_model), ())
