import pytest

from gateway.client_protocol.novelties import MOST, Novelty, novelties_of, version_of
from tests.client_protocol.captured import protocol

CLIENT = {"user-agent": "claude-cli/2.1.400 (external, cli)"}


@pytest.mark.parametrize("name", ["07", "09", "10", "12", "14", "16", "18", "22", "29", "30"])
def test_nothing_of_a_known_client_is_new(name):
    headers, body = protocol(name)
    assert novelties_of(body, headers) == []


def test_a_new_beta_a_new_field_and_a_new_class_are_told_with_the_version():
    headers = {
        **CLIENT,
        "anthropic-beta": "claude-code-20250219, brand-new-2027-01-01",
        "x-claude-code-request-class": "dreaming",
    }
    assert novelties_of({"model": "m", "dreams": 1}, headers) == [
        Novelty("claude-cli/2.1.400", "beta", "brand-new-2027-01-01"),
        Novelty("claude-cli/2.1.400", "field", "dreams"),
        Novelty("claude-cli/2.1.400", "class", "dreaming"),
    ]


def test_a_client_that_makes_names_up_is_bounded():
    body = {f"field{number}" * 50: 1 for number in range(500)}
    found = novelties_of(body, CLIENT)
    assert len(found) == MOST
    assert max(len(one.name) for one in found) <= 100


def test_the_version_is_what_the_user_agent_begins_with():
    assert version_of("claude-cli/2.1.332 (external, sdk-cli)") == "claude-cli/2.1.332"
    assert version_of("x" * 500) == "x" * 60
