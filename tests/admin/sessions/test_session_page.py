"""Sessions laid out: who took part, what it cost, where the time went."""

from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.admin.sessions.session_page import (
    LONGEST_PAUSE,
    MOST_DRAWN,
    SessionSums,
    agents,
    session_picture,
    time_spent,
    tools,
)
from gateway.history.totals.sessions import sums
from gateway.models import RequestLog
from tests.admin.history import START, make_rows


def row(at=0, agent="", parent="", **facts):
    return RequestLog(
        **{
            "pk": at, "started_at": START + timedelta(seconds=at), "agent_id": agent,
            "parent_agent_id": parent, "state": "ok", "attempts": 1, **facts,
        }
    )  # fmt: skip


def tree(*rows):
    return [(agent.id, agent.depth) for agent in agents(rows)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(0), row(1, "a"), row(2, "b", "a"), row(3)], [("", 0), ("a", 1), ("b", 2)]),
        ([row(0), row(1, "a"), row(2, "b"), row(3, "c", "a")], [("", 0), ("a", 1), ("c", 2), ("b", 1)]),
        ([row(0), row(1, "a", "gone")], [("", 0), ("a", 1)]),
        ([row(0, "a"), row(1, "b", "a")], [("a", 0), ("b", 1)]),
        ([row(0, "a", "a")], [("a", 0)]),
        ([], []),
    ],
)
def test_agents_are_a_tree(rows, expected):
    assert tree(*rows) == expected


def test_a_circle_of_parents_leaves_nobody_out():
    assert {name for name, _ in tree(row(0), row(1, "a", "b"), row(2, "b", "a"))} == {"", "a", "b"}


def test_the_turns_of_an_agent_are_in_order():
    [main, sub] = agents([row(0), row(1, "a"), row(2)])
    assert [one.pk for one in main.turns] == [0, 2]
    assert (main.name, sub.name) == ("main agent", "subagent 1")


def test_numbers_are_sums_and_the_hit_rate_is_of_what_went_in(db):
    make_rows(
        1, input_tokens=100, cache_read_tokens=300, output_tokens=10, cost=Decimal("0.5"), attempts=3
    )  # fmt: skip
    RequestLog.objects.create(request_id="req_broken", state="broken", input_tokens=None)
    told = SessionSums.of(sums(RequestLog.objects.all()))
    assert (told.requests, told.failed, told.retries, told.input_tokens) == (2, 1, 2, 100)
    assert (told.cost, told.unpriced, told.cache_hits) == (Decimal("0.5"), 1, 75)
    unpriced = SessionSums.of(sums(RequestLog.objects.filter(state="broken")))
    assert (unpriced.cost, unpriced.cache_hits) == (None, None)


def test_turns_are_listed_with_their_number_among_those_of_their_agent():
    [main, sub] = agents([row(0), row(1, "a"), row(2), row(3)], {1: "one", 3: "three"})
    assert (main.listed, sub.listed) == ([(3, "three")], [(1, "one")])


def test_tools_are_counted_with_their_failures():
    found = tools([row(0, tools_called=["Bash", "Read", "Bash"]), row(1, tools_failed=["Bash"])])
    assert [(tool.name, tool.calls, tool.failures) for tool in found] == [("Bash", 2, 1), ("Read", 1, 0)]


def test_time_is_waiting_answering_and_elsewhere_and_what_overlaps_counts_once():
    spent = time_spent(
        [
            row(0, first_byte_ms=1_000, duration_ms=3_000),
            row(1, "a", first_byte_ms=500, duration_ms=2_000),
            row(10, first_byte_ms=None, duration_ms=1_000),
        ]
    )
    assert (spent.whole, spent.waiting, spent.answering, spent.elsewhere) == (11_000, 2_000, 2_000, 7_000)
    assert time_spent([]).whole == 0


def test_long_pauses_are_drawn_short():
    rows = [row(0, duration_ms=1_000, first_byte_ms=500), row(86_400, duration_ms=1_000)]
    drawn = session_picture(agents(rows), str)
    last = drawn.shapes[-1]
    assert last.x > drawn.width * 0.9
    assert drawn.ticks == []
    assert drawn.shapes[0].width == pytest.approx(drawn.width * 500 / (LONGEST_PAUSE + 2_000), rel=0.05)
    assert session_picture([], str).shapes == []


def test_of_a_very_long_session_the_newest_requests_are_drawn():
    turns = [row(0, "a"), *(row(number, duration_ms=10) for number in range(1, MOST_DRAWN + 1))]
    drawn = session_picture(agents(turns), "/{}/".format)
    assert len(drawn.shapes) == 2 * MOST_DRAWN
    assert (drawn.labels, drawn.shapes[0].link) == (["main agent"], "/1/")
