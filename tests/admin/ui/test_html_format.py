from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils.translation import override

from gateway.admin.ui import html_format

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "just now"),
        (-59, "just now"),
        (30, "in a moment"),
        (-60, "1 min ago"),
        (-3599, "59 min ago"),
        (-7200, "2 h ago"),
        (-86400, "1 day ago"),
        (5 * 86400 + 5, "in 5 days"),
    ],
)
def test_a_moment_is_shown_relative_to_now(seconds, text):
    html = html_format.ago(NOW + timedelta(seconds=seconds), NOW)
    assert f">{text}</time>" in html


def test_the_exact_moment_stands_on_hover():
    assert 'title="2026-05-01 12:00:00 UTC"' in html_format.ago(NOW, NOW)


def test_what_is_not_there_is_a_dash():
    nothing = [
        html_format.ago(None), html_format.number(None), html_format.milliseconds(None),
        html_format.size(None),
        html_format.dollars(None), html_format.status_badge(None), html_format.code(""),
    ]  # fmt: skip
    assert set(nothing) == {html_format.NOTHING}


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1234, "1.23 s"),
        (12_340, "12.3 s"),
        (150_000, "2.5 min"),
        (7_140_000, "119.0 min"),
        (54_000_000, "15.0 h"),
        (216_000_000, "2.5 days"),
    ],
)
def test_durations_are_shown_in_the_unit_that_reads_best(milliseconds, text):
    assert plain(html_format.milliseconds(milliseconds)) == text


@pytest.mark.parametrize(("octets", "text"), [(12, "12 B"), (2048, "2.0 KB"), (5 * 1024**2, "5.0 MB")])
def test_sizes_are_shown_in_powers_of_1024(octets, text):
    assert plain(html_format.size(octets)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(Decimal("12.5"), "$12.50"), (Decimal("0.0123"), "$0.0123"), (0, "$0.00")]
)
def test_small_amounts_have_more_places(value, text):
    assert plain(html_format.dollars(value)) == text


def test_large_numbers_have_separators():
    assert plain(html_format.number(1234567, "tokens")) == "1,234,567 tokens"


def test_names_from_outside_are_escaped():
    assert "<script>" not in html_format.badge("<script>", "bad", '"><script>') + html_format.code("<script>")


def plain(html):
    text = html
    while "<" in text:
        start, _, rest = text.partition("<")
        text = start + rest.partition(">")[2]
    return text


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_thousands_are_separated_in_every_language(language):
    with override(language):
        assert "1,234,567" in html_format.number(1234567)
        assert "2,190.50" in html_format.dollars(2190.5)
