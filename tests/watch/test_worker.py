"""One process looks at a time."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.history.record.rows import write
from gateway.models import Lease, Problem
from gateway.watch.worker import LEASE, TASK, look
from tests.watch.test_problems import failed

pytestmark = pytest.mark.django_db


def test_a_look_counts_failures_and_holds_the_task_for_its_process():
    write([failed(1)])
    assert look("a") is True
    assert Problem.objects.get().times == 1
    assert look("b") is False
    assert look("a") is True


def test_the_task_of_a_process_that_died_is_taken_over():
    now = timezone.now()
    assert Lease.take(TASK, "a", now, LEASE)
    assert not Lease.take(TASK, "b", now + LEASE - timedelta(seconds=1), LEASE)
    assert Lease.take(TASK, "b", now + LEASE, LEASE)
