"""Policies, budgets of people and safeguard rules in the configuration file."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from gateway.config.file.document import exported, imported
from gateway.config.file.fields import Unusable
from gateway.models import ManagedPolicy, PersonBudget, SafeguardRule

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def team():
    return Group.objects.create(name="team")


RATES = {"requests_per_minute": 9, "concurrent_requests": 2, "allowed_models": ["claude-*"]}


def furnished(ada, team):
    ManagedPolicy.objects.create(name="all", settings={"model": "opus", "n": [1.5]})
    ManagedPolicy.objects.create(name="team's", group=team, settings={}, enabled=False)
    ManagedPolicy.objects.create(
        name="ada's", user=ada, position=3, settings={"permissions": {"deny": ["X"]}}
    )
    PersonBudget.objects.create(user=ada, spend_budget="12.50", correction=77, revision=3, **RATES)
    SafeguardRule.objects.create(decision="deny", command="rm", explanation="never", position=2)
    SafeguardRule.objects.create(decision="allow", tool="Bash", command="make *", user=ada, position=1)
    SafeguardRule.objects.create(decision="allow", tool="Bash", command="make *", group=team, position=1)


MODELS = (ManagedPolicy, PersonBudget, SafeguardRule)


def test_what_is_written_is_taken_in_elsewhere_and_a_second_time_changes_nothing(ada, team):
    furnished(ada, team)
    document = exported()
    assert imported(document) == []
    assert [len(document[name]) for name in ("policies", "person_budgets", "safeguard_rules")] == [3, 1, 3]
    assert "77" not in str(document["person_budgets"])
    for model in MODELS:
        model.objects.all().delete()
    assert len([line for line in imported(document) if line.startswith("+")]) == 7
    assert exported() == document
    assert SafeguardRule.objects.get(user=ada).command == "make *"
    budget = PersonBudget.objects.get()
    assert budget.correction == 0
    assert {name: getattr(budget, name) for name in RATES} == RATES


def test_a_changed_entry_changes_its_record_and_keeps_what_was_booked(ada, team):
    furnished(ada, team)
    document = exported()
    document["person_budgets"][0]["spend_budget"] = "20.00"
    document["safeguard_rules"][2]["decision"] = "undecided"
    document["policies"][0]["user"] = None
    lines = imported(document)
    assert len(lines) == 3 and all(line.startswith("~") for line in lines)
    assert (str(PersonBudget.objects.get().spend_budget), PersonBudget.objects.get().correction) == (
        "20.00",
        77,
    )
    assert SafeguardRule.objects.filter(decision="undecided", command="rm").count() == 1


def test_what_the_file_does_not_have_goes_where_that_is_asked_for(ada, team):
    furnished(ada, team)
    imported({"ccproxy": 1, "safeguard_rules": [], "policies": [], "person_budgets": []}, remove=True)
    assert [model.objects.count() for model in MODELS] == [0, 0, 0]


@pytest.mark.parametrize(
    ("section", "entry", "problem"),
    [
        ("policies", {"name": "p", "user": "nobody"}, "there is no user 'nobody'"),
        ("policies", {"name": "p", "group": "none"}, "there is no group 'none'"),
        ("policies", {"name": "p", "settings": [1]}, "settings must be"),
        ("policies", {}, "'name' is missing"),
        ("person_budgets", {"spend_budget": 1}, "'user' is missing"),
        ("person_budgets", {"user": "ada", "group": "team"}, "not of a group"),
        ("person_budgets", {"user": "ada", "correction": 5}, "is no field"),
        ("person_budgets", {"user": "ada", "spend_budget": -1}, "spend_budget"),
        ("safeguard_rules", {"decision": "allow"}, "names a tool"),
        ("safeguard_rules", {"decision": "maybe", "tool": "X"}, "decision"),
    ],
)
def test_an_entry_that_means_nothing_is_refused_and_says_where(ada, section, entry, problem):
    with pytest.raises(Unusable, match=problem) as refused:
        imported({"ccproxy": 1, section: [entry]})
    assert str(refused.value).startswith(f"{section}[0]")
