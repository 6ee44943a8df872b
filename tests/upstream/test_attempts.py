"""After a failed attempt: again, or give up."""

import pytest

from gateway.errors import (
    UpstreamBroken,
    UpstreamRefused,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from gateway.upstream.attempts import pause_before_retry


def rejected(status, *, upstream_status=None, **fields):
    error = UpstreamRejected("no", status=status, **fields)
    error.upstream_status = upstream_status or status
    return error


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_status_that_may_pass_is_tried_again(status):
    assert pause_before_retry(rejected(status), 1, 2, 0.5) is not None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_client_error_is_not(status):
    assert pause_before_retry(rejected(status), 1, 2, 0.5) is None


def test_an_overflow_said_with_status_500_is_a_client_error():
    assert pause_before_retry(rejected(400, upstream_status=500), 1, 2, 0.5) is None


def test_no_connection_is_tried_again_unless_its_certificate_is_wrong():
    assert pause_before_retry(UpstreamUnreachable("reset"), 1, 2, 0.5) is not None
    assert pause_before_retry(UpstreamUnreachable("tls", should_retry=False), 1, 2, 0.5) is None


@pytest.mark.parametrize("error", [UpstreamRefused("x"), UpstreamBroken("x"), UpstreamTimedOut("x")])
def test_a_refusal_a_broken_answer_and_a_silence_are_not_paid_for_twice(error):
    assert pause_before_retry(error, 1, 2, 0.5) is None


def test_the_number_of_retries_is_the_providers():
    assert pause_before_retry(rejected(500), 2, 2, 0.5) is not None
    assert pause_before_retry(rejected(500), 3, 2, 0.5) is None
    assert pause_before_retry(rejected(500), 1, 0, 0.5) is None


def test_pauses_double_with_jitter_and_have_a_limit():
    assert [pause_before_retry(rejected(500), n, 99, 1.0) for n in (1, 2, 3, 9)] == [0.5, 1.0, 2.0, 8.0]
    assert pause_before_retry(rejected(500), 1, 2, 0.0) == 0.25


def test_retry_after_is_honoured_but_not_waited_for_too_long():
    assert pause_before_retry(rejected(429, retry_after=3), 1, 2, 0.5) == 3
    assert pause_before_retry(rejected(429, retry_after=60), 1, 2, 0.5) is None
