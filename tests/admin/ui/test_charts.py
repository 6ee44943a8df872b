"""A chart is a table: what the picture shows stands in the page as words."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin.ui import time_range
from gateway.admin.ui.charts import COLOURS, Chart, ChartColumn, Series, cells, span_query, stacked


def rendered(chart):
    return render_to_string("admin/gateway/chart.html", {"chart": chart})


def test_every_number_is_in_the_table_in_words_and_for_the_picture():
    columns = [ChartColumn("Mon", "/there"), ChartColumn("Tue")]
    chart = stacked("Cost", columns, [("a", [Decimal("1.5"), 0]), ("b", [2, 3])], lambda value: f"${value}")
    text = rendered(chart)
    assert (
        '<th scope="row"><a href="/there">Mon</a></th><td data-v="1.5">$1.5</td><td data-v="2">$2</td>'
        in text
    )
    assert '<th scope="row">Tue</th><td data-v="0">$0</td><td data-v="3">$3</td>' in text
    assert chart.top == "$3.5"
    assert [one.total for one in chart.series] == ["$1.5", "$5"]


def test_what_is_unknown_is_no_zero():
    text = rendered(Chart("Speed", [ChartColumn("now")], [Series("a", cells([None], str), "line")]))
    assert "<td>–</td>" in text


def test_names_from_outside_are_text():
    evil = '</td><script>alert("x")</script>'
    text = rendered(stacked(evil, [ChartColumn(evil, 'javascript:"')], [(evil, [1])], str))
    assert "alert(" not in text.replace("alert(&quot;x&quot;)", "")
    assert 'href="javascript:"' not in text


def test_more_layers_than_colours_begin_again():
    layers = [(str(number), [1]) for number in range(COLOURS + 1)]
    assert [one.colour for one in stacked("t", [ChartColumn("c")], layers, str).series][-1] == "0"


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    st.integers(1, 50_000),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_span_as_an_address_is_the_same_span(naive, minutes, offset):
    since = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    until = since + timedelta(minutes=minutes)
    found = time_range.time_range(span_query(since, until)["range"])
    assert (found.since, found.until) == (since.astimezone(UTC), until.astimezone(UTC))


def test_the_library_is_loaded_by_the_chart_alone():
    assert "unfold/js/chart/chart.js" in rendered(stacked("t", [ChartColumn("c")], [("a", [1])], str))
