"""docs/providers.md says what the presets are and what the runs show."""

from __future__ import annotations

import pytest

from tests.dialects.page import PAGE, SECTIONS, TABLE, between, sections, table
from tests.dialects.runs import (
    first_models,
    responses_only,
    run_chat,
    run_responses,
    shown_in_chat,
    shown_in_responses,
)


def test_the_sections_are_those_of_the_presets():
    assert between(PAGE.read_text(), SECTIONS) == sections()


async def test_the_table_is_what_the_runs_show(bench):
    results = {
        slug: shown_in_chat(*await run_chat(bench, slug, model, stream=True))
        for slug, model in first_models().items()
    }
    for slug in responses_only():
        results[slug] = shown_in_responses(*await run_responses(bench, slug, stream=True))
    assert between(PAGE.read_text(), TABLE) == table(results)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("slug", responses_only())
async def test_five_turns_pass_a_strict_responses_server(bench, slug, stream):
    _, seen = await run_responses(bench, slug, stream=stream)
    assert len(seen[0].of("tool_use")) == 2
    assert seen[-1].stop_reason == "end_turn"
