"""tokenerror: the error of the estimates over the history."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from gateway.models import RequestLog

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def run(*arguments):
    out = StringIO()
    call_command("tokenerror", *arguments, stdout=out)
    return [line.split() for line in out.getvalue().splitlines()]


@pytest.fixture
def history():
    estimates = [1100, 900, 1100, 1100, 1000]
    RequestLog.objects.bulk_create(
        RequestLog(
            request_id=f"req_{number}", started_at=NOON + timedelta(hours=number), state="ok", attempts=1,
            provider="main", upstream_model="m", estimated_input_tokens=estimate,
            input_tokens=600, cache_read_tokens=400,
        )
        for number, estimate in enumerate(estimates)
    )  # fmt: skip


def test_each_model_has_a_line_with_median_p90_and_bias(history):
    head, line = run()
    assert head == ["provider", "model", "n", "median", "p90", "bias"]
    assert line[:4] == ["main", "m", "5", "10.0%"]
    assert line[5:] == ["+10.0%"]


def test_the_time_and_the_first_requests_can_be_left_out(history):
    assert run("--since", "2026-11-01T15:30")[1][2] == "1"
    assert run("--skip", "3")[1][2] == "2"


def test_rows_without_a_providers_count_do_not_count(history):
    RequestLog.objects.update(usage_estimated=True)
    assert run() == [["No", "request", "with", "an", "estimate", "and", "a", "provider's", "count."]]
    assert run("--model", "other")[0][0] == "No"
