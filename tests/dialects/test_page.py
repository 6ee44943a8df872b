"""docs/providers.md says what the presets are and what the runs show."""

from __future__ import annotations

from tests.dialects.page import PAGE, SECTIONS, TABLE, between, sections, table
from tests.dialects.runs import all_shown


def test_the_sections_are_those_of_the_presets():
    assert between(PAGE.read_text(), SECTIONS) == sections()


async def test_the_table_is_what_the_runs_show(bench):
    assert between(PAGE.read_text(), TABLE) == table(await all_shown(bench))
