"""What a session cost by kind of token, its dearest turns, and how its context grew."""

from datetime import timedelta
from decimal import Decimal

from gateway.admin.sessions.session_costs import (
    LISTED,
    MOST_TURNS,
    by_kind,
    context_chart,
    cost_chart,
    dearest,
)
from gateway.admin.sessions.session_page import SessionTurn
from gateway.pricing.price import Price, Rates
from tests.admin.history import START

PRICE = Price(Rates(Decimal(10), Decimal(50), cache_read=Decimal(1)), request=Decimal("0.001"))


def turn(number=0, cost=None, **values):
    columns = dict.fromkeys(SessionTurn._fields[:10], "")
    given = {"pk": number, "started_at": START + timedelta(minutes=number), "cost": cost, **values}
    return SessionTurn(**{**columns, **given})


def known(_provider, _model, _at, _tier):
    return PRICE


def test_the_stored_cost_is_divided_as_the_price_divides_it():
    turns = [turn(cost=Decimal(2), input_tokens=100_000, output_tokens=20_000, cache_read_tokens=999_000)]
    found = {kind.name: kind.cost for kind in by_kind(turns, known)}
    # 1 + 1 + 0.999 + 0.001 dollars at today's price; the stored cost is of another one
    assert sum(found.values()) == 2
    assert found["input"] == found["output"] == Decimal(2) / 3
    assert round(sum(kind.percent for kind in by_kind(turns, known))) == 100


def test_turns_without_a_cost_or_a_price_are_left_out():
    assert (
        by_kind([turn(input_tokens=5), turn(cost=Decimal(0)), turn(cost=Decimal(1))], lambda *_: None) == []
    )


def test_the_dearest_come_first_and_one_alone_is_not_listed():
    turns = [turn(number, Decimal(number)) for number in range(20)]
    assert [one.pk for one in dearest(turns)] == [19, 18, 17, 16, 15]
    assert len(dearest(turns)) == LISTED
    assert dearest([turn(1, Decimal(1)), turn(2)]) == []


def test_the_context_is_that_of_the_main_agent_the_newest_turns_of_a_long_session():
    main = [turn(number, input_tokens=10, cache_read_tokens=number) for number in range(MOST_TURNS + 7)]
    chart = context_chart([*main, turn(1, agent_id="a", input_tokens=9_999)])
    assert len(chart.columns) == MOST_TURNS
    assert chart.top == f"{MOST_TURNS + 16:,}"
    assert context_chart(main[:1]) is None


def test_costs_of_subagents_are_a_layer_of_their_own():
    chart = cost_chart([turn(1, Decimal(1)), turn(2, Decimal(3), agent_id="a")])
    assert [(layer.name, layer.total) for layer in chart.series] == [
        ("main agent", "$1.0000"),
        ("subagents", "$3.0000"),
    ]
    assert cost_chart([turn(1), turn(2)]) is None
