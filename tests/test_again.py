"""The second run, on PostgreSQL and Redis, leaves out nothing that belongs into it."""

from tests.again import HERE, LEFT_OUT, left_out, runs_again


def test_what_is_left_out_as_a_whole_has_nothing_that_runs_again(request):
    found = [item.nodeid for item in request.session.items if left_out(item.path) and runs_again(item)]
    assert found == []


def test_what_is_left_out_is_there():
    assert [name for name in LEFT_OUT if not (HERE / name).exists()] == []
