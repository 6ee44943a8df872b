"""Charts by mouse and by keyboard: what a column holds is said, and leads to its requests."""

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.asking import ask, recorded
from tests.conftest import asking

# the opaque colours of a canvas
COLOURS = """one => {
  const copy = Object.assign(document.createElement("canvas"), { width: one.width, height: one.height });
  const brush = copy.getContext("2d", { willReadFrequently: true });
  brush.drawImage(one, 0, 0);
  const { data } = brush.getImageData(0, 0, one.width, one.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
  }
  return [...colours];
}"""


def figure(page, title):
    return page.get_by_role("figure").filter(has_text=title).first


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asked(console, furnished):
    """Three requests beside the one that is there."""
    for _ in range(3):
        await ask(console, asking(model="claude-charts", stream=True), furnished.key)
    await recorded(console, 4)


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit, asked):
    page = (await visit()).page
    await page.goto("/admin/?range=24h")
    return page


async def test_keys_go_along_a_chart_and_open_the_requests_behind_it(page):
    chart = figure(page, "Requests")
    canvas = chart.locator("canvas")
    await canvas.focus()
    await page.keyboard.press("End")
    said = chart.locator("[aria-live]")
    await expect(said).to_contain_text("not failed: ")
    last = await said.text_content()
    await page.keyboard.press("ArrowLeft")
    await expect(said).not_to_have_text(last)
    await page.keyboard.press("ArrowRight")
    await expect(said).to_have_text(last)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/requestlog/?range=*")
    await expect(page.get_by_role("row").filter(has_text="claude-charts")).to_have_count(3)


async def test_a_click_into_a_span_lists_its_requests(page):
    canvas = figure(page, "Requests").locator("canvas")
    box = await canvas.bounding_box()
    # the present hour is the last bar
    last = await canvas.evaluate("one => Chart.getChart(one).getDatasetMeta(0).data.at(-1).x")
    await page.mouse.click(box["x"] + last, box["y"] + box["height"] / 2)
    await page.wait_for_url("**/requestlog/?range=*")
    await expect(page.get_by_role("row").filter(has_text="claude-charts")).to_have_count(3)


async def test_the_table_beside_a_chart_says_the_same_without_it(page):
    chart = figure(page, "Requests")
    await chart.get_by_text("As a table").click()
    rows = chart.get_by_role("row")
    await expect(rows.last.get_by_role("cell").first).to_have_text("4")
    await rows.last.get_by_role("link").click()
    await expect(page.get_by_role("row").filter(has_text="claude-charts")).to_have_count(3)


async def test_colours_follow_light_and_dark(page):
    canvas = figure(page, "Requests").locator("canvas")
    light = await canvas.evaluate(COLOURS)
    await page.evaluate("document.documentElement.classList.add('dark')")
    dark = await canvas.evaluate(COLOURS)
    assert light and dark and not set(light) & set(dark)


async def test_the_span_before_is_drawn_beside_this_one(page):
    await page.get_by_role("link", name="Compare with the span before").click()
    await expect(figure(page, "Requests").get_by_text("span before").first).to_be_visible()
    await expect(page.get_by_role("link", name="Without the span before")).to_be_visible()


async def test_a_page_without_a_chart_loads_no_library(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/admin/gateway/requestlog/")
    await page.goto("/admin/gateway/provider/")
    assert [url for url in asked if "chart" in url] == []
