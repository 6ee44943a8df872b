"""Short forms of the campaigns of `make chaos`, and that they would notice a loss."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import run
from chaos.asking import missing
from chaos.engines import EngineMissing, Postgres, running
from tests.server.conftest import until


@pytest.fixture
def database(request):
    """None: SQLite. A server of its own, because campaigns stop it."""
    if request.param == "sqlite":
        yield None
        return
    try:
        postgres = Postgres(durable=True)
    except EngineMissing as problem:
        pytest.skip(f"NOT TESTED: {problem}")
    with running(postgres):
        yield postgres


# what one run asks may take a while on a busy machine, and a gateway that is stopped waits for its grace
@pytest.mark.server
@pytest.mark.once
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("database", "name", "options"),
    [
        ("sqlite", "kill", ["--rounds", "3"]),
        # every end goes through a file, which another process takes over
        ("sqlite", "kill", ["--rounds", "2", "--patience", "0"]),
        ("postgresql", "kill", ["--rounds", "3"]),
        ("postgresql", "outage", ["--seconds", "4"]),
    ],
    indirect=["database"],
)
async def test_nothing_that_was_answered_is_missing(database, name, options):
    given = run.parser().parse_args([name, "--processes", "2", *options])
    result = await run.campaign(name, database, given)
    assert result.problems == [], result.sentences


@pytest.mark.server
@pytest.mark.timeout(120)
def test_a_campaign_that_is_told_to_stop_leaves_nothing_behind():
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.run", "soak", "--database", "sqlite", "--processes", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as command:  # fmt: skip
        until(lambda: "serve" in " ".join(commands(command.pid)), 60)
        command.terminate()
        assert "what was started for it has ended" in command.stdout.read()
        assert command.wait(60) == run.STOPPED
    assert commands(command.pid) == []


def commands(session: int) -> list[str]:
    """The command lines of a session's processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (process / "stat").read_text().rpartition(")")[2].split()
            if int(stat[3]) == session and stat[0] != "Z":
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


class Asked:
    complete = ["there", "twice", "open", "nowhere"]


def test_an_answer_that_is_not_in_the_history_once_and_ended_is_told():
    states = {"there": ["ok"], "twice": ["ok", "ok"], "open": ["open"]}
    told = missing(Asked(), states)
    assert [problem.split()[0] for problem in told] == ["twice", "open", "nowhere"]
