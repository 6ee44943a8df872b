"""Evaluations of the scenario for the pages, run to their end."""

import threading

import pytest
from django.utils import timezone

from gateway.evaluation.run import LEASE, TASK, EvaluationRun
from gateway.models import Lease
from tests.evaluation import scenario
from tests.evaluation.conftest import evaluated, stage
from tests.records import make_mapping, make_provider

__all__ = ["evaluated", "stage"]


@pytest.fixture
def serving(db):
    provider = make_provider("Fake", "fake")
    mapping = make_mapping("*", provider, scenario.RECORDED, position=10)
    mapping.lead_to(provider, scenario.CANDIDATE)
    return mapping


@pytest.fixture
def ended(stage, evaluated):
    """ended(10) gives an evaluation of ten sessions that is done."""

    def made(*args, **fields):
        evaluation = evaluated(*args, **fields)
        assert Lease.take(TASK, "a", timezone.now(), LEASE)
        assert EvaluationRun(evaluation, stage.asker, "a", threading.Event()).run() == "done"
        evaluation.refresh_from_db()
        return evaluation

    return made
