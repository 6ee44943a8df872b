"""Provider health in cells: a level, a mark and words for each."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.admin.providers.provider_tracker import trackers
from gateway.history.totals.dashboard import ExchangeSums, Point, ProviderPoints

START = datetime(2026, 5, 1, tzinfo=UTC)


def points(*cells):
    made = []
    for number, (requests, failed) in enumerate(cells):
        numbers = ExchangeSums()
        numbers.sums[0], numbers.failed = requests, failed
        made.append(Point(START + timedelta(hours=number), numbers))
    return made


def tracked(*cells):
    [tracker] = trackers([ProviderPoints("p", points(*cells))], lambda point: f"{point.at:%H:%M}")
    return tracker


@pytest.mark.parametrize(
    ("requests", "failed", "level", "mark"),
    [(0, 0, "none", ""), (5, 0, "good", "✓"), (6, 1, "some", "!"), (5, 1, "bad", "✕"), (1, 1, "bad", "✕")],
)
def test_a_cell_has_a_level_and_a_mark(requests, failed, level, mark):
    cell = tracked((9, 0), (requests, failed)).cells[1]
    assert (cell.level, cell.mark) == (level, mark)


def test_a_cell_says_its_numbers():
    cells = tracked((0, 0), (8, 2)).cells
    assert cells[0].words == "00:00: no requests"
    assert cells[1].words == "01:00: 2 of 8 requests failed (25.0 %)"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([(5, 0), (0, 0)], "no failures"),
        ([(4, 2), (5, 0)], "at worst 50.0 % failed, at 00:00"),
        ([(5, 0), (4, 1), (0, 0)], "failing now: 25.0 % at 01:00"),
    ],
)
def test_a_provider_is_summed_up_by_its_worst_or_by_what_it_does_now(cells, words):
    assert tracked(*cells).words == words


def test_requests_that_reached_no_provider_are_nobodys():
    assert trackers([ProviderPoints("", points((1, 1)))], str) == []
