"""Datasets as files: out masked, in again, bounded, and evaluated like recorded ones."""

import json
import threading

import pytest
from django.utils import timezone

from gateway.evaluation.datasets import BadDataset, exported, taken_in
from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.evaluation.selection import NothingSelected, StepFilter, drawn, make_dataset, selected
from gateway.history.secrets.masker import masker
from gateway.models import ContentRead, Dataset, DatasetStep, Erasure, Lease, RequestBody, RequestLog
from gateway.routing.snapshot import SecretLook
from tests.evaluation.test_run import permissions, truth, verdicts

pytestmark = pytest.mark.django_db
MASK = masker((SecretLook("limits", "limit = 0", "limit"),))


def lines(dataset, user):
    return list(exported(dataset, user, masker()))


def test_a_dataset_goes_out_comes_in_and_gives_the_same_verdicts(stage, evaluated, admin_user):
    evaluation = evaluated(6)
    file = lines(evaluation.dataset, admin_user)
    assert len(file) == evaluation.steps.count()
    assert ContentRead.objects.filter(part="dataset").count() == len(file)
    # another installation has none of the history
    RequestBody.objects.all().delete()
    RequestLog.objects.all().delete()
    dataset = taken_in("from a file", file, admin_user, masker())
    assert dataset.taken_in and dataset.steps.count() == len(file)
    again = evaluated(6, "again", dataset=dataset)
    assert Lease.take(TASK, "a", timezone.now(), LEASE)
    assert EvaluationRun(again, stage.asker, "a", threading.Event()).run() == "done"
    assert verdicts(again) == truth(6)


def test_what_goes_out_is_masked_with_the_patterns_of_now(stage, evaluated, admin_user):
    dataset = evaluated(1).dataset
    assert b"limit = 0" in b"".join(lines(dataset, admin_user))
    masked = b"".join(exported(dataset, admin_user, MASK))
    assert b"limit = 0" not in masked
    assert b"[masked:limits]" in masked
    coming = taken_in("in", lines(dataset, admin_user), admin_user, MASK)
    assert b"limit = 0" not in b"".join(lines(coming, admin_user))


def test_steps_that_somebody_may_not_read_are_left_out(stage, evaluated, django_user_model):
    dataset = evaluated(2).dataset
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    RequestLog.objects.filter(session_id="session-1").update(owner_id=clerk.pk)
    assert {json.loads(line)["session"].split()[0] for line in lines(dataset, clerk)} == {"session-1"}


def test_what_a_legal_hold_keeps_of_an_erased_person_is_evaluated_by_nobody(
    stage, evaluated, admin_user, django_user_model
):
    dataset = evaluated(2).dataset
    leaver = django_user_model.objects.create_user("leaver")
    RequestLog.objects.filter(session_id="session-1").update(owner_id=leaver.pk)
    Erasure.objects.create(user_pk=leaver.pk, asked_at=timezone.now(), held=1)
    left = {json.loads(line)["session"].split()[0] for line in lines(dataset, admin_user)}
    assert left == {"session-0"}
    chosen = {step.session.split()[0] for step in selected(admin_user, StepFilter(), timezone.now())}
    assert chosen == {"session-0"}


GOOD = {
    "session": "s", "class": "main", "request": {"model": "m", "max_tokens": 9, "messages": []},
    "answer": {"role": "assistant", "content": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ([b""], "no steps"),
        ([b"{"], "Line 1"),
        ([b"[]"], "no JSON object"),
        ([b"\xff\xfe"], "Line 1"),
        ([b"[" * 100_000], "Line 1"),
        ([json.dumps({**GOOD, "request": {"model": "m"}}).encode()], "no request with messages"),
        ([json.dumps({**GOOD, "answer": "text"}).encode()], "no answer with content"),
        ([json.dumps({**GOOD, "request": {"messages": []}}).encode()], "names no model"),
        ([json.dumps(GOOD).encode(), b"{}"], "Line 2"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(admin_user, file, said):
    with pytest.raises(BadDataset, match=said):
        taken_in("bad", file, admin_user, masker())
    assert not Dataset.objects.exists()


def test_strange_facts_of_a_line_are_taken_as_unknown(admin_user):
    strange = {
        **GOOD, "session": ["x"], "agent": 7, "class": {}, "request_id": "r\x00" * 90, "cost": "NaN",
        "first_byte_ms": -1, "input_tokens": True, "headers": [], "provider": None,
        "upstream_model": "x" * 999,
    }  # fmt: skip
    for cost in ("NaN", "1e999999", "-1", "Infinity", 5, "1" * 40):
        taken_in(f"strange {cost}", [json.dumps({**strange, "cost": cost}).encode()], admin_user, masker())
    steps = DatasetStep.objects.all()
    assert set(steps.values_list("session", "agent_id", "request_class", "cost", "first_byte_ms")) == {
        ("-", "", "unknown", None, None)
    }


def test_the_same_seed_draws_the_same_sessions_and_another_draws_others():
    sessions = [(f"s{number}", "user:1") for number in range(100)]
    assert drawn(sessions, 1) == drawn(reversed(sessions), 1)
    assert drawn(sessions, 1)[:10] != drawn(sessions, 2)[:10]


def test_a_selection_takes_whole_sessions_of_what_fits(stage, admin_user, django_user_model):
    stage.record(range(4))
    now = timezone.now()
    by_class = list(selected(admin_user, StepFilter(classes=("subagent",)), now))
    assert {step.request_class for step in by_class} == {"subagent"}
    assert len({step.session for step in by_class}) == 2
    two = list(selected(admin_user, StepFilter(sessions=2), now))
    assert len({step.session for step in two}) == 2
    assert [step.agent_id for step in two[:4]] == [""] * 4
    with pytest.raises(NothingSelected):
        make_dataset(admin_user, "none", StepFilter(mapping=99), now)
    with pytest.raises(NothingSelected):
        make_dataset(admin_user, "none", StepFilter(until=now.replace(year=2000)), now)
    # a person without the right to read all selects their own alone
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(permissions("add_evaluation", "view_requestlog"))
    assert not list(selected(clerk, StepFilter(), now))
    RequestLog.objects.filter(session_id="session-3").update(owner_id=clerk.pk)
    assert {step.session.split()[0] for step in selected(clerk, StepFilter(), now)} == {"session-3"}
    # failed, asked again and unkept requests are no steps
    RequestLog.objects.filter(session_id="session-3").update(state="error")
    assert not list(selected(clerk, StepFilter(), now))
