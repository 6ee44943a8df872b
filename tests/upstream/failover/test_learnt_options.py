"""What a process has learnt of targets: in force until an admin has decided."""

import dataclasses

from gateway.conversion.errors.refusals import Lesson
from gateway.upstream.failover import learnt_options as module
from gateway.upstream.failover.learnt_options import Lessons
from tests.upstream.routes import route as route_to

FIELD = Lesson("max_tokens_field", "max_tokens", "max_completion_tokens", "words")


def fields(routes):
    return [route.profile.max_tokens_field for route in routes]


def test_without_lessons_the_routes_come_back_as_they_are():
    routes = (route_to("a"),)
    assert Lessons().in_force(routes, {}) is routes


def test_a_lesson_holds_at_its_target_and_is_told_once():
    told = []
    known, here, there = Lessons(told.append), route_to("a"), route_to("b")
    assert known.learn(here, [FIELD]) == [FIELD]
    assert known.learn(here, [FIELD]) == []
    assert fields(known.in_force((here, there), {})) == ["max_completion_tokens", "max_tokens"]
    assert [(one.provider, one.option, one.new) for one in told] == [
        (here.provider.slug, "max_tokens_field", "max_completion_tokens")
    ]


def test_the_same_route_is_changed_once():
    known, route = Lessons(), route_to("a")
    known.learn(route, [FIELD])
    assert known.in_force((route,), {})[0] is known.in_force((route,), {})[0]


def test_a_refused_option_is_not_applied_and_others_are():
    known, route = Lessons(), route_to("a")
    known.learn(route, [FIELD, Lesson("sampling", "pass", "drop")])
    refused = {(route.provider.slug, route.upstream_model): frozenset({"sampling"})}
    [changed] = known.in_force((route,), refused)
    assert (changed.profile.max_tokens_field, changed.profile.sampling) == ("max_completion_tokens", "pass")
    [both] = known.in_force((route,), {})
    assert both.profile.sampling == "drop"


def test_a_profile_that_says_otherwise_now_goes_before():
    known, route = Lessons(), route_to("a")
    known.learn(route, [Lesson("sampling", "pass", "drop")])
    set_by_admin = dataclasses.replace(route, profile=dataclasses.replace(route.profile, sampling="positive"))
    assert known.in_force((set_by_admin,), {})[0].profile.sampling == "positive"


def test_a_further_step_of_one_option_begins_where_the_first_did():
    known, route = Lessons(), route_to("a")
    known.learn(route, [Lesson("tool_choice", "full", "no_named")])
    [new] = known.learn(route, [Lesson("tool_choice", "no_named", "no_forced")])
    assert (new.old, new.new) == ("full", "no_forced")
    assert known.in_force((route,), {})[0].profile.tool_choice == "no_forced"


def test_names_that_clients_make_up_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(module, "MOST_TARGETS", 1)
    known = Lessons()
    known.learn(route_to("a"), [FIELD])
    assert known.learn(route_to("b"), [FIELD]) == []
