"""The console without a mouse, in two languages, light and dark."""

import pytest
from playwright.async_api import expect

from tests.browser.asking import ask
from tests.browser.pages import PAGES
from tests.conftest import asking

# more than any page needs to its last control
MOST_STEPS = 150


# what is to be reached on a page, and how each looks without the focus: numbers of `data-walk`
CONTROLS = """() => {
  document.activeElement?.blur();
  const look = (one) => [one, one.parentElement].map((at) => {
    const style = getComputedStyle(at);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow, style.borderColor,
      style.backgroundColor].join();
  }).join("|");
  window.walk = { look, before: [] };
  const controls = [...document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [role=button], [tabindex]")].filter((one) =>
    one.tabIndex >= 0 && !one.disabled && one.type !== "hidden"
    && one.checkVisibility({ visibilityProperty: true })
    && one.getClientRects().length);
  return controls.map((one, at) => {
    one.dataset.walk = at;
    window.walk.before.push(look(one));
    // of a group of radio buttons the keys reach one, and the arrows the others
    return one.type === "radio" ? `radio ${one.name}` : one.outerHTML.slice(0, 150);
  });
}"""
# the control that has the focus, and whether that is to be seen
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || !one.dataset.walk) return null;
  const box = one.getBoundingClientRect();
  return {
    number: Number(one.dataset.walk),
    marked: window.walk.look(one) !== window.walk.before[one.dataset.walk],
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


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


async def test_search_filters_rows_and_tabs_are_reached_and_used_by_keys(console, visit, furnished):
    await ask(console, asking(model="claude-keys", stream=True), furnished.key)
    page = (await visit()).page
    await page.goto("/admin/")
    await step_to(page, page.get_by_role("link", name="Requests").first)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/requestlog/")

    await step_to(page, page.get_by_role("search").get_by_role("combobox"))
    await page.keyboard.type("claude-keys")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=claude-keys*")

    menu = page.locator("summary", has_text="stop reason")
    await step_to(page, menu)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="end_turn")).to_be_visible()

    await page.goto("/admin/gateway/requestlog/?q=claude-keys")
    row = page.get_by_role("row").filter(has_text="claude-keys")
    await step_to(page, row.get_by_role("link").first)
    await page.keyboard.press("Enter")
    tabs = page.get_by_role("navigation", name="What is kept of the request")
    await step_to(page, tabs.get_by_role("link", name="Ledger"))
    await page.keyboard.press("Enter")
    await expect(tabs.get_by_role("link", name="Ledger")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("name", PAGES)
async def test_every_control_of_a_page_is_reached_by_keys_and_shows_it(furnished, visit, name):
    page = (await visit(reduced_motion="reduce")).page
    await page.goto(PAGES[name].format(**furnished.records))
    await expect(page.get_by_role("heading", level=1).first).to_be_visible()
    wanted = await page.evaluate(CONTROLS)
    assert len(wanted) > 10
    reached, dark, last = set(), set(), None
    for _ in range(2 * len(wanted)):
        await page.keyboard.press("Tab")
        at = await page.evaluate(FOCUSED)
        if at is None:
            # behind the last control, or in something that opened meanwhile: the next step goes on
            continue
        if at["number"] == last:
            # the parts of a date
            continue
        if at["number"] in reached:
            break
        last = at["number"]
        reached.add(last)
        if not (at["marked"] and at["inside"]):
            dark.add(wanted[at["number"]])
    missed = {wanted[number] for number in range(len(wanted)) if number not in reached}
    missed -= {wanted[number] for number in reached}
    assert missed == set()
    assert dark == set()


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
