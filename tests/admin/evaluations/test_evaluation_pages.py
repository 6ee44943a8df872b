"""Evaluations in the console: started, followed, read, and made a canary of."""

import pytest
from django.contrib.admin.models import LogEntry

from gateway.models import ContentRead, Dataset, Evaluation, ModelMapping, RequestBody
from tests.admin.history import HOSTILE
from tests.admin.pages import url
from tests.evaluation import scenario

pytestmark = pytest.mark.django_db


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def form(**changes):
    return {"name": "Cheaper?", "sessions": 2, "seed": 1, "concurrency": 3, "spend_cap": "2.50", **changes}


def test_an_evaluation_is_started_from_a_form(stage, serving, admin_client, admin_user):
    stage.record(range(3))
    target = serving.targets.get(upstream_model=scenario.CANDIDATE)
    page = url("evaluation", "new")
    assert "New evaluation" in text(admin_client.get(page))
    posted = admin_client.post(page, form(target=target.pk, judge=target.pk, classes=["main"]))
    evaluation = Evaluation.objects.get()
    assert posted.url == url("evaluation", "change", evaluation.pk)
    assert (evaluation.provider, evaluation.upstream_model, evaluation.rule_pk) == (
        "fake", scenario.CANDIDATE, serving.pk
    )  # fmt: skip
    assert (evaluation.judge_model, str(evaluation.spend_cap), evaluation.state) == (
        scenario.CANDIDATE, "2.50", "waiting"
    )  # fmt: skip
    assert evaluation.started_by == admin_user
    assert evaluation.dataset.selection == {"sessions": 2, "seed": 1, "classes": ["main"]}
    assert set(evaluation.dataset.steps.values_list("request_class", flat=True)) == {"main"}
    assert evaluation.dataset.steps.values("session").distinct().count() == 2
    assert "Cheaper?" in text(admin_client.get(url("evaluation", "changelist")))


def test_what_is_wrong_with_the_form_is_said_and_nothing_is_started(serving, admin_client):
    page = url("evaluation", "new")
    assert "Choose a candidate" in text(admin_client.post(page, form()))
    target = serving.targets.first()
    assert "No recorded step fits" in text(admin_client.post(page, form(target=target.pk)))
    late = form(target=target.pk, since="2026-02-02", until="2026-02-01")
    assert "before the first day" in text(admin_client.post(page, late))
    assert text(admin_client.get(page, {"dataset": "9" * 30}))
    assert not Evaluation.objects.exists()
    assert not Dataset.objects.exists()


def test_the_report_says_agreement_cost_and_where_it_diverges(ended, serving, admin_client):
    evaluation = ended(10, judge_provider="fake", judge_model=scenario.JUDGE)
    page = text(admin_client.get(url("evaluation", "change", evaluation.pk)))
    for part in (
        "Agreement by purpose", "subagent", "75 % cheaper", "same target, another effect",
        "a text instead of",
        "candidate-model @ fake", "too few to tell", "The judge of its divergences",
    ):  # fmt: skip
        assert part in page, part
    step = evaluation.steps.get(verdict="effect", recorded__session__startswith="session-5")
    opened = text(admin_client.get(url("evaluation", "step", evaluation.pk, step.pk)))
    assert "limit = 0" in opened and "limit = 1" in opened
    assert ContentRead.objects.filter(request_id=step.recorded.request_id, part="evaluation").exists()


def test_the_pages_are_there_in_chinese(ended, serving, admin_client):
    evaluation = ended(2)
    admin_client.cookies["django_language"] = "zh-hans"
    page = text(admin_client.get(url("evaluation", "change", evaluation.pk)))
    assert "按用途的一致率" in page
    assert "评估" in text(admin_client.get(url("evaluation", "new")))


def test_a_canary_is_made_with_one_click_and_stands_in_the_log(ended, serving, admin_client, admin_user):
    evaluation = ended(12)
    evaluation.dataset.steps.update(mapping_pk=serving.pk)
    page = url("evaluation", "canary", evaluation.pk)
    # not proposed: too often another step
    evaluation.steps.update(verdict="tool")
    admin_client.post(page, {"class": "main"})
    assert ModelMapping.objects.count() == 1
    evaluation.steps.exclude(tool="").update(verdict="same")
    evaluation.steps.filter(tool="").update(verdict="text")
    report = text(admin_client.get(url("evaluation", "change", evaluation.pk)))
    assert "candidate agrees in" in report and "Make the canary" in report
    made = admin_client.post(page, {"class": "main"})
    mapping = ModelMapping.objects.get(position=9)
    assert made.url == url("modelmapping", "change", mapping.pk)
    assert mapping.when == {"class": ["main"]}
    assert list(mapping.targets.values_list("upstream_model", "weight"))[-1] == (scenario.CANDIDATE, 5.0)
    entry = LogEntry.objects.get(object_id=str(mapping.pk), content_type__model="modelmapping")
    assert entry.user == admin_user


def test_two_candidates_are_shown_row_by_row(stage, ended, serving, admin_client):
    first = ended(4)
    second = ended(4, "again", dataset=first.dataset, upstream_model=scenario.RECORDED)
    page = text(admin_client.get(url("evaluation", "against", first.pk, second.pk)))
    assert "only the second agrees" in page
    assert admin_client.get(url("evaluation", "against", first.pk, first.pk)).status_code == 404


def test_it_is_paused_continued_and_cancelled(evaluated, admin_client):
    evaluation = evaluated(1)
    page = url("evaluation", "decide", evaluation.pk)
    for decision, state in (
        ("pause", "paused"),
        ("go_on", "waiting"),
        ("x", "waiting"),
        ("cancel", "cancelled"),
    ):
        assert admin_client.post(page, {"decision": decision}).status_code == 302
        assert Evaluation.objects.get().state == state
    admin_client.post(page, {"decision": "cap", "spend_cap": "7.25"})
    assert str(Evaluation.objects.get().spend_cap) == "7.25"
    admin_client.post(page, {"decision": "cap", "spend_cap": "-1"})
    assert str(Evaluation.objects.get().spend_cap) == "7.25"


def test_each_page_needs_its_right(ended, serving, clerk, django_user_model):
    evaluation = ended(1)
    step = evaluation.steps.first()
    client = clerk("view_requestlog")
    pages = [
        url("evaluation", "changelist"), url("evaluation", "new"), url("evaluation", "change", evaluation.pk),
        url("evaluation", "step", evaluation.pk, step.pk), url("dataset", "changelist"),
        url("dataset", "export", evaluation.dataset_id), url("dataset", "take_in"),
    ]  # fmt: skip
    assert [client.get(page).status_code for page in pages] == [403] * len(pages)
    for page in ("decide", "canary"):
        assert client.post(url("evaluation", page, evaluation.pk), {"decision": "pause"}).status_code == 403


def test_who_may_see_evaluations_reads_no_contents_by_that(ended, serving, clerk):
    evaluation = ended(1)
    client = clerk("view_evaluation", "view_dataset", "view_requestlog")
    assert text(client.get(url("evaluation", "change", evaluation.pk)))
    step = evaluation.steps.first()
    assert client.get(url("evaluation", "step", evaluation.pk, step.pk)).status_code == 403
    for page in ("decide", "canary"):
        assert client.post(url("evaluation", page, evaluation.pk), {"class": "main"}).status_code == 403
    export = client.get(url("dataset", "export", evaluation.dataset_id))
    assert b"".join(export) == b"" if not export.is_async else True


def test_names_of_others_are_inert_and_gone_contents_are_said(ended, serving, admin_client):
    evaluation = ended(1)
    Evaluation.objects.update(name=HOSTILE, problem=HOSTILE, upstream_model=HOSTILE)
    Dataset.objects.update(name=HOSTILE, selection={"x": HOSTILE})
    evaluation.steps.update(tool=HOSTILE, proposed_tool=HOSTILE, verdict="tool", error=HOSTILE)
    RequestBody.objects.all().delete()
    step = evaluation.steps.first()
    for page in (
        url("evaluation", "change", evaluation.pk), url("evaluation", "step", evaluation.pk, step.pk),
        url("evaluation", "changelist"), url("dataset", "change", evaluation.dataset_id),
        url("dataset", "changelist"),
    ):  # fmt: skip
        assert HOSTILE not in text(admin_client.get(page))
    assert "no longer kept" in text(admin_client.get(url("evaluation", "step", evaluation.pk, step.pk)))
