"""A hand that does a job in the console, and how many clicks docs/console.md says it takes."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import Locator, Page

DOCS = Path(__file__).parents[2] / "docs" / "console.md"
_ROW = re.compile(r"^\| (?P<job>[^|]+?) \| (?P<clicks>\d+) \| .+ \|$", re.MULTILINE)


def promised() -> dict[str, int]:
    """The clicks of each job, from the table under "Jobs"."""
    section = DOCS.read_text().split("\n## Jobs\n")[1].split("\n## ")[0]
    return {row["job"]: int(row["clicks"]) for row in _ROW.finditer(section)}


class Hand:
    """Clicks and chooses on `page`, and counts both; typing and Enter are free."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    async def click(self, what: Locator) -> None:
        await what.click()
        self.clicks += 1

    async def choose(self, what: Locator, label: str) -> None:
        """An entry of a native menu."""
        await what.select_option(label=label)
        self.clicks += 1

    async def search(self, words: str) -> None:
        """Type into the search of the list, and press Enter."""
        box = self.page.get_by_role("search").get_by_role("combobox")
        await box.fill(words)
        await box.press("Enter")

    def done(self, job: str) -> None:
        """The answer is on the screen: it took as many clicks as the table says."""
        assert self.clicks == promised()[job], job
