"""A person who left something in every kind of record, and one who did beside them."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection

from gateway.config.changes import acting
from gateway.history.access import note_read
from gateway.history.content import content_store
from gateway.history.content.codec import Damaged, decompressed
from gateway.history.record.follow_up import follow_up
from gateway.history.record.rows import write
from gateway.history.search import index
from gateway.models import (
    CacheMiss,
    ClientKey,
    ClientNovelty,
    Dataset,
    DatasetStep,
    Delivery,
    DeviceGrant,
    Evaluation,
    EvaluationStep,
    FormerUse,
    ManagedPolicy,
    ModelMapping,
    Notice,
    NotificationChannel,
    PersonBudget,
    Problem,
    ProblemHour,
    RefreshToken,
    RefusedKey,
    RequestLog,
    SafeguardRule,
    SavedView,
)
from tests.history.content.test_bodies import captured
from tests.history.record.test_recorder import outcome, tries

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
# what the person is called, and what they wrote: none of it may be left
NAME, MAIL, FIRST, KEY, SECRET_TALK = "wilhelmina", "wilhelmina@example.org", "Mina", "minabook", "zanzibar"
RUNS_IN = f"Working directory: /home/{NAME}/work\n"
MARKS = (NAME, MAIL, FIRST, KEY, SECRET_TALK, "198.51.100.7", "mina-session", "mina-agent", "mina-prompt")


@dataclass
class Left:
    """What `left` has stored: the person, somebody else, and the ids of requests."""

    person: Any
    other: Any
    key: ClientKey
    spool: Path

    def ask(self, number: int, *, at: datetime = NOW, **fields: Any) -> str:
        """A request of the person; with others' `owner_id` and `client_key_id` one of theirs."""
        theirs = {
            "owner_id": self.person.pk, "client_key_id": self.key.pk, "key_name": self.key.name,
            "session_id": "mina-session", "agent_id": "mina-agent", "prompt_id": "mina-prompt",
            "client_address": "198.51.100.7", "error_message": f"{SECRET_TALK} failed",
            "facts": {"header": {"x-team": SECRET_TALK}}, "tools_called": [SECRET_TALK],
            "tries": tries(SECRET_TALK),
        }  # fmt: skip
        request = {
            "model": "m",
            "messages": [{"role": "user", "content": f"{RUNS_IN}{SECRET_TALK} {number} " * 30}],
        }
        told = {**theirs, "bodies": captured(request, request, answered=b"zanzibar", returned=b"zanzibar")}
        write([outcome(number, started_at=at, **{**told, **fields})])
        return f"req_{number}"


@pytest.fixture
def left(db, tmp_path, monkeypatch, admin_user):
    monkeypatch.setattr(content_store, "this_hour", lambda: int(NOW.timestamp()) // 3600)
    # no model has the table of the words, so the end of a test before left it as it was
    index.clear()
    person = User.objects.create_user(
        NAME, MAIL, "a-password-of-hers", first_name=FIRST, last_name="van der Berg", is_staff=True
    )
    person.groups.add(Group.objects.get(name="Member"))
    other = User.objects.create_user("otto", is_staff=True)
    with acting(admin_user):
        key, _ = ClientKey.issue(KEY, user=person, owner=f"{FIRST} van der Berg")
        others, _ = ClientKey.issue("ottos", user=other)
        PersonBudget.objects.create(user=person, spend_budget=5)
        ManagedPolicy.objects.create(name=f"for {NAME}", user=person, settings={"env": {"HOME": NAME}})
        SafeguardRule.objects.create(tool="Bash", command=f"cd /home/{NAME}*", decision="deny", user=person)
        key.name = f"{KEY}"
        key.save()
        channel = NotificationChannel.objects.create(
            name="mail", kind="mail", addresses=[MAIL, "ops@example.org"]
        )
        ModelMapping.objects.create(
            pattern="m", when={"owner": [NAME, "otto"], "key": [KEY]}, note=f"asked for by {NAME}"
        )
    made = Left(person, other, key, tmp_path)
    made.ask(1)
    made.ask(2, replay_of="req_1", endpoint="shadow", client_key_id=None, owner_id=None, session_id="",
             key_name="", client_address="", agent_id="", prompt_id="")  # fmt: skip
    made.ask(3, replay_of="req_1", endpoint="replay", client_key_id=None, owner_id=None, session_id="",
             key_name="", client_address="", agent_id="", prompt_id="")  # fmt: skip
    made.ask(4, verdicts=[{"tool": SECRET_TALK, "decision": "deny"}], state="error", status=500)
    request = {"model": "m", "messages": [{"role": "user", "content": "of somebody else"}]}
    made.ask(9, owner_id=other.pk, client_key_id=others.pk, key_name="ottos", session_id="ottos",
             agent_id="", prompt_id="", client_address="", error_message="", facts={}, tools_called=[],
             tries=(), bodies=captured(request, request))  # fmt: skip
    while follow_up():
        pass
    dataset = Dataset.objects.create(name=f"steps of {NAME}", created_by=admin_user)
    steps = [
        DatasetStep.objects.create(
            dataset=dataset, position=number, session=f"user:{person.pk}mina-session",
            agent_id="mina-agent", request_id=name,
        )
        for number, name in enumerate(("req_1", "req_4"))
    ]  # fmt: skip
    evaluation = Evaluation.objects.create(name=f"{NAME}, again", dataset=dataset, provider="p")
    EvaluationStep.objects.create(
        evaluation=evaluation, recorded=steps[0], answer_id="req_3", judge_id="req_2", error=SECRET_TALK
    )
    CacheMiss.objects.create(
        log_id="req_4", before_id="req_1", started_at=NOW, session_id="mina-session", culprit="client",
        reason="system", source=SECRET_TALK, tokens=9,
    )  # fmt: skip
    ClientNovelty.objects.create(version="1", kind="beta", name="n", first_at=NOW, request_id="req_1")
    problem = Problem.objects.create(
        fingerprint="f", message="…", sample=SECRET_TALK, first_at=NOW, last_at=NOW, times=1
    )
    ProblemHour.objects.create(problem=problem, hour=1, client_key_pk=key.pk, owner_id=person.pk, times=1)
    FormerUse.objects.create(client_key_pk=key.pk, owner_id=person.pk, hour=1, tokens=1)
    type(person).objects.filter(pk=person.pk).update(last_login=NOW)
    RequestLog.objects.filter(request_id="req_4").update(problem_id=problem.pk)
    RefusedKey.objects.create(
        day=NOW.date(), client_key_pk=key.pk, prefix="p", reason="expired", times=1, first_at=NOW,
        last_at=NOW, last_address="198.51.100.7",
    )  # fmt: skip
    Notice.objects.create(
        key=f"budget:{key.pk}",
        url=f"/admin/gateway/clientkey/{key.pk}/change/",
        text=f"{KEY} of {NAME}: 90 %.",
        urgency="hint",
        began_at=NOW,
        seen_at=NOW,
    )
    Delivery.objects.create(channel=channel, event="test", state="failed", problem=f"550 {MAIL}: unknown")
    SavedView.objects.create(user=person, page="requests", name=f"of {NAME}", query=f"q={SECRET_TALK}")
    asked = urlencode({"owner": NAME, "q": f"{FIRST} van der Berg", "provider": "p"})
    SavedView.objects.create(user=other, page="requests", name=f"what {NAME} asks", query=asked)
    grant = DeviceGrant.objects.create(
        device_digest="d", user_code="c", address="198.51.100.7", client=f"{NAME} laptop", created_at=NOW,
        expires_at=NOW + timedelta(hours=1), user=person, key=key,
    )  # fmt: skip
    RefreshToken.objects.create(digest="r", key=grant.key, issued_at=NOW, expires_at=NOW)
    note_read(admin_user, "req_1", "conversation")
    note_read(person, "req_9", "conversation")
    return made


@pytest.fixture
def dump():
    """Every text in the database, compressed ones too."""

    def whole() -> str:
        texts = []
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                if table.startswith("gateway_searchwords_"):
                    continue
                cursor.execute(f'SELECT * FROM "{table}"')
                for row in cursor.fetchall():
                    for value in row:
                        if isinstance(value, bytes | memoryview):
                            data = bytes(value)
                            with contextlib.suppress(Damaged):
                                data = decompressed(data)
                            texts.append(f"{table}: {data.decode('utf-8', 'replace')}")
                        elif value is not None:
                            texts.append(f"{table}: {value}")
        return "\n".join(texts)

    return whole


@pytest.fixture
def run():
    """A command and what it printed."""

    def call(*args: str, **options: Any) -> str:
        out = io.StringIO()
        call_command(*args, stdout=out, **options)
        return out.getvalue()

    return call
