"""Names of tools on their way upstream (option tool_name_format)."""

import pytest

from gateway.conversion.ledger import Ledger
from gateway.conversion.profile import Profile
from gateway.conversion.tool_calls.names import upstream_name
from gateway.conversion.tools.chat_tools import tool_plan

LEGAL = ("read", "_x", "a-b")


@pytest.mark.parametrize("name", ["21st_magic", "-x", "9" * 80, "9router__ask", "7.b", "é"])
def test_a_name_begins_with_a_letter_where_the_provider_wants_one(name):
    request = {"tools": [{"name": name, "input_schema": {"type": "object"}}]}
    profile = Profile.merged({"tool_name_format": "letter_first"})
    ledger = Ledger()
    plan = tool_plan(request, profile, ledger)
    sent = plan.tools[0]["function"]["name"]
    assert sent[0] == "_"
    assert len(sent) <= 64
    assert plan.facts.original_names == {sent: name}
    assert [entry.code for entry in ledger.entries] == ["renamed"]


def test_a_legal_name_stays_and_a_digit_is_legal_where_it_is_taken():
    assert [upstream_name(name, "letter_first") for name in LEGAL] == list(LEGAL)
    assert upstream_name("21st_magic", "any") == "21st_magic"
