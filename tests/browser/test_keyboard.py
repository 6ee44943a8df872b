"""The console without a mouse, in two languages, light and dark."""

import pytest
from playwright.async_api import expect

# more than any page needs to its last control
MOST_STEPS = 150


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
