"""setprice and recomputecosts."""

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from gateway.models import ModelPrice, Provider, RequestLog

pytestmark = pytest.mark.django_db


def run(*arguments) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def provider():
    return Provider.objects.create(name="Local", slug="local", base_url="http://127.0.0.1:8080/v1")


@pytest.fixture
def request_row(provider):
    return RequestLog.objects.create(
        request_id="req_1", started_at=datetime(2026, 11, 1, 12, tzinfo=UTC), state="ok", provider="local",
        upstream_model="qwen", attempts=1, input_tokens=1_000_000, output_tokens=0,
    )  # fmt: skip


def test_a_price_is_set_and_applied_to_the_past_when_asked(request_row):
    said = run("setprice", "qwen", "--input", "0.25", "--output", "1", "--cache-read", "0.02")
    assert "qwen: 0.25 / 1" in said
    assert ModelPrice.objects.get().cache_read == Decimal("0.02")
    request_row.refresh_from_db()
    assert request_row.cost is None
    said = run("recomputecosts", "--from", "2026-11-01", "--to", "2026-11-02", "--model", "qw*")
    assert said == "1 requests, 1 changed: 0.000000 became 0.250000 US dollars.\n"
    request_row.refresh_from_db()
    assert request_row.cost == Decimal("0.25")


def test_a_model_of_ones_own_may_be_free(request_row):
    run("setprice", "*", "--provider", "local", "--free")
    run("recomputecosts")
    request_row.refresh_from_db()
    assert request_row.cost == 0


def test_what_stays_without_a_price_is_told_with_the_next_step(request_row):
    assert "1 have no price: set one with manage.py setprice" in run("recomputecosts")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("setprice", "m"), "Give --input and --output, or --free"),
        (("setprice", "m", "--input", "x", "--output", "1"), "--input is not a number: x"),
        (("setprice", "m", "--input", "-1", "--output", "1"), "greater than or equal to 0"),
        (("setprice", "m", "--free", "--provider", "nobody"), "There is no provider nobody"),
        (("setprice", "m", "--free", "--from", "2026-02-02", "--to", "2026-02-01"), "not after"),
        (("recomputecosts", "--from", "yesterday"), "yesterday is not a date"),
        (("recomputecosts", "--to", "2026-02-31"), "2026-02-31 is not a date"),
    ],
)
def test_wrong_input_is_a_sentence(arguments, words):
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert not ModelPrice.objects.exists()
