"""A switch to another target at a time, a tenth first: done, watched, rolled back and undone."""

from datetime import datetime, timedelta

import pytest
from playwright.async_api import expect


@pytest.fixture(scope="module")
def mapped(console):
    targets = [
        {"provider": "fake", "upstream_model": "sonnet-a"},
        {"provider": "fake", "upstream_model": "sonnet-b"},
    ]
    console.configure(
        providers=[console.provider_section()],
        mappings=[{"pattern": "claude-sonnet-*", "targets": targets}],
    )
    return console


@pytest.mark.job
@pytest.mark.parametrize("width", [1440, 390])
async def test_a_switch_at_six_in_the_evening_a_tenth_first(mapped, visit, width):
    page = (await visit(viewport={"width": width, "height": 900})).page
    await page.goto("/admin/gateway/modelmapping/")
    await page.get_by_role("link", name="claude-sonnet-*", exact=True).click()
    await page.get_by_role("link", name="Shares, switch and ramp").click()
    await page.get_by_role("link", name="A tenth first").click()
    await page.get_by_label("New target").select_option(label="sonnet-b @ Fake")
    tomorrow = datetime.now() + timedelta(days=1)
    await page.get_by_label("Starts at").fill(f"{tomorrow:%Y-%m-%d}T18:00")
    await expect(page.get_by_label("Share of step 1, in percent")).to_have_value("10")
    await page.get_by_role("button", name="Begin").click()
    await expect(page.get_by_text(f"It starts at {tomorrow:%Y-%m-%d} 18:00")).to_be_visible()
    now = page.get_by_role("table", name="Who gets the sessions now")
    await expect(now.get_by_role("row").filter(has_text="sonnet-a")).to_contain_text("100 %")

    await page.get_by_role("button", name="Start now").click()
    await expect(now.get_by_role("row").filter(has_text="sonnet-b")).to_contain_text("10 %")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("status").filter(has_text="paused")).to_be_visible()
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("button", name="Next step now")).to_be_visible()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) <= 0
    await page.get_by_role("button", name="Roll back now").click()
    await expect(now.get_by_role("row").filter(has_text="sonnet-b")).to_contain_text("stands in only")
    await expect(page.get_by_role("table", name="Earlier ramps")).to_contain_text("rolled back")

    await page.goto("/admin/admin/logentry/")
    await expect(page.get_by_role("row").filter(has_text="claude-sonnet-*").first).to_contain_text("ann")
