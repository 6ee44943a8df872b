"""Short forms of the campaigns of `make chaos`, and that they would notice a loss."""

import pytest

from chaos import run
from chaos.asking import missing
from chaos.engines import EngineMissing, Postgres, running


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


class Asked:
    complete = ["there", "twice", "open", "nowhere"]


def test_an_answer_that_is_not_in_the_history_once_and_ended_is_told():
    states = {"there": ["ok"], "twice": ["ok", "ok"], "open": ["open"]}
    told = missing(Asked(), states)
    assert [problem.split()[0] for problem in told] == ["twice", "open", "nowhere"]
