"""Timelines laid out."""

from gateway.admin.ui.timeline_svg import MOST_ROWS, NARROWEST, WIDTH, Span, picture


def test_spans_are_drawn_to_scale_and_inside_the_picture():
    drawn = picture(
        [Span(0, 0, 500, "a", ""), Span(1, 500, 10_000, "b", ""), Span(1, 5_000, 0, "c", "")],
        ["x", "y"],
        1_000,
    )
    assert [(shape.x, shape.width) for shape in drawn.shapes] == [
        (0, WIDTH / 2), (WIDTH / 2, WIDTH / 2), (WIDTH - NARROWEST, NARROWEST)
    ]  # fmt: skip
    assert all(0 <= tick.x <= WIDTH for tick in drawn.ticks)
    assert 3 <= len(drawn.ticks) <= 10


def test_a_picture_of_no_length_and_one_of_too_many_rows_are_pictures():
    assert picture([Span(0, 0, 0, "a", "")], ["x"], 0).shapes
    many = picture([Span(row, 0, 1, "a", "") for row in range(1_000)], ["x"] * 1_000, 10)
    assert len(many.labels) == len(many.shapes) == MOST_ROWS


def test_what_is_drawn_is_escaped():
    hostile = '"><script>alert(1)</script>'
    drawn = picture([Span(0, 0, 5, hostile, hostile, hostile)], ["x"], 10).drawn
    assert "<script" not in drawn
    assert drawn.count("<rect") == drawn.count("</a>") == 1
