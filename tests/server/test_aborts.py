"""Clients that leave in every phase, against a real server; the short form of bench.aborts."""

import pytest

from bench.aborts import PHASES, PROMISED, campaign, report

pytestmark = pytest.mark.server
EACH = 10


async def test_whenever_a_client_leaves_the_provider_is_let_go_and_the_history_says_so(tmp_path):
    # a busy machine gets ten times as long as is promised; bench.aborts holds the gateway to its promise
    result = await campaign(EACH * len(PHASES), tmp_path, promised=10 * PROMISED)
    assert result.problems == [], report(result)
    assert result.during["tasks"] > result.before["tasks"], "the counting sees nothing"
    assert all(len(times) == EACH for times in result.closed.values())
