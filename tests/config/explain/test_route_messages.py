"""The sentences that say why a mapping wins or loses."""

import pytest
from django.utils.translation import override

from gateway.config.explain.route_messages import reason_of_mapping, reason_of_target
from gateway.routing.resolve import Candidate, Cause, Manner
from gateway.routing.snapshot import MappingRule


def reason(cause, manner=Manner.EXACT_NAME, spelling="m"):
    rule = MappingRule(1, "p*", False, ())
    return reason_of_mapping(Candidate(rule, cause is Cause.FIRST, cause, manner, spelling))


def test_each_cause_has_a_sentence():
    said = {cause: reason_of_target(cause) for cause in Cause}
    assert len(set(said.values())) == len(Cause)
    # what is wrong with a condition is a sentence of its own
    assert all(str(text).endswith((".", "%(flaw)s")) for text in said.values())


@pytest.mark.parametrize(
    ("cause", "manner", "sentence"),
    [
        (Cause.DISABLED, Manner.EXACT_NAME, "It is disabled; otherwise the exact name m would match."),
        (Cause.FIRST, Manner.PUBLIC_NAME, "It is the first enabled rule where the public name m matches."),
        (
            Cause.BEHIND_EXACT,
            Manner.PATTERN,
            "Here the pattern p* on m matches too, but exact names come before patterns.",
        ),
    ],
)
def test_the_sentence_says_by_what_the_rule_matches(cause, manner, sentence):
    assert reason(cause, manner) == sentence


def test_the_sentence_is_in_the_reader_s_language():
    with override("zh-hans"):
        assert reason(Cause.FIRST, Manner.PATTERN, "claude-x").startswith("它是第一个")
