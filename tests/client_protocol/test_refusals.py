"""What a signed-in client is told of each refusal of ours, so that it shows our words, once."""

import pytest

from gateway import errors
from gateway.client_protocol.refusals import TABLE, as_told

# kinds whose words the client acts on by itself, or that an answer of ours ends in anyway
AS_THEY_ARE = {
    errors.InvalidRequest, errors.NotFound, errors.UnknownModel, errors.MethodNotAllowed, errors.HeadTooLarge,
    errors.RequestTimedOut, errors.InternalError,
}  # fmt: skip


def kinds(of):
    for one in of.__subclasses__():
        yield one
        yield from kinds(one)


@pytest.mark.parametrize("kind", [*kinds(errors.ClientError), *kinds(errors.GatewayFault)])
def test_every_refusal_of_ours_is_in_the_table_or_left_on_purpose(kind):
    named = any(issubclass(kind, one) for one, _telling in TABLE)
    assert named != (kind in AS_THEY_ARE)


def test_what_no_repetition_mends_is_not_repeated():
    """A 403 has words about signing in around it, and a 400 of another type is repeated six times."""
    for _kind, telling in TABLE:
        assert telling.status not in (400, 403) or telling.error_type == "policy_blocked"
        assert telling.status < 500 or telling.retry is False or telling.status in (503, 529)


def test_a_budget_keeps_the_words_that_were_chosen_for_it():
    error = errors.TooManyRequests("used up", error_type="billing_error", should_retry=False)
    assert as_told(error).error_type == "billing_error"
    assert as_told(error).headers()["x-should-retry"] == "false"


def test_a_providers_own_error_stays_as_it_came():
    error = errors.UpstreamRejected("no", status=403, error_type="permission_error", verbatim=b"{}")
    assert (as_told(error).status, as_told(error).error_type) == (403, "permission_error")
