"""Every protocol has all it needs."""

import pytest

from gateway.conversion.dialects import DIALECTS
from gateway.conversion.ledger import Ledger
from gateway.upstream.request_builder import PATHS
from tests.playbook import context_of


@pytest.mark.parametrize("protocol", DIALECTS)
def test_a_dialect_has_a_path_below_the_base_url(protocol):
    assert PATHS[protocol].startswith("/")


@pytest.mark.parametrize("protocol", DIALECTS)
def test_a_stream_that_never_begins_can_still_be_an_http_error(protocol):
    stream = DIALECTS[protocol].stream(context_of(), Ledger())
    stream.finish()
    assert (stream.started, stream.done) == (False, True)
    assert stream.failure is not None and stream.failure.status == 502
