"""The campaigns of `make chaos` would notice a loss."""

from chaos.asking import missing


class Asked:
    complete = ["there", "twice", "open", "nowhere"]


def test_an_answer_that_is_not_in_the_history_once_and_ended_is_told():
    states = {"there": ["ok"], "twice": ["ok", "ok"], "open": ["open"]}
    told = missing(Asked(), states)
    assert [problem.split()[0] for problem in told] == ["twice", "open", "nowhere"]
