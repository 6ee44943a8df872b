import pytest

from gateway.client_protocol.safeguards import asks_for_verdicts, results_for, without_check
from tests.client_protocol.captured import protocol


@pytest.mark.parametrize("name", ["10", "11", "12", "13", "14"])
def test_auto_mode_asks_for_verdicts(name):
    _headers, body = protocol(name)
    assert results_for(body) == [
        {"type": "dangerous_tool_use", "status": {"type": "unavailable", "reason": "disabled"}}
    ]


@pytest.mark.parametrize(
    "asked", [None, [], {}, "x", [None], [{"type": "other"}], [{}], {"type": "dangerous_tool_use"}]
)
def test_nothing_else_does(asked):
    assert not asks_for_verdicts({"safeguards": asked})
    assert results_for({}) is None


def test_the_beta_of_the_check_alone_is_taken_off():
    headers, _body = protocol("10")
    kept = without_check(headers)["anthropic-beta"].split(",")
    assert kept == [
        name for name in headers["anthropic-beta"].split(",") if name != "dangerous-tool-use-2026-09-03"
    ]
    assert without_check({"anthropic-beta": "dangerous-tool-use-2027-01-01", "a": "b"}) == {"a": "b"}
    assert without_check({"anthropic-beta": "x"}) == {"anthropic-beta": "x"}
