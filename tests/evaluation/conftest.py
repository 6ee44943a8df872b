import pytest
from django.utils import timezone

from gateway.evaluation.selection import StepFilter, make_dataset
from gateway.evaluation.starting import start
from tests.evaluation import scenario


@pytest.fixture
def stage():
    with scenario.theatre() as made:
        yield made


@pytest.fixture
def evaluated(stage, admin_user):
    """evaluated(10) records ten sessions and gives an evaluation of them that waits."""

    def made(sessions, name="candidate", dataset=None, **fields):
        if dataset is None:
            stage.record(range(sessions))
            wanted = StepFilter(sessions=sessions)
            dataset = make_dataset(admin_user, "sessions", wanted, timezone.now())
        values = {"provider": "fake", "upstream_model": scenario.CANDIDATE, **fields}
        return start(admin_user, dataset, name, timezone.now(), **values)

    return made
