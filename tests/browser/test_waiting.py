"""A page that takes its time says at once that the click was taken."""

import asyncio

from playwright.async_api import expect


async def test_a_slow_page_shows_a_bar_until_it_is_there(furnished, visit):
    page = (await visit(reduced_motion="no-preference")).page
    await page.goto("/admin/")
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(route):
        arrived.set()
        await go_on.wait()
        await route.continue_()

    await page.route("**/gateway/sessiontotal/*", slowly)
    await page.get_by_role("link", name="Sessions").first.click(no_wait_after=True)
    await arrived.wait()
    # a locator would wait for the page that is on its way
    shown = "document.documentElement.hasAttribute('data-waiting')"
    await page.evaluate(
        f"new Promise(done => {{ const look = () => {shown} ? done() : setTimeout(look, 20); look() }})"
    )
    bar = "getComputedStyle(document.documentElement, '::before')"
    assert await page.evaluate(f"[{bar}.position, {bar}.height]") == ["fixed", "3px"]
    go_on.set()
    await page.wait_for_url("**/gateway/sessiontotal/**")
    await expect(page.get_by_role("heading", level=1).first).to_contain_text("Sessions")
    await expect(page.locator("html[data-waiting]")).to_have_count(0)
