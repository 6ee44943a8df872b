"""After a failed attempt: again, elsewhere, or give up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversion.dialects import DIALECTS
from gateway.errors import (
    UpstreamBroken,
    UpstreamRefused,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from gateway.upstream.failover.attempts import (
    Elsewhere,
    Fault,
    Step,
    fault_of,
    is_overflow,
    pause_before,
    step_after,
)

NOWHERE = Elsewhere()
CREDENTIAL = Elsewhere(credential=True)
TARGET = Elsewhere(target=True)
BOTH = Elsewhere(credential=True, target=True)


def rejected(status, *, upstream_status=None, message="no", **fields):
    error = UpstreamRejected(message, status=status, **fields)
    error.upstream_status = upstream_status or status
    return error


def inside(status, **fields):
    """An error in a 200: no status of its own."""
    return UpstreamRejected("no", status=status, **fields)


def refused(protocol, status, **error):
    """What a dialect makes of an error answer to a request that fills the window."""
    body = json.dumps({"type": "error", "error": error}).encode()
    return DIALECTS[protocol].upstream_error(
        status, {}, body, model="m", context_window=262_144, estimated_tokens=270_000
    )


def after(fault, **facts):
    usual = {
        "asked_pause": None,
        "tries": 1,
        "max_retries": 2,
        "time_left": 30.0,
        "elsewhere": NOWHERE,
        "jitter": 1.0,
    }
    return step_after(fault, **{**usual, **facts})


# --- whose fault ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 524, 529])
def test_a_status_that_may_pass_may_pass(status):
    assert fault_of(rejected(status)) is Fault.PASSING


@pytest.mark.parametrize("status", [424, 425])
def test_a_client_error_that_may_pass_may_pass(status):
    assert fault_of(rejected(502 if status == 424 else 400, upstream_status=status)) is Fault.PASSING


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_client_error_is_the_client_s(status):
    assert fault_of(rejected(status if status != 422 else 400, upstream_status=status)) is Fault.CLIENT


def test_an_overflow_said_with_status_500_is_the_client_s():
    error = rejected(400, upstream_status=500, message="prompt is too long: 9 tokens > 8 maximum")
    assert fault_of(error) is Fault.CLIENT
    assert is_overflow(error)
    assert not is_overflow(rejected(400))


@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_an_overflow_told_with_a_status_about_something_else_is_the_client_s(protocol, status):
    error = refused(
        protocol, status, type="authentication_error", message="k3-256k supports only 256K context."
    )
    assert (error.status, error.error_type) == (400, "invalid_request_error")
    assert error.message == "prompt is too long: 270000 tokens > 262144 maximum"
    assert fault_of(error) is Fault.CLIENT


@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize("message", ["", "Incorrect API key provided", "this key supports only 3 models"])
def test_a_refused_credential_stays_one_however_full_the_window_is(protocol, message):
    assert fault_of(refused(protocol, 401, message=message)) is Fault.CREDENTIAL


def test_a_refusal_by_the_content_filter_is_the_client_s():
    assert fault_of(UpstreamRefused("filtered")) is Fault.CLIENT


@pytest.mark.parametrize("protocol", DIALECTS)
@pytest.mark.parametrize(
    "message",
    [
        "Your input was flagged",
        "Content violates usage guidelines.",
        "Prompt flagged by moderation",
        "This content has been flagged by our moderation system",
        "Request blocked by content policy",
        "Moderation failed",
        "Forbidden by the safety system",
    ],
)
def test_a_prompt_refused_with_403_takes_no_credential_out_of_service(protocol, message):
    assert fault_of(refused(protocol, 403, message=message)) is Fault.CLIENT
    assert fault_of(refused(protocol, 403, message="Your account was flagged")) is Fault.CREDENTIAL


@pytest.mark.parametrize(
    "error",
    [
        rejected(502, upstream_status=401, should_retry=False),
        rejected(402, should_retry=False),
        rejected(402, upstream_status=429, should_retry=False),
        rejected(403),
        inside(502, should_retry=False),
        inside(402, should_retry=False),
    ],
)
def test_what_says_that_the_credential_is_not_good_is_the_credential_s(error):
    assert fault_of(error) is Fault.CREDENTIAL


def test_too_many_requests_is_a_limit():
    assert fault_of(rejected(429)) is Fault.LIMIT
    assert fault_of(inside(429)) is Fault.LIMIT


@pytest.mark.parametrize("status", [301, 404, 405, 501])
def test_a_wrong_address_or_a_missing_model_is_the_target_s(status):
    assert fault_of(rejected(502 if status < 400 else status, upstream_status=status)) is Fault.TARGET


def test_no_connection_may_pass_but_a_wrong_certificate_does_not():
    assert fault_of(UpstreamUnreachable("reset")) is Fault.PASSING
    assert fault_of(UpstreamUnreachable("tls", should_retry=False)) is Fault.TARGET


def test_silence_and_an_unreadable_answer_are_told_apart():
    assert fault_of(UpstreamTimedOut("x")) is Fault.SILENT
    assert fault_of(UpstreamBroken("x")) is Fault.TARGET


# --- what follows -------------------------------------------------------------------------


@pytest.mark.parametrize("elsewhere", [NOWHERE, CREDENTIAL, TARGET, BOTH])
def test_a_client_error_never_moves_on(elsewhere):
    assert after(Fault.CLIENT, elsewhere=elsewhere).kind == "gave_up"


def test_a_refused_credential_is_followed_by_another_then_by_the_next_target_then_by_nothing():
    assert after(Fault.CREDENTIAL, elsewhere=CREDENTIAL) == Step("credential")
    assert after(Fault.CREDENTIAL, elsewhere=TARGET) == Step("target")
    assert after(Fault.CREDENTIAL).kind == "gave_up"


def test_what_may_pass_is_tried_again_at_the_same_target_and_then_at_the_next():
    kinds = [after(Fault.PASSING, tries=tries, elsewhere=TARGET).kind for tries in (1, 2, 3)]
    assert kinds == ["again", "again", "target"]


def test_another_credential_does_not_mend_a_server():
    assert after(Fault.PASSING, tries=3, elsewhere=CREDENTIAL).kind == "gave_up"
    assert after(Fault.PASSING, tries=1, elsewhere=CREDENTIAL).kind == "again"


@pytest.mark.parametrize("fault", [Fault.PASSING, Fault.TARGET, Fault.SILENT])
def test_a_credential_that_stands_ready_does_not_hide_the_next_target(fault):
    assert after(fault, tries=3, elsewhere=BOTH) == Step("target")


def test_a_limit_is_first_the_credential_s():
    assert after(Fault.LIMIT, asked_pause=1.0, elsewhere=CREDENTIAL) == Step("credential")


def test_a_short_limit_is_waited_for_and_a_long_one_is_not_when_a_target_stands_ready():
    assert after(Fault.LIMIT, asked_pause=1.0, elsewhere=TARGET).kind == "again"
    assert after(Fault.LIMIT, asked_pause=20.0, elsewhere=TARGET) == Step("target")


def test_without_another_target_a_limit_is_waited_for_as_long_as_there_is_time():
    assert after(Fault.LIMIT, asked_pause=20.0).pause == 21.0
    assert after(Fault.LIMIT, asked_pause=60.0).kind == "gave_up"


def test_a_silent_target_is_left_for_the_next_and_asked_again_only_when_there_is_none():
    assert after(Fault.SILENT, elsewhere=TARGET) == Step("target")
    assert after(Fault.SILENT).kind == "again"
    assert after(Fault.SILENT, time_left=-60.0, elsewhere=TARGET).kind == "gave_up"


def test_a_target_that_cannot_serve_is_not_asked_twice():
    assert after(Fault.TARGET).kind == "gave_up"
    assert after(Fault.TARGET, elsewhere=TARGET) == Step("target")


def test_a_provider_that_says_not_to_repeat_is_heard():
    assert after(Fault.PASSING, repeatable=False).kind == "gave_up"
    assert after(Fault.PASSING, repeatable=False, elsewhere=TARGET) == Step("target")


def test_the_number_of_retries_is_the_provider_s():
    assert after(Fault.PASSING, tries=1, max_retries=0).kind == "gave_up"
    assert after(Fault.PASSING, tries=3, max_retries=3).kind == "again"


def test_pauses_double_with_jitter_and_have_a_limit():
    assert [pause_before(None, tries, 1.0) for tries in (1, 2, 3, 9)] == [0.5, 1.0, 2.0, 8.0]
    assert pause_before(None, 1, 0.0) == 0.25


def test_those_who_were_told_the_same_time_do_not_come_in_one_moment():
    assert pause_before(3.0, 1, 0.0) == 3.0
    assert pause_before(3.0, 1, 1.0) == 3.3
    assert pause_before(60.0, 1, 1.0) == 61.0


@given(
    fault=st.sampled_from(Fault),
    asked_pause=st.none() | st.floats(0.001, 1e6),
    tries=st.integers(1, 50),
    max_retries=st.integers(0, 50),
    time_left=st.floats(-100, 100),
    elsewhere=st.sampled_from([NOWHERE, CREDENTIAL, TARGET, BOTH]),
    jitter=st.floats(0, 1),
    repeatable=st.booleans(),
)
def test_whatever_happens_a_pause_ends_in_time_and_nothing_unready_is_chosen(
    fault, asked_pause, tries, max_retries, time_left, elsewhere, jitter, repeatable
):
    step = step_after(
        fault,
        asked_pause=asked_pause,
        tries=tries,
        max_retries=max_retries,
        time_left=time_left,
        elsewhere=elsewhere,
        jitter=jitter,
        repeatable=repeatable,
    )
    if step.kind == "again":
        assert 0 < step.pause < time_left
        assert tries <= max_retries
        assert asked_pause is None or step.pause >= asked_pause
        assert fault in (Fault.LIMIT, Fault.PASSING, Fault.SILENT)
    elif step.kind != "gave_up":
        assert getattr(elsewhere, step.kind)
        assert step.pause == 0
        assert fault is not Fault.CLIENT
    if time_left <= 0:
        assert step.kind == "gave_up"
