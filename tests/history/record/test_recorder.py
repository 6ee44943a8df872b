"""The recorder: rows and bodies of many exchanges, each exactly once."""

import asyncio
import dataclasses
import resource
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from gateway.history.content.bodies import stored
from gateway.history.outcome import AttemptFacts, CapturedBodies, ExchangeOutcome
from gateway.history.record import novelties, rows, spool
from gateway.history.record import recorder as module
from gateway.history.record.novelties import NoveltyWriter
from gateway.history.record.outcome_queue import Entry
from gateway.history.record.recorder import Recorder
from gateway.history.record.rows import write
from gateway.history.record.spool_lines import masked_line
from gateway.history.secrets.masker import masker
from gateway.models import Attempt, ClientKey, ClientNovelty, RequestBody, RequestLog
from gateway.routing.snapshot import SecretLook
from gateway.wire import jsontext

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def outcome(number: int = 1, **fields) -> ExchangeOutcome:
    return ExchangeOutcome(
        **{
            "request_id": f"req_{number}",
            "started_at": NOON,
            "endpoint": "messages",
            "state": "ok",
            "asked_model": "m",
            "status": 200,
            **fields,
        }
    )


def test_every_fact_of_an_outcome_is_a_column_of_the_row():
    told = outcome(
        session_id="s",
        agent_id="a",
        provider="p",
        upstream_model="u",
        mapping="*",
        mapping_pk=3,
        streamed=True,
        stop_reason="end_turn",
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=5,
        usage_estimated=True,
        first_byte_ms=6,
        duration_ms=7,
        attempts=2,
        ledger=[{"code": "dropped", "path": "top_k", "note": "n"}],
        tools_called=["f"],
        upstream_request_id="up",
        request_class="subagent",
        class_inferred=True,
        agent_type="Explore",
        prompt_id="p",
        compaction="manual",
        tool_durations=[["Bash", 5]],
        settings_checksum="sha256:0",
        verdicts=[{"tool": "Bash", "decision": "deny", "rule_id": 3}],
    )
    write([told])
    row = RequestLog.objects.get()
    for field in dataclasses.fields(ExchangeOutcome):
        if field.name not in ("tries", "bodies", "novelties", "verdicts"):
            assert getattr(row, field.name) == getattr(told, field.name), field.name
    assert row.ledger_count == 1


def test_the_end_of_an_exchange_replaces_its_beginning():
    write([outcome(state="open", status=None)])
    write([outcome(state="ok", output_tokens=9)])
    row = RequestLog.objects.get()
    assert (row.state, row.output_tokens) == ("ok", 9)


def test_beginning_and_end_in_one_batch_are_one_insert():
    write([outcome(state="open"), outcome(state="error")])
    assert RequestLog.objects.get().state == "error"


def test_writing_a_batch_twice_changes_nothing():
    batch = [outcome(bodies=CapturedBodies({"a": "b"}, b"in", b"out", b"", b"back"))]
    write(batch)
    write(batch)
    assert RequestLog.objects.count() == RequestBody.objects.count() == 1


def test_a_batch_of_many_is_as_many_statements_as_a_batch_of_few():
    def statements(size):
        with CaptureQueriesContext(connection) as queries:
            write([outcome(n, request_id=f"{size}-{n}") for n in range(size)])
        return len(queries)

    # a model's name is looked for when it is met for the first time
    write([outcome()])
    # SQLite takes 999 values a statement, which is some 25 rows
    assert statements(20) == statements(2)


def test_the_four_texts_come_back_byte_by_byte():
    write([outcome(bodies=CapturedBodies({"user-agent": "x"}, b"in \xff", b"out", b"", b"back"))])
    texts = stored("req_1")
    assert [texts.text(part) for part in RequestBody.PARTS] == [b"in \xff", b"out", None, b"back"]
    assert texts.headers == {"request": {"user-agent": "x"}}


def test_the_keys_last_use_is_noted_without_a_change_of_configuration():
    key, _ = ClientKey.issue("k")
    later = NOON + timedelta(hours=1)
    write([outcome(1, client_key_id=key.pk, started_at=later), outcome(2, client_key_id=key.pk)])
    key.refresh_from_db()
    assert key.last_used == later


def test_a_key_that_is_gone_does_not_lose_the_row():
    write([outcome(client_key_id=12345, key_name="gone")])
    assert RequestLog.objects.get().key_name == "gone"


def test_characters_and_lengths_no_database_takes_are_mended():
    ledger = [{"code": "dropped", "path": "a\x00b", "note": ""}]
    write([outcome(asked_model="m\x00" + "x" * 5000, error_message="e" * 5000, ledger=ledger)])
    row = RequestLog.objects.get()
    assert "\x00" not in row.asked_model + str(row.ledger)
    assert len(row.asked_model) == 200


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(tmp_path / "spool", "test")
    yield recorder
    recorder.stop()


async def until(holds, seconds=30.0):
    """Wait for what a thread does."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (threads set no event of this loop)
            await asyncio.sleep(0.01)


def recorder_is_idle(recorder):
    return lambda: not recorder._queue and recorder._spool.empty


class Switch:
    """A database that can be turned off."""

    def __init__(self, monkeypatch):
        self.off = False
        self.tried = threading.Event()
        self.real = rows.write
        monkeypatch.setattr(module, "write", self.write)
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)

    def write(self, batch, prices, mask):
        if self.off:
            self.tried.set()
            raise OperationalError("gone")
        self.real(batch, prices, mask)


@pytest.fixture
def database(monkeypatch):
    return Switch(monkeypatch)


def test_what_was_handed_in_is_in_the_database_after_a_stop(recorder):
    for number in range(500):
        recorder.opened(outcome(number, state="open"))
        recorder.closed(outcome(number))
    recorder.stop()
    assert RequestLog.objects.filter(state="ok").count() == 500


async def test_a_settled_outcome_is_in_the_database(recorder):
    await recorder.settled(outcome())
    assert await RequestLog.objects.acount() == 1


async def test_outcomes_that_settle_together_share_a_transaction(recorder, monkeypatch):
    batches = []
    real = rows.write

    def counted(batch, prices, mask):
        batches.append(len(batch))
        real(batch, prices, mask)

    monkeypatch.setattr(module, "write", counted)
    # the first connection of a thread takes time
    recorder._patience = 30
    await asyncio.gather(*(recorder.settled(outcome(number)) for number in range(100)))
    assert sum(batches) == 100
    assert len(batches) < 20


async def test_an_outcome_that_the_database_does_not_take_in_time_is_durable_in_the_spool(
    recorder, database, tmp_path
):
    database.off = True
    bodies = CapturedBodies({"a": "b"}, b"in \xff", b"out", b"", b"back")
    await recorder.settled(outcome(ledger=[{"code": "dropped", "path": "p", "note": "n"}], bodies=bodies))
    (file,) = (tmp_path / "spool").glob("*.spool")
    assert list(spool.read(file)) == [
        outcome(ledger=[{"code": "dropped", "path": "p", "note": "n"}], bodies=bodies)
    ]
    assert await RequestLog.objects.acount() == 0


async def test_the_spool_goes_into_the_database_once_it_answers(recorder, database, tmp_path):
    database.off = True
    await asyncio.gather(*(recorder.settled(outcome(number)) for number in range(10)))
    database.off = False
    await recorder.settled(outcome(99))
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == 11
    assert list((tmp_path / "spool").glob("*.spool")) == []


@pytest.mark.parametrize(("behind", "read"), [(0, []), (2, ["req_0", "req_1", "req_2"])])
async def test_the_spool_is_read_only_for_what_a_slow_commit_did_not_take(
    recorder, monkeypatch, tmp_path, behind, read
):
    begun, going_on = threading.Event(), threading.Event()
    real_write, real_read, found = rows.write, spool.read, []

    def slow(batch, prices, mask):
        begun.set()
        assert going_on.wait(20)
        return real_write(batch, prices, mask)

    def noted(path, unreadable):
        for told in real_read(path, unreadable):
            found.append(told.request_id)
            yield told

    monkeypatch.setattr(module, "write", slow)
    monkeypatch.setattr(spool, "read", noted)
    first = asyncio.ensure_future(recorder.settled(outcome(0)))
    assert await asyncio.to_thread(begun.wait, 20)
    await asyncio.gather(first, *(recorder.settled(outcome(number)) for number in range(1, behind + 1)))
    going_on.set()
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == behind + 1
    assert list((tmp_path / "spool").glob("*.spool")) == []
    assert sorted(found) == read


async def test_with_the_database_still_away_a_stop_leaves_everything_in_the_spool(
    recorder, database, tmp_path
):
    database.off = True
    recorder.closed(outcome(1, state="cancelled"))
    await recorder.settled(outcome(2))
    await asyncio.to_thread(recorder.stop)
    found = [row.request_id for file in (tmp_path / "spool").glob("*.spool") for row in spool.read(file)]
    assert sorted(found) == ["req_1", "req_2"]


async def test_the_next_start_writes_what_a_dead_process_left(recorder, database, tmp_path):
    database.off = True
    await recorder.settled(outcome(bodies=CapturedBodies({}, b"in", b"", b"", b"")))
    await asyncio.to_thread(recorder.stop)
    recorder._spool.close()  # what the end of the process does: the lock is gone
    database.off = False
    assert await asyncio.to_thread(Recorder(tmp_path / "spool", "next").recover, tmp_path / "spool") == 1
    assert await RequestBody.objects.acount() == 1
    assert list((tmp_path / "spool").glob("*.spool")) == []


async def test_the_spool_of_a_living_process_is_left_alone_even_while_it_is_written_back(
    recorder, database, tmp_path
):
    database.off = True
    await recorder.settled(outcome())
    assert list(spool.abandoned(tmp_path / "spool")) == []
    recorder._spool.rotate()
    assert list(spool.abandoned(tmp_path / "spool")) == []


def test_a_line_that_was_cut_off_by_the_end_of_the_process_is_left_out(tmp_path, caplog):
    file = tmp_path / "x.spool"
    file.write_bytes(spool.as_line(outcome(1)) + spool.as_line(outcome(2))[:-20])
    assert [row.request_id for row in spool.read(file)] == ["req_1"]
    assert "unreadable line" in caplog.text


async def test_who_waits_behind_others_goes_to_the_file_only_when_the_commits_stop(recorder, tmp_path):
    given = []
    recorder._give_to_spooler = given.append
    loop = asyncio.get_running_loop()
    entry = Entry(outcome(), loop.create_future())
    soon, passed = loop.time() + 60, loop.time() - 1
    recorder._committed_at = time.monotonic() + 60
    recorder._not_yet(entry, soon)
    assert given == []
    assert not entry.late.cancelled()
    entry.late.cancel()
    recorder._not_yet(entry, passed)
    assert given == [entry]
    recorder._committed_at = 0.0
    recorder._not_yet(entry, soon)
    assert given == [entry, entry]


@pytest.fixture
def small_disk():
    """A real one for one file: what is written beyond 64 KiB is refused by the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_what_does_not_fit_on_the_disk_waits_in_memory_and_nothing_is_lost(
    recorder, database, tmp_path, small_disk, caplog, monkeypatch
):
    # the next try would begin another file, and the disk is small for each one by itself
    monkeypatch.setattr(module, "RETRY_SECONDS", 60)
    database.off = True
    # as base64 one fits, the second only in part, the small one again
    for number, size in ((1, 30_000), (2, 30_000), (3, 10)):
        await recorder.settled(outcome(number, bodies=CapturedBodies({}, b"x" * size)))
    assert caplog.text.count("spool not written") == 1
    (file,) = (tmp_path / "spool").glob("*.spool")
    assert [row.request_id for row in spool.read(file)] == ["req_1", "req_3"]
    assert "unreadable line" not in caplog.text
    database.off = False
    await recorder.settled(outcome(4))
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == 4
    assert await RequestBody.objects.acount() == 3
    assert not file.exists()


async def test_two_processes_that_find_the_spool_of_a_dead_one_write_it_once(
    recorder, database, tmp_path, monkeypatch
):
    folder = tmp_path / "spool"
    database.off = True
    await asyncio.gather(*(recorder.settled(outcome(number)) for number in range(300)))
    await asyncio.to_thread(recorder.stop)
    recorder._spool.close()
    database.off = False
    numbers = await asyncio.gather(
        *(asyncio.to_thread(Recorder(folder, name).recover, folder) for name in ("one", "other"))
    )
    assert sorted(numbers) == [0, 300]
    assert await RequestLog.objects.acount() == 300
    assert list(folder.iterdir()) == []


async def test_a_disk_that_is_full_holds_up_no_client(recorder, database, monkeypatch, caplog):
    def full(*_):
        raise OSError("No space left on device")

    database.off = True
    monkeypatch.setattr(recorder._spool, "append", full)
    await recorder.settled(outcome())
    assert "spool not written" in caplog.text
    database.off = False
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == 1


def test_a_database_that_does_not_answer_is_asked_again_and_nothing_is_lost(recorder, database, caplog):
    database.off = True
    recorder.closed(outcome())
    assert database.tried.wait(5)
    database.off = False
    recorder.stop()
    assert RequestLog.objects.count() == 1
    assert "trying again" in caplog.text


def test_a_row_of_which_the_database_takes_nothing_is_kept_in_a_file(recorder, monkeypatch, tmp_path, caplog):
    real = rows.LOG.stored

    def stored(facts, **more):
        if facts.request_id == "req_1":
            raise DataError("no form of it")
        return real(facts, **more)

    monkeypatch.setattr(rows.LOG, "stored", stored)
    recorder.closed(outcome(1, output_tokens=7))
    recorder.closed(outcome(2))
    recorder.stop()
    assert [row.request_id for row in RequestLog.objects.all()] == ["req_2"]
    (file,) = (tmp_path / "spool").glob("*.refused")
    assert [row.output_tokens for row in spool.read(file)] == [7]
    # renamed it is tried again, by whichever process looks next
    monkeypatch.undo()
    file.rename(file.with_suffix(".spool"))
    assert Recorder(tmp_path / "spool", "next").recover(tmp_path / "spool") == 1
    assert RequestLog.objects.count() == 2


async def test_ten_thousand_ends_that_nobody_waits_for_are_in_the_file_during_an_outage(
    recorder, database, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "OVERDUE", 0.1)
    monkeypatch.setattr(module, "IDLE_LOOK", 0.05)
    monkeypatch.setattr(module, "RETRY_SECONDS", 60)
    database.off = True
    for number in range(10_000):
        recorder.opened(outcome(number, state="open"))
        recorder.closed(outcome(number, state="cancelled", bodies=CapturedBodies(received=bytes(1000))))
    await until(lambda: not recorder._queue, 120)
    lines = b"".join(file.read_bytes() for file in (tmp_path / "spool").glob("*.spool")).splitlines()
    told = {jsontext.loads(line)["request_id"] for line in lines if b'"cancelled"' in line}
    assert len(told) == 10_000
    # the end of the test need not wait for them
    recorder._spool.close()
    recorder._only_spooled = 0


async def test_what_went_to_the_file_during_an_outage_is_in_the_database_after_it(
    recorder, database, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "OVERDUE", 0.05)
    monkeypatch.setattr(module, "IDLE_LOOK", 0.02)
    database.off = True
    for number in range(300):
        recorder.opened(outcome(number, state="open"))
        recorder.closed(outcome(number, state="cancelled"))
    await until(lambda: not recorder._queue)
    database.off = False
    await until(recorder_is_idle(recorder))
    assert await RequestLog.objects.filter(state="cancelled").acount() == 300
    assert list((tmp_path / "spool").iterdir()) == []


def test_without_database_and_disk_the_rows_are_kept_and_say_that_their_texts_are_gone(
    recorder, database, monkeypatch, caplog
):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "MOST_HELD", 100_000)
    monkeypatch.setattr(module, "OVERDUE", 0.05)
    monkeypatch.setattr(module, "IDLE_LOOK", 0.02)
    monkeypatch.setattr(recorder._spool, "append", full)
    database.off = True
    for number in range(30):
        recorder.closed(outcome(number, bodies=CapturedBodies(received=b"x" * 10_000)))
    deadline = time.monotonic() + 10
    while "texts of exchanges are lost" not in caplog.text and time.monotonic() < deadline:
        recorder._stopping.wait(0.01)
    database.off = False
    recorder.stop()
    assert RequestLog.objects.count() == 30
    kept = RequestBody.objects.count()
    assert 5 <= kept <= 10
    marked = [row for row in RequestLog.objects.all() if "had room" in str(row.ledger)]
    assert len(marked) == 30 - kept


def test_a_line_of_another_version_is_read_and_one_that_cannot_be_is_kept(recorder, tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    later = spool.as_line(outcome(1)).replace(b'{"request_id"', b'{"unheard_of":3,"request_id"', 1)
    (folder / "dead.spool").write_bytes(later + b'"no outcome"\n' + spool.as_line(outcome(2)))
    assert recorder.recover(folder) == 2
    (file,) = folder.iterdir()
    assert file.suffix == ".refused"
    assert file.read_bytes() == b'"no outcome"\n'


async def test_a_defect_while_spooling_holds_up_neither_its_client_nor_those_after_it(
    recorder, database, tmp_path, monkeypatch, caplog
):
    real = spool.as_line

    def as_line(told):
        if told.request_id == "req_1":
            raise ZeroDivisionError
        return real(told)

    database.off = True
    monkeypatch.setattr(spool, "as_line", as_line)
    async with asyncio.timeout(5):
        await asyncio.gather(*(recorder.settled(outcome(number)) for number in (1, 2)))
        await recorder.settled(outcome(3))
    (file,) = (tmp_path / "spool").glob("*.spool")
    assert sorted(row.request_id for row in spool.read(file)) == ["req_2", "req_3"]
    database.off = False
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == 3


async def test_a_defect_in_the_writer_does_not_end_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    masks = iter([ZeroDivisionError()])

    def mask():
        for problem in masks:
            raise problem
        return masker()

    recorder = Recorder(tmp_path / "spool", "test", mask=mask, patience=60)
    async with asyncio.timeout(5):
        await recorder.settled(outcome())
    await asyncio.to_thread(recorder.stop)
    assert await RequestLog.objects.acount() == 1
    assert "unexpected error" in caplog.text


@pytest.mark.parametrize(
    "start", [b'{"messages":[{"role":"user","content":"hi"}],"metadata":', b'{"messages":[{"content":']
)
def test_a_body_too_deep_to_be_written_again_is_kept_as_it_came(start):
    end = b"}" if start.endswith(b'"metadata":') else b"}]}"
    text = start + b"[" * 1000 + b"]" * 1000 + end
    write([outcome(bodies=CapturedBodies(received=text, received_json=jsontext.loads(text)))])
    assert stored("req_1").text("received") == text


def test_texts_that_cannot_be_stored_do_not_cost_the_row(recorder, monkeypatch, caplog):
    def store(exchanges):
        if exchanges:
            raise ValueError("no")

    monkeypatch.setattr(rows.bodies, "store", store)
    recorder.opened(outcome(state="open"))
    recorder.closed(outcome(bodies=CapturedBodies(received=b"{}")))
    recorder.stop()
    assert [row.state for row in RequestLog.objects.all()] == ["ok"]
    assert "refused by the database" in caplog.text


# --- attempts ----------------------------------------------------------------------------


def tries(*states: str) -> tuple[AttemptFacts, ...]:
    return tuple(
        AttemptFacts(
            number=number,
            started_at=NOON,
            provider="p",
            upstream_model="u",
            credential="first",
            state=state,
            status=503,
            error_type="overloaded_error",
            error_message="full\x00",
            first_byte_ms=1,
            duration_ms=2,
            next_step="again",
            pause_ms=3,
            upstream_request_id="up",
        )
        for number, state in enumerate(states, 1)
    )


def test_every_attempt_is_a_row_with_every_fact():
    told = tries("error", "ok")
    write([outcome(attempts=2, tries=told)])
    rows = list(RequestLog.objects.get().tries.all())
    for row, attempt in zip(rows, told, strict=True):
        for field in dataclasses.fields(AttemptFacts):
            if field.name != "error_message":
                assert getattr(row, field.name) == getattr(attempt, field.name), field.name
    assert rows[0].error_message == "full\ufffd"


def test_attempts_that_are_written_twice_are_the_same_rows():
    batch = [outcome(1, tries=tries("error", "ok")), outcome(2, tries=tries("ok"))]
    write(batch)
    before = list(Attempt.objects.values())
    write(batch)
    assert list(Attempt.objects.values()) == before


def test_attempts_go_through_the_spool_unchanged():
    told = outcome(tries=tries("error", "cancelled"))
    assert spool.from_line(spool.as_line(told)) == told


def test_a_spool_line_from_before_there_were_attempts_is_read():
    line = spool.as_line(outcome()).replace(b',"tries":[]', b"")
    assert b"tries" not in line
    assert spool.from_line(line) == outcome()


def test_a_new_name_of_a_client_is_written_once_with_the_request_that_had_it(monkeypatch):
    monkeypatch.setattr(rows, "novelty_writer", NoveltyWriter())
    new = [["claude-cli/9", "beta", "new-2027"], ["claude-cli/9", "field", "dre\x00ams"]]
    write([outcome(1, novelties=new), outcome(2, novelties=new)])
    write([outcome(3, novelties=new)])
    monkeypatch.setattr(rows, "novelty_writer", NoveltyWriter())
    write([outcome(4, novelties=new)])
    found = ClientNovelty.objects.order_by("kind").values_list("version", "kind", "name", "request_id")
    assert list(found) == [
        ("claude-cli/9", "beta", "new-2027", "req_1"),
        ("claude-cli/9", "field", "dre\ufffdams", "req_1"),
    ]


def test_a_new_name_is_written_with_the_next_try_when_its_batch_is_rolled_back(monkeypatch):
    monkeypatch.setattr(rows, "novelty_writer", NoveltyWriter())
    told = outcome(1, novelties=[["claude-cli/9", "beta", "new-2027"]])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write([told])
        1 / 0  # noqa: B018
    write([told])
    assert ClientNovelty.objects.get().name == "new-2027"


def named(number, version, *names):
    at = NOON + timedelta(minutes=number)
    return outcome(number, started_at=at, novelties=[[version, "field", name] for name in names])


def test_a_client_that_makes_names_up_drives_out_its_own_and_no_others(monkeypatch, caplog):
    monkeypatch.setattr(rows, "novelty_writer", NoveltyWriter())
    write([named(0, "claude-cli/9", "real")])
    for number in range(1, 12):
        write([named(number, "made-up", *(f"{number}-{n}" for n in range(20)))])
    found = ClientNovelty.objects.filter(version="made-up")
    assert found.count() == novelties.MOST_OF_VERSION
    assert found.filter(name="11-19").exists() and not found.filter(name="1-0").exists()
    assert ClientNovelty.objects.filter(name="real").exists()
    write([named(20, "claude-cli/9", "newer")])
    assert ClientNovelty.objects.filter(name="newer").exists()
    lines = [line for line in caplog.records if "new names of clients" in line.message]
    assert [(line.client_version, line.most) for line in lines] == [("made-up", 100)]


def test_made_up_versions_drive_out_the_oldest_of_all(monkeypatch, caplog):
    monkeypatch.setattr(novelties, "MOST", 5)
    monkeypatch.setattr(rows, "novelty_writer", NoveltyWriter())
    for number in range(10):
        write([named(number, f"v{number}", *"abc")])
    assert set(ClientNovelty.objects.values_list("version", flat=True)) == {"v9", "v8"}
    assert [line.client_version for line in caplog.records] == ["all"]


def test_new_names_survive_the_spool():
    told = outcome(novelties=[["v", "beta", "b"]], tool_durations=[["Bash", 3]], request_class="main")
    assert spool.from_line(spool.as_line(told)) == told


def test_an_outage_is_one_line_its_end_another_and_what_waits_is_told(tmp_path, database, caplog):
    told, thrice = [], threading.Event()

    def tell(waiting, committed):
        told.append((waiting, committed))
        if len(told) == 3:
            thrice.set()

    recorder = Recorder(tmp_path / "spool", "test", tell=tell)
    database.off = True
    recorder.closed(outcome())
    assert thrice.wait(20)
    database.off = False
    recorder.stop()
    said = [record.message for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert said == ["history not written, trying again", "history is written again"]
    assert told[0] == (1, False) and told[-1][0] == 0


def test_secrets_in_what_a_provider_says_of_an_error_are_masked():
    said = "Invalid value 'CUST-12345678'"
    failed = AttemptFacts(1, NOON, "p", "u", state="error", error_message=said)
    wrong = outcome(state="error", error_message=said, tries=(failed,))
    mask = masker((SecretLook("customer", r"CUST-\d{8}", "CUST-"),))
    write([wrong], mask=mask)
    row, attempt = RequestLog.objects.get(), Attempt.objects.get()
    assert row.error_message == attempt.error_message == "Invalid value '[masked:customer]'"
    assert row.masked_count == 1
    assert b"CUST-12345678" not in masked_line(wrong, lambda: mask)
