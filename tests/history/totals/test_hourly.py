"""Hourly totals: whatever is written, and however often, they are what a recount of the rows gives."""

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.conversion.repairs import CALL_ASSEMBLED, CALL_SPLIT, USAGE_MISSING
from gateway.history.outcome import CapturedBodies
from gateway.history.record.rows import write
from gateway.history.record.spool import as_line, from_line
from gateway.history.totals import counted_names, counted_origins, hourly
from gateway.history.totals.contributions import Contribution, Tallies, hour_of
from gateway.history.totals.dashboard import repairs_of
from gateway.models import (
    CountedName,
    DailyOrigin,
    DailyTotal,
    Erasure,
    HourlyLedger,
    HourlyOrigin,
    HourlyTotal,
    PurgeRun,
    RequestLog,
)
from gateway.models.history.hourly_total import COST_UNIT, OTHER
from gateway.wire import jsontext
from tests.examples import examples
from tests.history.record.test_recorder import NOON, outcome

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = hour_of(NOON)


def kept():
    """The totals that say something, as a recount would give them."""
    rows = HourlyTotal.objects.values_list(*HourlyTotal.SLOT, *HourlyTotal.NUMBERS)
    days = DailyTotal.objects.values_list(*HourlyTotal.SLOT, *HourlyTotal.NUMBERS)
    ledger = HourlyLedger.objects.values_list(*HourlyLedger.SLOT, "entries")
    origins, origin_days = (
        table.objects.values_list(*table.SLOT, *table.NUMBERS) for table in (HourlyOrigin, DailyOrigin)
    )
    return (
        sorted(row for row in rows if any(row[len(HourlyTotal.SLOT) :])),
        sorted(row for row in days if any(row[len(HourlyTotal.SLOT) :])),
        sorted(row for row in ledger if row[-1]),
        sorted(row for row in origins if any(row[len(HourlyOrigin.SLOT) :])),
        sorted(row for row in origin_days if any(row[len(HourlyOrigin.SLOT) :])),
    )


def recounted():
    tallies = Tallies()
    for values in RequestLog.objects.values_list(*Contribution._fields):
        tallies.add(Contribution._make(values))
    return tallies.totals(), tallies.days(), tallies.ledger(), tallies.origins(), tallies.origin_days()


def total(**slot):
    return HourlyTotal.objects.get(**slot)


def test_an_exchange_counts_when_it_has_ended_in_the_hour_in_which_it_began():
    write([outcome(state="open", started_at=NOON)])
    assert not HourlyTotal.objects.exists()
    write([outcome(started_at=NOON, attempts=3, input_tokens=5, first_byte_ms=1200, duration_ms=4000)])
    row = total()
    assert (row.hour, row.requests, row.retries, row.input_tokens) == (HOUR, 1, 2, 5)
    assert (row.duration_ms, row.first_byte_ms, row.first_byte_09, row.state) == (4000, 1200, 1, "ok")


def test_an_end_that_replaces_another_is_counted_once_under_the_later():
    write([outcome(state="interrupted", input_tokens=7)])
    write([outcome(state="ok", input_tokens=9)])
    assert (total(state="ok").requests, total(state="ok").input_tokens) == (1, 9)
    assert (total(state="interrupted").requests, total(state="interrupted").input_tokens) == (0, 0)


def test_writing_the_spool_back_counts_nothing_twice():
    told = outcome(ledger=[{"code": "dropped", "path": "top_k", "note": ""}], output_tokens=3)
    write([told])
    write([from_line(as_line(told))])
    assert total().output_tokens == 3
    assert HourlyLedger.objects.get().entries == 1


@pytest.mark.parametrize("apart", [True, False])
def test_a_beginning_that_comes_after_its_end_changes_nothing(apart):
    end, beginning = outcome(output_tokens=3), outcome(state="open")
    if apart:
        write([end])
        write([beginning])
    else:
        write([end, beginning])
    assert RequestLog.objects.get().state == "ok"
    assert total().requests == 1


def test_what_the_database_refuses_is_not_counted():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write([outcome()])
        1 / 0  # noqa: B018
    assert not HourlyTotal.objects.exists()
    assert not CountedName.objects.exists()
    write([outcome()])
    assert total().asked_model == "m"


def test_texts_are_counted_as_they_are_stored():
    write([outcome(asked_model="m\x00" + "x" * 300)])
    assert total().asked_model == RequestLog.objects.get().asked_model
    assert kept() == recounted()


def test_names_that_clients_make_up_are_counted_together(monkeypatch):
    monkeypatch.setattr(counted_names, "FREE", 2)
    monkeypatch.setattr(counted_names, "LIMIT", 4)
    write([outcome(n, asked_model=f"no-{n}", state="error") for n in range(50)])
    write([outcome(100, asked_model="real", upstream_model="up", state="ok")])
    write([outcome(n, asked_model=f"ok-{n}", upstream_model=f"ok-{n}") for n in range(200, 250)])
    assert HourlyTotal.objects.values("asked_model").distinct().count() == 4
    assert total(asked_model="real").upstream_model == "up"
    assert total(asked_model=OTHER, state="error").requests == 48
    assert total(asked_model=OTHER, state="ok").upstream_model == OTHER
    assert kept() == recounted()


def test_a_name_that_is_admitted_later_leaves_what_was_counted_where_it_was(monkeypatch):
    monkeypatch.setattr(counted_names, "FREE", 0)
    write([outcome(1, asked_model="late", state="error")])
    write([outcome(2, asked_model="late", state="ok")])
    assert total(asked_model=OTHER).requests == total(asked_model="late").requests == 1
    write([outcome(1, asked_model="late", state="cancelled")])
    assert total(asked_model=OTHER).requests == 0
    assert kept() == recounted()


def test_rows_that_others_change_are_followed():
    write([outcome(1, state="open"), outcome(2, state="open")])
    with hourly.following(["req_1", "req_2"]):
        RequestLog.objects.filter(request_id="req_1").update(state="interrupted")
    assert total().state == "interrupted"
    assert kept() == recounted()


def test_costs_are_counted_to_the_last_digit_and_unknown_ones_as_requests():
    write([outcome(number, attempts=1) for number in (1, 2, 3)])
    assert (total().cost_units, total().unpriced) == (0, 3)
    for number, cost in ((1, "0.0000000001"), (2, "12.3456789012")):
        with hourly.following([f"req_{number}"]):
            RequestLog.objects.filter(request_id=f"req_{number}").update(cost=Decimal(cost))
    assert total().cost_units * COST_UNIT == Decimal("12.3456789013")
    assert total().unpriced == 1


def test_totals_stay_when_rows_go():
    write([outcome(1), outcome(2)])
    RequestLog.objects.all().delete()
    assert total().requests == 2


def test_rebuilding_makes_wrong_totals_right_and_leaves_other_hours_alone(capsys):
    write([outcome(n, started_at=NOON + timedelta(hours=n), output_tokens=n) for n in range(4)])
    right = kept()
    HourlyTotal.objects.filter(hour__gte=HOUR).update(requests=2)
    DailyTotal.objects.update(requests=8)
    HourlyLedger.objects.create(hour=HOUR + 2, provider="p", code="dropped", entries=5)
    call_command("rebuildtotals")
    assert total(hour=HOUR).requests == 2, "rows of the oldest hour may be gone"
    HourlyTotal.objects.filter(hour=HOUR).update(requests=1)
    DailyTotal.objects.update(requests=4)
    assert kept() == right
    assert "3 requests counted" in capsys.readouterr().out


@pytest.mark.parametrize("removed", ["purge", "erasure"])
def test_rebuilding_leaves_hours_alone_of_which_rows_were_removed(removed):
    # a hold keeps the oldest
    for number, hours in enumerate((0, 5, 10, 48)):
        write([outcome(number, started_at=NOON + timedelta(hours=hours))])
    right = kept()
    RequestLog.objects.filter(request_id__in=["req_1", "req_2"]).delete()
    limit = NOON + timedelta(hours=11)
    if removed == "purge":
        PurgeRun.objects.create(started_at=NOON + timedelta(days=3), rows_before=limit)
        PurgeRun.objects.create(started_at=NOON + timedelta(days=4))
    else:
        Erasure.objects.create(user_pk=1, asked_at=limit, changed_at=limit)
    HourlyTotal.objects.filter(hour=HOUR + 48).update(requests=2)
    call_command("rebuildtotals", since="2020-01-01")
    assert kept()[0] == right[0]


def test_rebuilding_without_erased_rows_is_asked_for_by_name():
    for number, hours in enumerate((0, 5)):
        write([outcome(number, started_at=NOON + timedelta(hours=hours))])
    RequestLog.objects.filter(request_id="req_1").delete()
    Erasure.objects.create(user_pk=1, asked_at=NOON, changed_at=NOON + timedelta(days=1))
    with pytest.raises(CommandError, match="--since"):
        call_command("rebuildtotals", without_erased=True)
    call_command("rebuildtotals", since="2020-01-01", without_erased=True)
    assert total(hour=HOUR).requests == 1
    assert total(hour=HOUR + 5).requests == 0


def working_in(folder):
    """The texts of a request from a client that runs in `folder`, which it says where it is not empty."""
    said = f"<env>\nWorking directory: {folder}\nPlatform: linux\n</env>" if folder else "Hello."
    request = {"model": "m", "messages": [{"role": "user", "content": said}]}
    return CapturedBodies({}, jsontext.dumps(request))


CHANGES = st.fixed_dictionaries(
    {
        "request_id": st.sampled_from(["a", "b", "c", "d"]),
        "state": st.sampled_from(["open", "ok", "error", "cancelled", "broken", "interrupted"]),
        "started_at": st.sampled_from([NOON, NOON + timedelta(minutes=59), NOON + timedelta(hours=1)]),
        "endpoint": st.sampled_from(["messages", "count_tokens"]),
        "client_key_id": st.sampled_from([None, 1, 2]),
        "client": st.sampled_from(["", "claude-cli/2.1.332 (external, cli)", "curl", "\x00"]),
        "bodies": st.sampled_from([None, *map(working_in, ("", "/home/ann/a", "/home/ann/b"))]),
        "provider": st.sampled_from(["", "p", "q"]),
        "asked_model": st.sampled_from(["m", "n", "", "\x00"]),
        "upstream_model": st.sampled_from(["", "m", "u"]),
        "attempts": st.integers(0, 3),
        "input_tokens": st.none() | st.integers(0, 1000),
        "output_tokens": st.none() | st.integers(0, 1000),
        "cache_read_tokens": st.none() | st.integers(0, 1000),
        "first_byte_ms": st.none() | st.sampled_from([0, 50, 51, 59_999, 60_000, 60_001, 10**9]),
        "duration_ms": st.none() | st.integers(0, 10**9),
        "ledger": st.lists(
            st.sampled_from(["dropped", "moved"]).map(lambda code: {"code": code, "path": "", "note": ""}),
            max_size=3,
        ),
    }
).map(lambda fields: outcome(**fields))


@given(st.lists(st.lists(CHANGES, max_size=4), max_size=6), st.lists(st.integers(0, 30), max_size=5))
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_are_a_recount_of_the_rows_for_any_sequence_of_writes(monkeypatch, batches, again):
    for model in (RequestLog, HourlyTotal, DailyTotal, HourlyLedger, HourlyOrigin, DailyOrigin, CountedName):
        model.objects.all().delete()
    counted_names.counted_names.forget()
    counted_origins.counted_origins.forget()
    monkeypatch.setattr(counted_origins, "MOST", {"client": 1, "folder": 1})
    monkeypatch.setattr(counted_names, "FREE", 1)
    monkeypatch.setattr(counted_names, "LIMIT", 2)
    for batch in batches:
        write(batch)
    everything = [told for batch in batches for told in batch]
    for number in again:
        if everything:
            told = everything[number % len(everything)]
            with hourly.following([told.request_id]):
                RequestLog.objects.filter(request_id=told.request_id).update(
                    state="interrupted", cost=Decimal("0.0000012345") if number % 2 else None
                )
            write([dataclasses.replace(told)])
    assert kept() == recounted()
    first, last = hour_of(NOON), hour_of(NOON + timedelta(hours=1))
    before = kept()
    hourly.rebuild(first, last)
    assert kept() == before


def test_hours_count_from_1970():
    assert hourly.moment(hour_of(datetime(2026, 1, 1, 12, 59, tzinfo=UTC))) == NOON


def test_the_classes_are_told_apart_and_the_safety_checks_of_clients_by_themselves():
    write([
        outcome(1, request_class="main"), outcome(2, request_class="main"),
        outcome(3, request_class="auxiliary", task="title"),
        outcome(4, request_class="auxiliary", task="classifier"),
        outcome(5, request_class="auxiliary", task="safeguards"),
    ])  # fmt: skip
    counts = {row.request_class: row.requests for row in HourlyTotal.objects.all()}
    assert counts == {"main": 2, "auxiliary": 1, "classifier": 1, "safeguards": 1}
    assert kept() == recounted()


def test_repairs_of_answers_are_counted_by_their_kind():
    made = [
        {"code": repair.code, "path": repair.path, "note": repair.note}
        for repair in (CALL_ASSEMBLED, CALL_SPLIT, USAGE_MISSING)
    ]
    write(
        [outcome(provider="p", ledger=[*made, {"code": "dropped", "path": "top_k", "note": "no such field"}])]
    )
    counted = dict(HourlyLedger.objects.values_list("code", "entries"))
    assert counted == {"call": 2, "usage": 1, "dropped": 1}
    assert repairs_of("p", NOON) == [("call", 2), ("usage", 1)]
    assert repairs_of("other", NOON) == []
