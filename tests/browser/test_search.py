"""A search of the requests, and what it found on the page that opens."""

from playwright.async_api import expect

from tests.browser.asking import ask, recorded
from tests.conftest import asking

HITS = """() => [...(CSS.highlights.get("gw-hit") ?? [])].map((range) => range.toString().toLowerCase())"""


async def test_what_was_searched_for_is_marked_on_the_page_that_opens(console, visit, furnished):
    said = [{"role": "user", "content": "Why does the Retry Loop never end? The retry loop is quick."}]
    await ask(console, asking(model="claude-search", stream=True, messages=said), furnished.key)
    await recorded(console, 2)
    page = (await visit()).page
    # the index follows the answer
    row = page.get_by_role("row").filter(has_text="claude-search")
    for _ in range(60):
        await page.goto('/admin/gateway/requestlog/?q=model%3Aclaude-search+"retry+loop"')
        if await row.count():
            break
        await page.wait_for_timeout(500)
    around = page.locator("tr.gw-excerpt")
    await expect(around).to_contain_text("… Why does the Retry Loop never end? The retry loop is quick.")
    await expect(around.locator("mark")).to_have_text("Retry Loop")
    await row.get_by_role("link").first.click()
    bar = page.locator("[data-hits]")
    await expect(bar).to_contain_text("2")
    assert await page.evaluate(HITS) == ["retry loop", "retry loop"]
    await bar.get_by_role("button").click()
    place = page.get_by_text("Why does the Retry Loop never end?")
    await expect(place).to_be_in_viewport()

    # words that name no conversation mark nothing
    await page.goto("/admin/gateway/requestlog/?q=model%3Aclaude-search")
    await row.get_by_role("link").first.click()
    await expect(page.get_by_role("navigation", name="What is kept of the request")).to_be_visible()
    await expect(bar).to_have_count(0)
