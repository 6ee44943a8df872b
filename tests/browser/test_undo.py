"""A change of the configuration is found on the Changes page and undone there."""

from playwright.async_api import expect


async def test_a_change_is_shown_with_before_and_after_and_undone(console, visit):
    console.configure(providers=[console.provider_section(name="Before")])
    page = (await visit()).page
    await page.goto("/admin/gateway/provider/")
    await page.get_by_role("link", name="Before").click()
    await page.get_by_label("Name").first.fill("After")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("was changed successfully")).to_be_visible()

    await page.get_by_role("link", name="Changes").click()
    entry = page.get_by_role("row").filter(has_text="Before → After")
    await expect(entry).to_contain_text("ann")
    await entry.get_by_role("link").first.click()
    await expect(
        page.get_by_role("row").filter(has_text="Before").filter(has_text="After").last
    ).to_be_visible()
    await page.get_by_role("button", name="Undo this change").click()
    await page.wait_for_load_state()

    await page.get_by_role("link", name="Providers").click()
    await expect(page.get_by_role("link", name="Before")).to_be_visible()
    await expect(page.get_by_role("link", name="After")).to_have_count(0)
    # the undoing is a change of its own
    await page.get_by_role("link", name="Changes").click()
    await expect(page.get_by_role("row").filter(has_text="undid change")).to_be_visible()
