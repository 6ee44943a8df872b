"""The convert command: a dry run from the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

VECTORS = Path(__file__).parent.parent / "vectors"


def run(*args):
    out = io.StringIO()
    call_command("convert", *map(str, args), stdout=out, no_color=True)
    return out.getvalue()


def test_a_file_is_converted():
    result = json.loads(run(VECTORS / "r01_simple.json"))
    assert result["upstream"]["model"] == "claude-test" and "ledger" in result


def test_stdin_is_converted(monkeypatch):
    case = json.loads((VECTORS / "t01_text.json").read_text())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(case).encode())))
    events = json.loads(run())["events"]
    assert events[0]["event"] == "message_start" and events[-1]["event"] == "message_stop"


def test_an_error_is_a_result():
    assert json.loads(run(VECTORS / "e02_rate_limit.json"))["error"]["status"] == 429


def test_check_counts():
    assert run("--check", *sorted(VECTORS.glob("t*.json"))) == "12 passed, 0 failed\n"


def test_check_takes_every_protocol():
    assert run("--check", *sorted(VECTORS.glob("rs*.json"))) == "3 passed, 0 failed\n"


def test_check_shows_the_difference_and_fails(tmp_path, capsys):
    case = json.loads((VECTORS / "s01_text.json").read_text())
    case["expect_response"]["stop_reason"] = "tool_use"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(case))
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("convert", "--check", str(wrong), stdout=out, no_color=True)
    assert ended.value.code == 1
    assert out.getvalue() == (
        "FAILED wrong\n  /response/stop_reason: 'end_turn' instead of 'tool_use'\n0 passed, 1 failed\n"
    )


@pytest.mark.parametrize(
    "content", ["no json", "[]", "{}", '{"request": {}, "options": {"protocol": "grpc"}}']
)
def test_what_is_no_case_is_refused(tmp_path, content):
    file = tmp_path / "case.json"
    file.write_text(content)
    with pytest.raises(CommandError):
        run(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CommandError):
        run(tmp_path / "missing.json")


def test_check_needs_files():
    with pytest.raises(CommandError):
        run("--check")
