"""A page that takes its time says at once that the click was taken."""

import asyncio

from playwright.async_api import expect

# the page that is left tells what its bar looks like as soon as it is shown
TELL = """new MutationObserver(() => {
  const bar = getComputedStyle(document.documentElement, "::before");
  fetch(`/bar?${bar.position},${bar.height}`).catch(() => {});
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-waiting"] })"""


async def test_a_slow_page_shows_a_bar_until_it_is_there(furnished, visit):
    page = (await visit(reduced_motion="no-preference")).page
    await page.goto("/admin/")
    told = asyncio.get_running_loop().create_future()

    async def told_of_the_bar(route):
        if not told.done():
            told.set_result(route.request.url)
        await route.fulfill(status=204)

    async def slowly(route):
        await told
        await route.continue_()

    await page.route("**/bar?*", told_of_the_bar)
    await page.route("**/gateway/sessiontotal/*", slowly)
    await page.evaluate(TELL)
    await page.get_by_role("link", name="Sessions").first.click()
    await page.wait_for_url("**/gateway/sessiontotal/**")
    assert (await told).endswith("?fixed,3px")
    await expect(page.get_by_role("heading", level=1).first).to_contain_text("Sessions")
    await expect(page.locator("html[data-waiting]")).to_have_count(0)
