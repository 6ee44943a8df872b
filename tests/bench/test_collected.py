"""Medians and ratios come from right answers and from a core that kept its speed."""

from __future__ import annotations

import os
import time

import pytest

from bench.collected import Collected, Measure, added, per_chunk, plain
from bench.goals import GOALS, PACED, SMALL, Goal
from bench.measure import cpu_seconds, reference_ms, rss_mb, settled_cpu, tree
from bench.table import tables


def visit(cpu_ms=1.0, *, wrong=0, speeds=(1.0, 1.0), **values):
    return {"cpu_ms": cpu_ms, "wrong": wrong, "problems": ["bad"] * wrong, "speeds": list(speeds), **values}


def collected(**visits) -> Collected:
    """`small__ours=[visit, visit]`"""
    run = Collected()
    for name, found in visits.items():
        workload, target = name.replace("_1", "-1").split("__")
        for repetition, one in enumerate(found):
            run.add(workload, target, repetition, one)
    return run


def test_ratios_are_taken_within_a_repetition():
    run = collected(small__ours=[visit(1), visit(6)], small__ccr=[visit(2), visit(3)])
    assert SMALL.ratios(run, "ours", "ccr").values == (0.5, 2.0)


def test_a_visit_with_wrong_answers_counts_nowhere_but_is_named():
    run = collected(small__ours=[visit(1, wrong=2), visit(4)], small__ccr=[visit(2), visit(2)])
    assert SMALL.spread(run, "ours").values == (4,)
    assert SMALL.ratios(run, "ours", "ccr").values == (2,)
    assert "small, ours: 2 WRONG ANSWERS, e.g. bad" in tables(run, ["ours", "ccr"])


def test_without_right_answers_there_is_no_figure():
    run = collected(small__ours=[visit(1, wrong=1)], small__ccr=[visit(2)])
    assert SMALL.spread(run, "ours") is None
    assert Goal(SMALL, 1, 1, "ccr").result(run) is None


def test_pairs_of_different_speed_are_left_out():
    slow = visit(9, speeds=(1.0, 1.3))
    run = collected(small__ours=[visit(1), slow], small__ccr=[visit(1), visit(1)])
    assert SMALL.ratios(run, "ours", "ccr").values == (1,)
    # nothing else is left: better than no figure, and the spread shows it
    run = collected(small__ours=[slow], small__ccr=[visit(1)])
    assert SMALL.ratios(run, "ours", "ccr").values == (9,)


def test_a_chunk_is_the_difference_by_299():
    run = collected(paced__ours=[visit(2.495)], stream_1__ours=[visit(1.0)])
    assert per_chunk("paced")(run, "ours", 0) == pytest.approx(5.0)
    assert per_chunk("paced")(run, "nginx", 0) is None


def test_added_time_is_above_the_bare_upstreams():
    run = collected(
        alone__ours=[visit(first_text_ms={"p50": 3.0})], alone__upstream=[visit(first_text_ms={"p50": 1.0})]
    )
    assert added("alone")(run, "ours", 0) == 2.0


def test_a_list_of_values_is_taken_by_its_median():
    run = collected(block__ours=[visit(block_ms=[1, 9, 2])])
    assert Measure("", "ms", "block", plain("block", "block_ms")).spread(run, "ours").median == 2


def test_marks():
    goal = Goal(PACED, 3.5, 2.2, "nginx")
    assert [goal.mark(value) for value in (2.0, 2.2, 3.0, 3.6)] == ["goal", "goal", "yes", "NO"]
    assert all(goal.goal <= goal.at_least for goal in GOALS)


def test_the_processor_time_of_this_process_and_its_children():
    before = cpu_seconds(os.getpid())
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    assert cpu_seconds(os.getpid()) >= before + 0.05
    assert os.getpid() in tree(os.getpid())
    assert rss_mb(os.getpid()) > 1
    assert settled_cpu(os.getpid(), limit=0.2) > before
    assert reference_ms() > 0
