"""The report of fifty sessions equals the truth, and what it proposes becomes a rule."""

import threading
from collections import Counter
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from gateway.config.changes import acting
from gateway.config.undoing import undo
from gateway.evaluation.comparison.steps import AGREEING
from gateway.evaluation.proposals import CannotPropose, make_canary, proposals
from gateway.evaluation.report import compared, report, steps_of
from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.models import Dataset, Evaluation, Lease, ModelMapping, Provider, Ramp, RequestLog
from tests.evaluation import scenario
from tests.evaluation.test_run import truth
from tests.records import make_mapping, make_provider

pytestmark = pytest.mark.django_db


def run(stage, evaluation):
    assert Lease.take(TASK, "a", timezone.now(), LEASE)
    assert EvaluationRun(evaluation, stage.asker, "a", threading.Event()).run() == "done"
    evaluation.refresh_from_db()


def test_the_report_of_fifty_sessions_is_the_truth(stage, evaluated):
    evaluation = evaluated(50, concurrency=8, spend_cap="5.00")
    run(stage, evaluation)
    found = report(evaluation)
    real = truth(50)
    tools = {at: verdict for at, verdict in real.items() if verdict != "text"}
    agreeing = sum(verdict in AGREEING for verdict in tools.values())

    assert found.states == {"done": len(real)}
    assert found.whole.agrees == (agreeing, len(tools))
    assert found.whole.texts == len(real) - len(tools)
    assert found.whole.overlap == 1.0
    assert found.whole.failed == (0, len(real))
    assert found.spent == found.whole.cost == scenario.COST[scenario.CANDIDATE] * len(real)
    assert found.whole.recorded_cost == scenario.COST[scenario.RECORDED] * len(real)
    assert found.whole.saved == pytest.approx(0.75)

    by_class = {one.name: one for one in found.classes}
    for name, agent in (("main", ""), ("subagent", "helper")):
        of_class = [verdict for (_number, of, _step), verdict in tools.items() if of == agent]
        assert by_class[name].agrees == (sum(one in AGREEING for one in of_class), len(of_class))

    by_tool = {row.tool: row for row in found.tools}
    truly = {}
    for at, verdict in tools.items():
        action = scenario.taken(*at)
        truly.setdefault("" if isinstance(action, str) else action[0], Counter())[verdict] += 1
    assert {tool: row.verdicts for tool, row in by_tool.items()} == truly

    first = {}
    for (number, agent, step), verdict in real.items():
        if verdict not in AGREEING and verdict != "text":
            first.setdefault((number, agent), step + 1)
    assert {
        (int(row.session.split()[0].removeprefix("session-")), "helper" if row.agent_id else ""): row.first_at
        for row in found.threads
        if row.first
    } == first

    low, high = found.whole.agrees.interval
    assert low < agreeing / len(tools) < high


@pytest.fixture
def serving(db):
    """What the scenario's gateway has, as records."""
    provider = make_provider("Fake", "fake")
    other = make_mapping("other-*", provider, position=5)
    mapping = make_mapping("*", provider, scenario.RECORDED, position=10)
    mapping.lead_to(provider, "stands-in")
    return mapping, other


def proposed(evaluation):
    return {one.group.name: one for one in proposals(report(evaluation).classes, steps_of(evaluation))}


def test_a_class_in_which_the_candidate_agrees_becomes_a_canary(stage, evaluated, serving, admin_user):
    mapping, _other = serving
    evaluation = evaluated(40, concurrency=8)
    evaluation.dataset.steps.update(mapping_pk=mapping.pk)
    run(stage, evaluation)
    main = evaluation.steps.filter(recorded__request_class="main").exclude(verdict="text")
    main.update(verdict="tool")
    # the subagents are few, and the main agents disagree too often
    found = proposed(evaluation)
    assert {name: one.reason for name, one in found.items()} == {"main": "disagrees", "subagent": "few"}
    main.update(verdict="same")
    chosen = proposed(evaluation)["main"]
    assert (chosen.reason, chosen.mapping) == ("", mapping)

    with acting(admin_user):
        made = make_canary(evaluation, "main", mapping, "agrees")
    assert (made.pattern, made.when, made.position) == ("*", {"class": ["main"]}, 9)
    assert list(made.targets.values_list("upstream_model", "weight")) == [
        (scenario.RECORDED, 95.0), ("stands-in", None), (scenario.CANDIDATE, 5.0)
    ]  # fmt: skip
    [entry] = LogEntry.objects.filter(object_id=str(made.pk), content_type__model="modelmapping")
    assert entry.user == admin_user
    undo(entry)
    assert not ModelMapping.objects.filter(pk=made.pk).exists()


def test_shares_that_a_mapping_has_are_kept_in_proportion(serving):
    mapping, _other = serving
    mapping.targets.filter(upstream_model="stands-in").update(weight=1)
    mapping.targets.exclude(upstream_model="stands-in").update(weight=3)
    made = make_canary(_evaluation(), "subagent", mapping, "")
    assert list(made.targets.values_list("weight", flat=True)) == [71.25, 23.75, 5.0]


def test_a_canary_divides_sessions_and_treats_images_as_its_mapping_does(serving):
    mapping, _other = serving
    ModelMapping.objects.filter(pk=mapping.pk).update(skips_blind=True, salt="salt")
    mapping.refresh_from_db()
    made = make_canary(_evaluation(), "subagent", mapping, "")
    own = {"id", "position", "when", "note", "created", "updated", "origin", "environment_key", "enabled"}
    for field in ModelMapping._meta.concrete_fields:
        if field.name not in own:
            assert getattr(made, field.name) == getattr(mapping, field.name), field.name


def test_a_class_gets_one_canary_and_none_beside_a_ramp(serving):
    mapping, _other = serving
    first = _evaluation()
    made = make_canary(first, "subagent", mapping, "")
    with pytest.raises(CannotPropose, match="already"):
        make_canary(first, "subagent", mapping, "")
    made.delete()
    ramp = Ramp.objects.create(mapping=mapping, target=mapping.targets.last(), steps=[{"share": 10}])
    with pytest.raises(CannotPropose, match="ramp"):
        make_canary(first, "subagent", mapping, "")
    ramp.delete()
    assert make_canary(first, "subagent", mapping, "")


def test_a_candidate_whose_provider_is_gone_becomes_no_rule(serving):
    mapping, _other = serving
    Provider.objects.update(enabled=False)
    with pytest.raises(CannotPropose):
        make_canary(_evaluation(), "subagent", mapping, "")
    assert ModelMapping.objects.count() == 2


def _evaluation():
    dataset = Dataset.objects.create(name="d")
    return Evaluation.objects.create(name="e", dataset=dataset, provider="fake", upstream_model="cheap")


def test_two_candidates_are_compared_row_by_row(stage, evaluated):
    first = evaluated(6)
    run(stage, first)
    # the recorded model itself does what it did
    second = evaluated(6, "again", dataset=first.dataset, upstream_model=scenario.RECORDED)
    run(stage, second)
    rows = compared(first, second)
    assert len(rows) == len(truth(6))
    diverging = [verdict for verdict in truth(6).values() if verdict not in ("same", "target", "text")]
    assert Counter(row.standing for row in rows)["other"] == len(diverging)
    assert Counter(row.standing for row in rows)["one"] == 0
    assert RequestLog.objects.filter(replay_of=rows[0].one.pk).count() == 0
    assert report(second).spent == Decimal(len(rows)) * scenario.COST[scenario.RECORDED]


def test_a_canary_of_a_rule_for_safety_checks_is_not_for_all_that_is_auxiliary(serving):
    (mapping, _other), evaluation = serving, _evaluation()
    for given, left in (
        (["classifier"], ["classifier"]),
        (["safeguards"], ["safeguards"]),
        (["auxiliary"], ["auxiliary"]),
    ):
        ModelMapping.objects.filter(pk=mapping.pk).update(when={"class": given})
        mapping.refresh_from_db()
        made = make_canary(evaluation, "auxiliary", mapping, "")
        assert made.when == {"class": left}
        made.delete()
    ModelMapping.objects.filter(pk=mapping.pk).update(when={"class": ["main"]})
    mapping.refresh_from_db()
    with pytest.raises(CannotPropose):
        make_canary(evaluation, "auxiliary", mapping, "")


def test_a_canary_stands_directly_in_front_of_its_mapping_where_positions_are_equal(serving):
    ModelMapping.objects.all().delete()
    provider = Provider.objects.first()
    rules = [make_mapping("*", provider, name) for name in ("first", "second", "third", "fourth")]
    ModelMapping.objects.update(position=10)
    ModelMapping.objects.filter(pk=rules[3].pk).update(position=11)
    for rule in rules:
        rule.refresh_from_db()
    made = make_canary(_evaluation(), "subagent", rules[1], "")
    expected = [rules[0].pk, made.pk, rules[1].pk, rules[2].pk, rules[3].pk]
    assert list(ModelMapping.objects.values_list("pk", flat=True)) == expected


def test_a_canary_asks_the_candidate_as_the_evaluation_did(serving):
    mapping, other = serving
    provider = Provider.objects.first()
    evaluation = _evaluation()
    other.lead_to(provider, evaluation.upstream_model, model_family="gpt-5")
    evaluation.rule_pk = other.pk
    made = make_canary(evaluation, "subagent", mapping, "")
    assert made.targets.last().model_family == "gpt-5"
    made.delete()
    ModelMapping.objects.filter(pk=other.pk).update(options={"images": "text"})
    with pytest.raises(CannotPropose, match="options"):
        make_canary(evaluation, "subagent", mapping, "")
