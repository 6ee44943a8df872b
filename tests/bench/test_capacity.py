"""The capacity table: computed from a run, put between its marks."""

import json

import pytest

from bench import capacity
from bench.capacity import BEGIN, END, Figures
from bench.collected import Collected


def test_an_answer_s_rate_is_half_a_core_by_its_cost():
    part = capacity.page(Figures(request=2.0, chunk=0.03, process=120.0, stream=25.6))
    assert "| 100 | 100 | 360,000 | 333 |" in part
    assert "| 1,000 | 16 | 56,250 | 333 |" in part
    assert "| 2 | 250 MB |" in part


def test_a_run_that_left_a_figure_out_is_refused():
    with pytest.raises(ValueError, match="no figure for"):
        capacity.figures(Collected())


def test_the_page_is_changed_between_its_marks_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    assert capacity.written(page.read_text(), "new\n") == f"before\n{BEGIN}new\n{END}after\n"
    with pytest.raises(ValueError, match="the page has no"):
        capacity.written("no marks", "new")


def test_the_operations_page_has_the_marks():
    text = capacity.PAGE.read_text()
    assert BEGIN in text
    assert END in text


def test_who_has_measured_nothing_is_told_what_to_run(tmp_path, capsys):
    assert capacity.main([], tmp_path / "none.json") == 1
    assert "make bench" in capsys.readouterr().err
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"visits": {}}))
    with pytest.raises(ValueError, match="no figure for"):
        capacity.main([], empty)
