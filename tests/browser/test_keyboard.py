"""The console without a mouse, in two languages, light and dark."""

import pytest
from playwright.async_api import expect

from tests.browser.asking import ask
from tests.conftest import asking
from tests.fakes.provider import stream

# more than any page needs to its last control
MOST_STEPS = 150


@pytest.fixture(scope="module", autouse=True)
def mapped(console):
    console.configure(
        providers=[console.provider_section()],
        mappings=[{"pattern": "*", "targets": [{"provider": "fake", "upstream_model": "up"}]}],
    )
    console.provider.answers("up", stream("Hello"))


async def step_to(page, control):
    """Press Tab until `control` has the focus, and see that the focus is shown."""
    await expect(control).to_be_visible()
    for _ in range(MOST_STEPS):
        await page.keyboard.press("Tab")
        if await control.evaluate("one => one === document.activeElement"):
            assert await control.evaluate("one => one.matches(':focus-visible')")
            # the frame is the control's own, or that of the box around it
            assert await control.evaluate(
                "one => [one, one.parentElement].some(at => getComputedStyle(at).outlineStyle !== 'none')"
                "|| getComputedStyle(one).boxShadow !== 'none'"
            ), "the focus is not to be seen"
            return
    pytest.fail(f"not reached by {MOST_STEPS} steps")


async def test_search_filters_rows_and_tabs_are_reached_and_used_by_keys(console, visit):
    await ask(console, asking(model="claude-keys", stream=True))
    page = (await visit()).page
    await page.goto("/admin/")
    await step_to(page, page.get_by_role("link", name="Requests").first)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/requestlog/")

    await step_to(page, page.get_by_role("search").get_by_role("textbox"))
    await page.keyboard.type("claude-keys")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=claude-keys*")

    await step_to(page, page.get_by_role("button", name="Filters"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="By kind")).to_be_visible()

    await page.goto("/admin/gateway/requestlog/?q=claude-keys")
    row = page.get_by_role("row").filter(has_text="claude-keys")
    await step_to(page, row.get_by_role("link").first)
    await page.keyboard.press("Enter")
    tabs = page.get_by_role("navigation", name="What is kept of the request")
    await step_to(page, tabs.get_by_role("link", name="Ledger"))
    await page.keyboard.press("Enter")
    await expect(tabs.get_by_role("link", name="Ledger")).to_have_attribute("aria-current", "page")


async def test_language_and_dark_mode_are_chosen_by_keys_and_kept(visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/provider/")
    body = page.locator("body")
    colour = "one => getComputedStyle(one).backgroundColor"
    light = await body.evaluate(colour)
    menu = page.get_by_role("button", name="ann")
    await step_to(page, menu)
    await page.keyboard.press("Enter")
    await step_to(page, page.get_by_role("button", name="Dark"))
    await page.keyboard.press("Enter")
    await expect(body).not_to_have_css("background-color", light)
    dark = await body.evaluate(colour)

    await page.get_by_role("button", name="简体中文").press("Enter")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    await expect(body).to_have_css("background-color", dark)
    await menu.press("Enter")
    await page.get_by_role("button", name="English").press("Enter")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
