"""Ramps: steps in time, guards, and what is left of them in the configuration."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.utils import timezone

from gateway.config import ramps
from gateway.config.change_entries import changes_of, said_of, source_of
from gateway.config.changes import acting
from gateway.config.snapshot.rules import mapping_rules
from gateway.config.undoing import undo
from gateway.history.arms import MOST_ROWS, figures, rows_of_arm
from gateway.models import ModelMapping, Ramp, RequestLog
from gateway.models.configuration.ramp import RampState
from gateway.routing.shares import shares_of
from gateway.watch import attention, guards
from gateway.watch.ramps import look
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
OLD, NEW = "p/old", "p/new"
STEPS = [{"share": 10, "seconds": 3600}, {"share": 50, "seconds": 3600}, {"share": 100, "seconds": 3600}]


def minutes(number):
    return NOW + timedelta(minutes=number)


@pytest.fixture
def mapping():
    mapping = make_mapping("claude-*", make_provider(), "old")
    mapping.lead_to(mapping.targets.get().provider, "new")
    return mapping


def make_ramp(mapping, steps=STEPS, **fields):
    target = mapping.targets.get(upstream_model="new")
    ramp = Ramp(mapping=mapping, target=target, steps=steps, **{"starts_at": NOW, **fields})
    ramp.full_clean()
    ramp.save()
    return ramp


def share_of_new(now):
    [rule] = mapping_rules()
    return None if rule.shares is None else shares_of(rule.shares.at(now.timestamp()).weights).get(NEW, 0)


def weights():
    return dict(ModelMapping.objects.get().targets.values_list("upstream_model", "weight"))


def asked(mapping, arm, number, *, at=NOW, first=0, **fields):
    """Store `number` ended requests of an arm, each in a session of its own."""
    provider, _, model = arm.partition("/")
    facts = {"state": "ok", "attempts": 1, "provider": provider, "upstream_model": model, **fields}
    RequestLog.objects.bulk_create(
        RequestLog(
            request_id=f"{arm}-{at:%H%M%S}-{first + one}",
            started_at=at,
            mapping_pk=mapping.pk,
            arm=arm,
            **{"session_id": f"{arm}-{at:%H%M%S}-{first + one}", **facts},
        )
        for one in range(number)
    )


def test_a_switch_at_a_time_is_in_every_snapshot_before_it(mapping):
    make_ramp(mapping, [{"share": 100}])
    assert [share_of_new(minutes(one)) for one in (-60, -0.01, 0, 60)] == [0, 0, 1, 1]
    look(minutes(-1))
    assert Ramp.objects.get().state == RampState.WAITING
    look(minutes(0.1))
    look(minutes(0.3))
    assert Ramp.objects.get().state == RampState.DONE
    assert weights() == {"old": None, "new": 100}
    assert share_of_new(minutes(60)) == 1


def test_a_ramp_goes_from_step_to_step_and_leaves_its_weights(mapping):
    make_ramp(mapping)
    seen = {}
    for minute in range(0, 240, 10):
        look(minutes(minute))
        seen[minute] = share_of_new(minutes(minute))
    assert seen[0] == seen[50] == pytest.approx(0.1)
    assert seen[60] == seen[110] == pytest.approx(0.5)
    assert seen[120] == seen[170] == seen[230] == 1
    assert Ramp.objects.get().state == RampState.DONE
    assert weights() == {"old": None, "new": 100}


def test_without_guards_each_process_begins_the_next_step_at_its_time_by_itself(mapping):
    make_ramp(mapping)
    look(NOW)
    assert [share_of_new(minutes(one)) for one in (59.9, 60)] == pytest.approx([0.1, 0.5])


def test_with_guards_a_step_waits_for_the_look(mapping):
    make_ramp(mapping, guard_errors=5)
    look(NOW)
    assert share_of_new(minutes(61)) == pytest.approx(0.1)


def test_a_gateway_that_slept_does_not_run_through_the_steps(mapping):
    make_ramp(mapping)
    look(minutes(300))
    look(minutes(301))
    assert (Ramp.objects.get().step, Ramp.objects.get().step_since) == (0, minutes(300))


def test_a_step_of_sessions_ends_when_the_new_arm_was_given_as_many(mapping):
    make_ramp(mapping, [{"share": 10, "sessions": 5}, {"share": 100}])
    look(NOW)
    asked(mapping, NEW, 4, at=minutes(1))
    look(minutes(2))
    assert Ramp.objects.get().step == 0
    asked(mapping, NEW, 1, at=minutes(3))
    look(minutes(4))
    assert Ramp.objects.get().step == 1


def test_sessions_that_an_earlier_step_brought_do_not_end_the_next_one(mapping):
    make_ramp(mapping, [{"share": share, "sessions": 20} for share in (1, 5, 20, 50, 100)])
    look(NOW)
    for turn in range(1, 10):
        for session in range(20):
            asked(mapping, NEW, 1, at=minutes(turn), first=session, session_id=f"session {session}")
        look(minutes(turn + 0.5))
    assert Ramp.objects.get().step == 1
    asked(mapping, NEW, 19, at=minutes(11))
    look(minutes(12))
    assert Ramp.objects.get().step == 1
    asked(mapping, NEW, 1, at=minutes(13))
    look(minutes(14))
    assert Ramp.objects.get().step == 2


def test_a_ramp_keeps_the_proportion_of_the_other_weights(mapping):
    provider = mapping.targets.first().provider
    mapping.targets.filter(upstream_model="old").update(weight=30)
    mapping.lead_to(provider, "third", weight=10)
    make_ramp(mapping, [{"share": 20}])
    look(NOW)
    look(minutes(1))
    assert weights() == {"old": 60, "third": 20, "new": 20}


def test_a_guard_rolls_back_what_fails_and_nobody_has_to_look(mapping):
    make_ramp(mapping, guard_errors=5, guard_sessions=10)
    look(NOW)
    asked(mapping, OLD, 100, at=minutes(1))
    asked(mapping, NEW, 9, at=minutes(1), state="error", status=502)
    look(minutes(2))
    assert Ramp.objects.get().state == RampState.RUNNING, "too few sessions to judge by"
    # a request that another target answered counts as failed, too
    asked(mapping, NEW, 1, at=minutes(2), upstream_model="old")
    look(minutes(3))
    ramp = Ramp.objects.get()
    assert (ramp.state, ramp.ended_at) == (RampState.ROLLED_BACK, minutes(3))
    assert (ramp.figures["guard"], ramp.figures["seen"], ramp.figures["other"]) == ("errors", 100, 0)
    assert ramp.figures["new"]["sessions"] == 10 and ramp.figures["others"]["requests"] == 100
    assert weights() == {"old": 100, "new": None}
    assert share_of_new(minutes(3)) == 0


def test_a_trip_needs_attention_with_its_figures_until_another_ramp_is_made(mapping):
    make_ramp(mapping, guard_errors=5, guard_sessions=1)
    look(NOW)
    asked(mapping, NEW, 4, at=minutes(1), state="error")
    look(minutes(2))
    [item] = attention.ramps_rolled_back(minutes(3))
    assert "claude-*: all sessions went back from new @ P" in item.text
    assert "Failures: 100.0 % of 4 requests; others: 0.0 %, at most 5.0 %." in item.text
    assert (item.urgency, item.url) == ("problem", f"/admin/gateway/modelmapping/{mapping.pk}/ramp/")
    assert list(attention.ramps_rolled_back(minutes(3) + timedelta(days=8))) == []
    make_ramp(mapping)
    assert list(attention.ramps_rolled_back(minutes(3))) == []


@pytest.mark.parametrize(
    ("guard", "most", "bad", "fine"),
    [
        ("errors", 5, {"state": "broken"}, {"state": "cancelled"}),
        ("first_byte", 50, {"first_byte_ms": 151}, {"first_byte_ms": 150}),
        ("tools", 5, {"tool_count": 10, "tools_failed": ["Edit"]}, {"tool_count": 10}),
        ("cost", 20, {"cost": Decimal("0.0121")}, {"cost": Decimal("0.0119")}),
    ],
)
@pytest.mark.parametrize("is_bad", [True, False])
def test_each_guard_compares_with_the_other_arm(mapping, guard, most, bad, fine, is_bad):
    make_ramp(mapping, **{f"guard_{guard}": most, "guard_sessions": 3})
    look(NOW)
    asked(mapping, OLD, 5, at=minutes(1), first_byte_ms=100, tool_count=10, cost=Decimal("0.01"))
    asked(mapping, NEW, 3, at=minutes(1), **(bad if is_bad else fine))
    look(minutes(2))
    ramp = Ramp.objects.get()
    assert ramp.state == (RampState.ROLLED_BACK if is_bad else RampState.RUNNING)
    assert ramp.figures.get("guard") == (guard if is_bad else None)
    if is_bad:
        [item] = attention.ramps_rolled_back(minutes(3))
        assert item.text.count("at most") == 1


def test_what_begins_to_fail_late_in_a_long_step_is_seen_within_the_minutes_of_the_guard(mapping):
    make_ramp(mapping, [{"share": 50, "seconds": 86400}], guard_errors=20, guard_sessions=5)
    look(NOW)
    asked(mapping, NEW, 200, at=minutes(10))
    asked(mapping, NEW, 5, at=minutes(610), state="error")
    look(minutes(611))
    assert Ramp.objects.get().state == RampState.ROLLED_BACK


def test_at_a_hundred_percent_the_others_are_judged_by_what_they_did_before(mapping):
    make_ramp(mapping, [{"share": 100, "seconds": 3600}], guard_first_byte=50, guard_sessions=1)
    asked(mapping, OLD, 5, at=minutes(-30), first_byte_ms=100)
    look(NOW)
    asked(mapping, NEW, 5, at=minutes(1), first_byte_ms=500)
    look(minutes(2))
    assert Ramp.objects.get().figures["other"] == 100


def test_failures_are_compared_with_what_the_others_did_however_few_they_are(mapping):
    guards = {"guard_errors": 5, "guard_tools": 5, "guard_first_byte": 50}
    make_ramp(mapping, [{"share": 50, "seconds": 86400}], guard_sessions=20, **guards)
    look(NOW)
    asked(mapping, OLD, 17, at=minutes(1), first_byte_ms=100, tool_count=10, tools_failed=["Edit"])
    asked(mapping, OLD, 2, at=minutes(1), first=17, state="error")
    asked(mapping, NEW, 36, at=minutes(1), first_byte_ms=500, tool_count=10, tools_failed=["Edit"])
    asked(mapping, NEW, 4, at=minutes(1), first=36, state="error")
    look(minutes(2))
    assert Ramp.objects.get().state == RampState.RUNNING
    asked(mapping, NEW, 6, at=minutes(2), first=40, state="error")
    look(minutes(3))
    figures = Ramp.objects.get().figures
    assert (figures["guard"], figures["others"]["sessions"]) == ("errors", 19)
    # the twentieth session counts as one without failures
    assert figures["other"] == pytest.approx(10.0)


def asked_in_turns(mapping, arm, sessions, turns, *, at, every=1, first=0, **fields):
    """Store sessions one after the other, each of as many requests `every` so many seconds."""
    for session in range(sessions):
        for turn in range(turns):
            begins = at + timedelta(seconds=every * (session * turns + turn))
            name = f"{arm}-session-{first + session}"
            asked(
                mapping, arm, 1, at=begins, first=turn + 1000 * (first + session), session_id=name, **fields
            )


@pytest.mark.parametrize("guard", [{"guard_cost": 50}, {"guard_first_byte": 100}])
def test_one_late_request_of_another_arm_does_not_stand_for_all_that_it_did(mapping, guard):
    ramp = make_ramp(mapping, [{"share": 100, "seconds": 3600}], guard_sessions=10, **guard)
    usual = {"cost": Decimal("0.02"), "first_byte_ms": 3000}
    asked_in_turns(mapping, OLD, 20, 10, at=minutes(-120), **usual)
    look(NOW)
    asked(mapping, OLD, 1, at=minutes(0.01), cost=Decimal("0.02"), first_byte_ms=200)
    asked_in_turns(mapping, NEW, 10, 10, at=minutes(1), **usual)
    look(minutes(20))
    ramp.refresh_from_db()
    assert (ramp.state, ramp.figures) == (RampState.RUNNING, {})


@pytest.mark.parametrize(("factor", "state"), [("1", RampState.RUNNING), ("2", RampState.ROLLED_BACK)])
def test_costs_of_sessions_are_compared_at_one_age_after_the_old_arm_ended(mapping, factor, state):
    make_ramp(mapping, [{"share": 100, "seconds": 3600}], guard_sessions=10, guard_cost=50)
    asked_in_turns(mapping, OLD, 20, 10, at=minutes(-120), cost=Decimal("0.02"))
    look(NOW)
    asked_in_turns(mapping, NEW, 12, 10, at=minutes(1), cost=Decimal("0.02") * Decimal(factor))
    look(minutes(20))
    assert Ramp.objects.get().state == state


def test_a_session_that_a_step_moved_is_not_called_dear_for_its_cold_cache(mapping):
    make_ramp(mapping, [{"share": 50, "seconds": 3600}], guard_sessions=5, guard_cost=50)
    for session in range(10):
        asked(
            mapping,
            OLD,
            1,
            at=minutes(-30),
            first=session,
            session_id=f"session {session}",
            cost=Decimal("0.02"),
        )
    look(NOW)
    asked(mapping, OLD, 10, at=minutes(1), cost=Decimal("0.02"))
    for session in range(10):
        asked(
            mapping,
            NEW,
            1,
            at=minutes(1),
            first=session,
            session_id=f"session {session}",
            cost=Decimal("0.5"),
        )
    look(minutes(5))
    assert Ramp.objects.get().state == RampState.RUNNING


def test_sides_of_different_traffic_are_compared_over_the_same_time(mapping):
    """A tenth of a busy mapping: the newest rows of the others cover a part of those of the new arm."""
    make_ramp(
        mapping, [{"share": 10, "seconds": 86400}], guard_first_byte=50, guard_cost=50, guard_sessions=10
    )
    look(NOW)
    for arm, total, beside in ((OLD, 3 * MOST_ROWS, 75), (NEW, 3 * MOST_ROWS // 10, 15)):
        provider, _, model = arm.partition("/")
        RequestLog.objects.bulk_create(
            RequestLog(
                request_id=f"{arm}{number}",
                started_at=NOW + timedelta(seconds=3600 * number / total),
                mapping_pk=mapping.pk,
                arm=arm,
                session_id=f"{arm}-{number // (10 * beside) * beside + number % beside}",
                state="ok",
                attempts=1,
                provider=provider,
                upstream_model=model,
                cost=Decimal("0.02"),
                # the provider was slow for both in the first half hour
                first_byte_ms=9000 if number < total / 2 else 100,
            )
            for number in range(total)
        )
    look(minutes(60))
    assert (Ramp.objects.get().state, Ramp.objects.get().figures) == (RampState.RUNNING, {})


def test_a_guard_judges_long_sessions_that_fill_the_rows_it_reads(mapping):
    make_ramp(mapping, [{"share": 10, "seconds": 60}, {"share": 100}], guard_errors=5, guard_sessions=50)
    look(NOW)
    for session in range(60):
        at = minutes(1 + session / 10)
        name = f"session {session}"
        asked(mapping, NEW, 50, at=at, first=100 * session, session_id=name, state="error")
    look(minutes(300))
    assert Ramp.objects.get().state == RampState.ROLLED_BACK


def test_a_few_failures_of_the_others_do_not_blind_a_guard(mapping):
    make_ramp(mapping, [{"share": 100, "seconds": 3600}], guard_errors=5, guard_sessions=10)
    look(NOW)
    asked(mapping, OLD, 1, at=minutes(0.01), state="error")
    asked(mapping, NEW, 10, at=minutes(1), state="error")
    look(minutes(2))
    assert Ramp.objects.get().state == RampState.ROLLED_BACK


def test_a_guarded_step_does_not_end_before_its_guards_can_judge(mapping):
    make_ramp(mapping, guard_errors=5, guard_sessions=3)
    look(NOW)
    look(minutes(61))
    assert Ramp.objects.get().step == 0
    asked(mapping, NEW, 3, at=minutes(62))
    look(minutes(63))
    assert (Ramp.objects.get().step, Ramp.objects.get().step_since) == (1, minutes(63))


def test_a_pause_holds_the_step_while_the_guards_watch(mapping):
    ramp = make_ramp(mapping, guard_errors=5, guard_sessions=1)
    look(NOW)
    ramp.refresh_from_db()
    with acting(source="command"):
        assert ramps.pause(ramp)
    asked(mapping, NEW, 3, at=minutes(1))
    look(minutes(200))
    assert (Ramp.objects.get().step, share_of_new(minutes(200))) == (0, pytest.approx(0.1))
    with acting(source="command"):
        assert ramps.go_on(ramp, minutes(201))
        assert ramps.pause(ramp)
    asked(mapping, NEW, 3, at=minutes(202), state="error")
    look(minutes(203))
    assert Ramp.objects.get().state == RampState.ROLLED_BACK


def test_a_decision_on_a_state_that_is_over_does_nothing(mapping):
    ramp = make_ramp(mapping)
    same = Ramp.objects.get()
    with acting(source="command"):
        assert ramps.begin(ramp, NOW)
        entries = LogEntry.objects.count()
        assert not ramps.begin(same, NOW)
        assert not ramps.roll_back(same, NOW)
    assert LogEntry.objects.count() == entries


def test_each_decision_is_one_entry_of_the_log_that_can_be_undone(mapping):
    make_ramp(mapping, guard_errors=5, guard_sessions=1)
    look(NOW)
    asked(mapping, NEW, 3, at=minutes(1), state="error")
    before = LogEntry.objects.count()
    look(minutes(2))
    [entry] = LogEntry.objects.order_by("pk")[before:]
    assert source_of(entry) == "ramp" and "all sessions went back" in said_of(entry)
    assert {change.model.__name__ for change in changes_of(entry)} == {"Ramp", "MappingTarget"}
    began = timezone.now()
    undo(entry)
    ramp = Ramp.objects.get()
    assert (ramp.state, ramp.figures) == (RampState.RUNNING, {})
    assert weights() == {"old": None, "new": None}
    # its guards judge by what comes from now on
    assert began <= ramp.step_since <= timezone.now()
    assert share_of_new(ramp.step_since) == pytest.approx(0.1)
    look(max(minutes(3), ramp.step_since))
    assert Ramp.objects.get().state == RampState.RUNNING


def test_a_ramp_whose_target_is_switched_off_sends_it_nothing(mapping):
    make_ramp(mapping)
    look(NOW)
    mapping.targets.filter(upstream_model="new").update(enabled=False)
    assert share_of_new(NOW) is None
    look(minutes(61))


def test_one_ramp_that_cannot_be_judged_does_not_hold_up_the_others(mapping, caplog):
    broken = make_ramp(mapping)
    other = make_mapping("other", mapping.targets.first().provider, "old")
    other.lead_to(mapping.targets.first().provider, "new")
    make_ramp(other)
    Ramp.objects.filter(pk=broken.pk).update(steps=[], state="running", step_since=NOW)
    assert all(rule.enabled for rule in mapping_rules())
    look(NOW)
    assert Ramp.objects.get(mapping=other).state == RampState.RUNNING
    assert "unexpected error with a ramp" in caplog.text


@pytest.mark.parametrize(
    "steps",
    [
        [], {}, "x", [1], [{}], [{"share": 0}], [{"share": 101}], [{"share": True}], [{"share": "5"}],
        [{"share": 50}, {"share": 5}], [{"share": 5}, {"share": 5}], [{"share": 5, "seconds": -1}],
        [{"share": 5, "seconds": 1.5}], [{"share": 5, "seconds": 1, "sessions": 1}], [{"share": 5, "x": 1}],
        [{"share": float("nan")}], [{"share": one} for one in range(1, 30)],
    ],
)  # fmt: skip
def test_steps_that_make_no_sense_are_refused(mapping, steps):
    with pytest.raises(ValidationError):
        make_ramp(mapping, steps)


def test_a_mapping_has_one_ramp_under_way(mapping):
    make_ramp(mapping)
    with pytest.raises(ValidationError, match="has a ramp already"):
        make_ramp(mapping)


def problem(mapping, steps=STEPS, model="new"):
    return ramps.problem_of(
        Ramp(mapping=mapping, target=mapping.targets.get(upstream_model=model), steps=steps)
    )


def test_a_ramp_that_would_do_nothing_says_why(mapping):
    assert problem(mapping) == ""
    assert "gets all sessions already" in problem(mapping, model="old")
    mapping.targets.filter(upstream_model="old").update(weight=50)
    mapping.targets.filter(upstream_model="new").update(weight=50)
    assert "has 50 % of the sessions already" in problem(mapping)
    assert problem(mapping, [{"share": 60}]) == ""
    mapping.targets.filter(upstream_model="old").update(enabled=False)
    assert "no other enabled target" in problem(mapping)
    mapping.targets.filter(upstream_model="new").update(enabled=False)
    assert "is disabled" in problem(mapping)


def test_figures_leave_out_what_no_provider_was_asked_for_and_replays(mapping):
    asked(mapping, NEW, 2)
    asked(mapping, NEW, 3, first=10, attempts=0, state="error")
    asked(mapping, NEW, 3, first=20, state="open")
    asked(mapping, NEW, 3, first=30, replay_of="another")
    asked(mapping, NEW, 2, first=40, session_id="")
    found = figures(rows_of_arm(mapping.pk, NEW, minutes(-1)))
    assert (found.requests, found.failed, found.sessions) == (4, 0, 4)
    assert json.dumps(found.as_json())


def test_a_guard_reads_no_more_than_the_newest_rows(mapping, django_assert_num_queries):
    asked(mapping, NEW, MOST_ROWS + 5, at=minutes(1), state="error")
    asked(mapping, NEW, MOST_ROWS, at=minutes(2))
    with django_assert_num_queries(1):
        found = figures(rows_of_arm(mapping.pk, NEW, NOW))
    assert (found.requests, found.failed) == (MOST_ROWS, 0)


def test_a_step_of_more_sessions_than_a_guard_reads_ends_too(mapping):
    make_ramp(mapping, [{"share": 10, "sessions": MOST_ROWS + 10}, {"share": 100}])
    look(NOW)
    asked(mapping, NEW, MOST_ROWS + 9, at=minutes(1))
    asked(mapping, NEW, 5, at=minutes(2), session_id="one and the same")
    look(minutes(3))
    assert Ramp.objects.get().step == 1


@pytest.mark.parametrize(
    "figures",
    [None, [], 5, "x", [1], {"guard": "errors", "seen": "x"}, {"guard": "cost", "seen": None},
     {"guard": "errors", "new": 5}, {"guard": ["errors"]}, {"guard": "tools", "new": {"calls": []}}],
)  # fmt: skip
def test_figures_that_are_none_are_told_without_a_sentence(figures):
    assert guards.tripped_text(figures) == ""
