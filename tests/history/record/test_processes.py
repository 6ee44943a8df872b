"""What processes that died left open is marked, once it is certain that they died."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from gateway.history.outcome import OPEN
from gateway.history.record.processes import STALE, OwnProcess, is_locked
from gateway.history.record.recorder import Recorder
from gateway.history.record.rows import write
from gateway.history.record.spool import Spool, as_line
from gateway.models import FollowUp, HourlyTotal, RequestLog, ServingProcess
from tests.history.record.test_recorder import outcome
from tests.history.totals.test_hourly import kept, recounted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def process(tmp_path):
    """process(folder name) begins one; those that have not ended are ended."""
    begun = []

    def one(folder="here", recover=lambda: None) -> OwnProcess:
        own = OwnProcess(tmp_path / folder, recover)
        own.begin()
        begun.append(own)
        return own

    yield one
    for own in begun:
        own.end()


def opened(number: int, owner: str = "", **fields) -> None:
    write([outcome(number, state=OPEN, served_by=owner, **fields)])


def states() -> dict[str, str]:
    return dict(RequestLog.objects.values_list("served_by", "state"))


def die(own: OwnProcess) -> None:
    """What the system does when a process is killed."""
    own._lock.close()
    own._lock = None


def test_a_row_of_a_process_that_lives_stays_open(process):
    one, other = process(), process()
    opened(1, one.name)
    opened(2, other.name)
    assert one.settle_the_dead() == 0
    assert other.settle_the_dead() == 0
    assert set(states().values()) == {OPEN}


def test_a_row_of_a_process_that_was_killed_is_interrupted_by_another_of_its_machine(process):
    one, other = process(), process()
    opened(1, one.name, session_id="s")
    die(one)
    assert other.settle_the_dead() == 1
    row = RequestLog.objects.get()
    assert row.state == "interrupted"
    assert "ended before" in row.error_message
    assert not ServingProcess.objects.filter(name=one.name).exists()
    assert FollowUp.objects.filter(request_id=row.request_id).exists()
    assert [total.state for total in HourlyTotal.objects.all()] == ["interrupted"]


def test_totals_are_a_recount_of_the_rows_after_some_were_marked(process):
    dead, living = process(), process()
    for number in range(6):
        began = datetime(2026, 5, 1, 9 + number % 3, 30, tzinfo=UTC)
        facts = {"started_at": began, "input_tokens": number, "error_type": "api_error" if number else ""}
        opened(number, dead.name if number < 4 else living.name, **facts)
    write([outcome(0, served_by=dead.name, started_at=datetime(2026, 5, 1, 9, 30, tzinfo=UTC))])
    die(dead)
    assert living.settle_the_dead() == 3
    assert kept() == recounted()
    assert sum(total.requests for total in HourlyTotal.objects.filter(state="interrupted")) == 3
    # the ends that came by a spool after all
    write([outcome(1, served_by=dead.name, started_at=datetime(2026, 5, 1, 10, 30, tzinfo=UTC))])
    assert living.settle_the_dead() == 0
    assert kept() == recounted()


def test_a_row_of_nobody_is_interrupted(process):
    one = process()
    opened(1)
    assert one.settle_the_dead() == 1


def test_a_process_of_another_machine_is_dead_when_it_was_not_seen_for_long(process):
    here, there = process("here"), process("there")
    opened(1, there.name)
    assert here.settle_the_dead() == 0
    ServingProcess.objects.filter(name=there.name).update(seen_at=Now() - timedelta(seconds=STALE + 1))
    assert here.settle_the_dead() == 1
    assert states() == {there.name: "interrupted"}


def test_a_process_on_another_host_of_the_same_name_and_path_is_not_taken_for_dead(process):
    here, there = process("here"), process("there")
    # two containers: equal names and paths, and volumes of their own
    here.machine = there.machine
    ServingProcess.objects.update(machine=here.machine)
    opened(1, there.name)
    assert here.settle_the_dead() == 0
    assert states() == {there.name: OPEN}
    ServingProcess.objects.filter(name=there.name).update(seen_at=Now() - timedelta(seconds=STALE + 1))
    assert here.settle_the_dead() == 1


def test_the_end_of_an_exchange_wins_over_interrupted(process):
    here, there = process("here"), process("there")
    opened(1, there.name)
    ServingProcess.objects.filter(name=there.name).update(seen_at=Now() - timedelta(hours=1))
    here.settle_the_dead()
    write([outcome(1, served_by=there.name)])
    assert states() == {there.name: "ok"}
    assert [(total.state, total.requests) for total in HourlyTotal.objects.exclude(requests=0)] == [("ok", 1)]


def test_an_end_in_the_spool_of_the_dead_is_written_before_anything_is_marked(process, tmp_path):
    folder = tmp_path / "here"
    dead = process()
    opened(1, dead.name)
    spool = Spool(folder, "dead")
    spool.append([as_line(outcome(1, served_by=dead.name))])
    spool.close()
    die(dead)
    recorder = Recorder(folder, "living")
    living = process(recover=lambda: recorder.recover(folder))
    assert states() == {dead.name: "ok"}
    assert living.settle_the_dead() == 0
    assert not list(folder.glob("*.spool"))


def test_a_process_that_ended_in_order_leaves_nothing(process, tmp_path):
    one = process()
    one.end()
    assert not list((tmp_path / "here").iterdir())
    assert not ServingProcess.objects.exists()
    assert not is_locked(tmp_path / "here", one.name)


def test_one_that_was_taken_for_dead_makes_itself_known_again(process):
    one = process()
    ServingProcess.objects.all().delete()
    one._beat()
    assert ServingProcess.objects.get().name == one.name
