"""Figures in README and docs are those that were measured: the tables of a run, or bench/measured.json.

An entry of that file names a figure, how it was measured, and the sentences that quote it, page by page.
"""

import json
import re
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot

ROOT = Path(__file__).parent.parent
MEASURED = json.loads((ROOT / "bench/measured.json").read_text())
# what the README promises of each page, in milliseconds
PROMISED = 300


def prose(page):
    """The text of a page without its line ends."""
    return " ".join((ROOT / page).read_text().split())


@pytest.mark.parametrize("entry", MEASURED, ids=[entry["figure"] for entry in MEASURED])
def test_a_figure_stands_in_each_sentence_that_quotes_it(entry):
    assert entry["how"] and entry["quoted"]
    for page, sentence in entry["quoted"].items():
        assert "{value}" in sentence
        assert sentence.format(value=entry["value"]) in prose(page), page


def admin_table():
    """Each row of the admin's table: the page, and its longest time on SQLite and PostgreSQL."""
    text = (ROOT / "docs/performance.md").read_text()
    for line in text[text.index("| Page | SQLite, wall |") :].splitlines()[2:]:
        if not line.startswith("|"):
            return
        page, sqlite, _, postgresql, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        yield page, *(float(times.replace(",", "").rpartition("-")[2]) for times in (sqlite, postgresql))


def test_the_admin_is_as_fast_as_the_readme_says():
    rows = list(admin_table())
    assert len(rows) > 30
    slower = [page for page, *times in rows if max(times) >= PROMISED]
    assert "but for one of the measured pairs of filters" in prose("README.md")
    assert "仅一种测过的筛选组合例外" in prose("README.zh-CN.md")
    assert len(slower) == 1 and slower[0].count("=") == 2, slower


def test_the_steps_of_a_first_start_come_to_their_sum():
    text = (ROOT / "docs/quickstart.md").read_text()
    table = text[text.index("| Step | Seconds |") :].partition("\n\n")[0]
    *steps, together = [float(found) for found in re.findall(r"\| ([\d.]+) \|$", table, re.MULTILINE)]
    assert round(sum(steps)) == together


def test_the_catalogue_has_the_models_that_the_page_of_prices_says():
    found = re.search(r"some ([\d,]+) models of (\d+) services", prose("docs/prices.md"))
    models, services = (int(number.replace(",", "")) for number in found.groups())
    providers = get_snapshot().providers
    # a newer release of the catalogue adds some
    assert sum(len(provider.models) for provider in providers) == pytest.approx(models, rel=0.1)
    assert len(providers) == pytest.approx(services, abs=4)
