"""The dry run, and every vector through it (docs/conversion.md, "Cases and vectors")."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.management import dryrun
from gateway.management.expectations import differences, present

VECTORS = sorted((Path(__file__).parent.parent / "vectors").glob("*.json"))
CASES = {path.stem: json.loads(path.read_text()) for path in VECTORS}

REQUEST = {"model": "claude-test", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("name", CASES)
def test_every_vector_passes(name):
    assert dryrun.check(CASES[name]) == []


@pytest.mark.parametrize("name", CASES)
def test_the_same_case_gives_the_same_result(name):
    assert dryrun.run(CASES[name]) == dryrun.run(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_expectation_is_noticed(name):
    case = json.loads(json.dumps(CASES[name]))
    for key, wrong in {
        "expect_upstream": {"model": "other"},
        "expect_response": {"model": "other"},
        "expect_events": [],
        "expect_error": {"type": "other"},
        "expect_range": [0, 0],
    }.items():
        if key in case:
            case[key] = wrong
    assert dryrun.check(case)


def test_the_kind_is_told_by_the_keys():
    assert "upstream" in dryrun.run({"request": REQUEST})
    assert "response" in dryrun.run({"request": REQUEST, "upstream_json": {"choices": [{"message": {}}]}})
    assert "events" in dryrun.run({"request": REQUEST, "upstream_sse": ["data: {}"]})
    failed = dryrun.run({"request": REQUEST, "upstream_status": 503, "upstream_body": "x"})
    assert failed["error"]["status"] == 529


def test_a_request_error_is_a_result():
    assert dryrun.run({"request": {}})["error"] == {
        "status": 400,
        "type": "invalid_request_error",
        "message": "model: Field required",
        "headers": {},
    }


@pytest.mark.parametrize(
    "case", [{}, {"request": 5}, {"kind": "x", "request": REQUEST}, {"request": REQUEST, "options": {"x": 1}}]
)
def test_what_is_no_case_is_refused(case):
    with pytest.raises(ValueError):
        dryrun.run(case)


def test_an_unexpected_error_is_a_difference():
    assert dryrun.check({"request": {}, "expect_upstream": {}})[0].startswith("unexpected error")


@pytest.mark.parametrize(
    "expected, actual, count",
    [
        ({"a": 1}, {"a": 1, "b": 2}, 0),
        ({"a": 1}, {}, 1),
        ([1], [1, 2], 1),
        ([1, 2], [2, 1], 2),
        (1, True, 1),
        (1, 1.0, 0),
        ("$MSG_ID", "msg_1", 0),
        ("$MSG_ID", "x", 1),
        ("$TOOL_ID", "toolu_1", 0),
        ("$SIG", "", 1),
        ("$INT", 0, 0),
        ("$INT", True, 1),
        ("$POSINT", 0, 1),
        ("$STR", "", 0),
        ("$ANY", None, 0),
        ("$GW1_ID", "a_gw1_b", 0),
        ("$GW1_ID:a", "a_gw1_b", 0),
        ("$GW1_ID:a", "c_gw1_b", 1),
        ("$unknown", "$unknown", 0),
    ],
)
def test_comparison(expected, actual, count):
    assert len(differences(expected, actual)) == count


def test_pointers():
    body = {"a": [{"b/c": None}]}
    assert present(body, "/a/0/b~1c")
    assert not present(body, "/a/1") and not present(body, "/a/x") and not present(body, "/a/0/b/c")
