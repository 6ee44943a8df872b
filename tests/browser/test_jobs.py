"""Jobs of an admin, done as a person does them, with the number of clicks that docs/console.md gives.

A click is a click of the mouse or a choice in a field; typing and the first page are free.
"""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.asking import ask, recorded
from tests.conftest import asking
from tests.fakes.provider import Answer, stream

pytestmark = pytest.mark.job
TABLE = Path(__file__).parent.parent.parent / "docs" / "console.md"


class Clicks:
    """Counts what a person clicks, and holds it to the table."""

    def __init__(self, page):
        self.page, self.number = page, 0

    async def on(self, locator):
        self.number += 1
        await locator.first.click()

    def are(self, job):
        [line] = [line for line in TABLE.read_text().splitlines() if line.startswith(f"| {job} |")]
        assert self.number == int(line.split("|")[2])


@pytest.fixture
async def failing(furnished, console):
    """Two requests of the key that fail, and one that goes well."""
    console.provider.answers("up", Answer(400, {}, b'{"error": {"message": "no such deployment"}}'))
    for _ in range(2):
        await ask(console, asking(model="claude-walked"), furnished.key)
    console.provider.answers("up", stream("Hello"))
    await recorded(console, 3)
    return furnished


async def test_why_did_a_request_fail(failing, visit):
    page = (await visit()).page
    await page.goto("/admin/")
    clicks = Clicks(page)
    await clicks.on(page.get_by_role("link", name="Requests", exact=True))
    await clicks.on(page.locator("summary", has_text="end"))
    await clicks.on(page.get_by_role("link", name="any failure"))
    await expect(page.locator("#result_list .gw-why").first).to_contain_text("no such deployment")
    assert await page.locator("#result_list tbody tr").count() == 2
    await expect(page.locator(".gw-chip")).to_have_count(1)
    clicks.are("Why did a request fail")


async def test_the_requests_of_a_person_are_found_by_typing(failing, visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/requestlog/")
    box = page.locator("#searchbar")
    await box.fill("sta")
    # the completion offers names, then values
    await box.press("ArrowDown")
    await box.press("ArrowDown")
    await box.press("Enter")
    await box.press_sequentially("fail")
    await box.press("ArrowDown")
    await box.press("Enter")
    assert (await box.input_value()).strip() == "state:failed"
    await box.fill("key:walked state:failed")
    await box.press("Enter")
    await page.wait_for_url("**q=key*")
    assert await page.locator("#result_list tbody tr").count() == 2


async def test_what_did_the_month_cost_by_person(failing, visit):
    watched = await visit(accept_downloads=True)
    page = watched.page
    await page.goto("/admin/")
    clicks = Clicks(page)
    await clicks.on(page.get_by_role("link", name="Costs", exact=True))
    await expect(page.get_by_role("columnheader", name="Owner")).to_be_visible()
    async with page.expect_download() as download:
        await clicks.on(page.get_by_role("link", name="Export CSV"))
    assert (await download.value).suggested_filename.startswith("costs-by-owner-")
    clicks.are("What did this month cost, by person, as a file")


async def test_a_range_goes_along(failing, visit):
    page = (await visit()).page
    await page.goto("/admin/?range=yesterday")
    await page.get_by_role("link", name="Costs", exact=True).click()
    await expect(page.locator(".gw-ranges [aria-current]").first).to_have_text("yesterday")
    await page.get_by_role("link", name="Requests", exact=True).click()
    await expect(page.locator(".gw-chip")).to_contain_text("yesterday")


async def test_a_view_is_saved_and_found_again(failing, visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/requestlog/?state=failed")
    await page.locator("summary", has_text="Views").click()
    await page.get_by_label("Name of the view").fill("What failed")
    await page.get_by_role("button", name="Save this view").click()
    await page.goto("/admin/gateway/requestlog/")
    await page.locator("summary", has_text="Views").click()
    await page.get_by_role("link", name="What failed").click()
    await page.wait_for_url("**state=failed")
