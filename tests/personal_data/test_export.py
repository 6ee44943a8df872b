"""What a person gets is what an erasure would remove of them."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError

from gateway.config.changes import acting
from gateway.history.access import note_reads
from gateway.management.commands import exportperson
from gateway.models import ContentRead, NotificationChannel
from gateway.personal_data.export import exported, person_lines
from gateway.personal_data.places import PLACES, AfterErasure
from tests.personal_data.conftest import MAIL, NAME, SECRET_TALK

pytestmark = pytest.mark.django_db(transaction=True)
# records that an erasure removes and an export leaves out, and why
LEFT_OUT = {
    "gateway.FollowUp": "a request's place in a queue, gone within seconds",
    "gateway.SearchText": "the words of the contents, which are exported",
    "gateway.CountedTurn": "that a request was counted; the request is exported",
    "gateway.RefreshToken": "the digest of a secret, and when it ends",
    "auth.User_groups": "the groups stand with the account",
    "auth.User_user_permissions": "rights over the console, which its page of rights shows",
}


def lines_of(left, reader, *, with_contents=True):
    lines = person_lines(left.person, reader, with_contents=with_contents)
    return [json.loads(line) for line in lines]


def test_whatever_an_erasure_removes_is_exported_or_has_a_reason(left):
    known = {rows.model._meta.label for rows in exported(left.person).values()} | {"gateway.RequestBody"}
    removed = {label for label, place in PLACES.items() if place.fate is AfterErasure.REMOVED and place.links}
    assert removed - known == set(LEFT_OUT)


def test_the_scene_has_a_line_of_every_kind(left, admin_user):
    with acting(left.person):
        NotificationChannel.objects.create(name="theirs", kind="webhook")
    records = {line["record"] for line in lines_of(left, admin_user)}
    assert records >= {*exported(left.person), "account", "content"}


def test_what_was_asked_again_is_exported_however_deep_with_its_contents(left, admin_user):
    left.ask(50, replay_of="req_3", endpoint="judge", client_key_id=None, owner_id=None, session_id="")
    left.ask(51, replay_of="req_9", endpoint="replay", client_key_id=None, owner_id=left.other.pk)
    left.ask(52, replay_of="req_50", endpoint="replay", client_key_id=None, owner_id=None, session_id="")
    lines = lines_of(left, admin_user)
    theirs = {"req_1", "req_2", "req_3", "req_4", "req_50", "req_52"}
    for record in ("request", "content"):
        assert {line["request_id"] for line in lines if line["record"] == record} == theirs, record
    shadow = next(line for line in lines if line["record"] == "content" and line["request_id"] == "req_2")
    assert SECRET_TALK in json.dumps(shadow)
    assert {line["log_id"] for line in lines if line["record"] == "attempt"} == theirs
    # each was noted as read
    assert set(ContentRead.objects.filter(part="person").values_list("request_id", flat=True)) == theirs


def test_without_contents_nothing_is_read(left, admin_user):
    lines = lines_of(left, admin_user, with_contents=False)
    assert "content" not in {line["record"] for line in lines}
    assert not ContentRead.objects.filter(part="person").exists()


def test_others_get_nothing_of_the_person(left, admin_user):
    note_reads(admin_user, ["req_9"], "conversation")
    left.person = left.other
    lines = [line for line in lines_of(left, admin_user) if line["record"] != "saved_view"]
    assert {line["request_id"] for line in lines if line["record"] == "request"} == {"req_9"}
    assert SECRET_TALK not in json.dumps(lines) and MAIL not in json.dumps(lines)


class TestCommand:
    def test_it_writes_a_file_of_its_own(self, left, run, tmp_path):
        path = tmp_path / "person.jsonl"
        run("exportperson", NAME, "--output", str(path))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {line["record"] for line in lines} >= {"account", "key", "request", "content", "session"}
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(CommandError):
            run("exportperson", NAME, "--output", str(path))

    def test_contents_stay_behind_when_nobody_asks_for_them(self, left, run):
        assert '"record": "content"' not in run("exportperson", NAME, "--no-contents")
        assert MAIL in run("exportperson", NAME)

    @pytest.mark.parametrize("to_a_file", [True, False])
    def test_the_log_knows_of_an_export_that_stopped_half_way(
        self, left, run, tmp_path, monkeypatch, to_a_file
    ):
        def stops(*_args, **_options):
            yield b"{}\n"
            raise OSError("no space left")

        monkeypatch.setattr(exportperson, "person_lines", stops)
        options = ["--output", str(tmp_path / "some.jsonl")] if to_a_file else []
        with pytest.raises((CommandError, OSError)):
            run("exportperson", NAME, *options)
        assert LogEntry.objects.filter(change_message__contains="was exported").count() == 1
