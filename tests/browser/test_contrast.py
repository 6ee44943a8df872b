"""What is written on the pages of ours can be read, light and dark.

The rule is WCAG 2's AA: 4.5 to 1, and 3 to 1 for large letters.
"""

import pytest
from playwright.async_api import expect

from tests.browser.pages import PAGES

# texts whose letters differ too little from what is behind them: {element: "ratio text"}
FAINT = """() => {
  const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const parts = (colour) => {
    brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, under) => [0, 1, 2].map((at) => top[at] * top[3] + under[at] * (1 - top[3])).concat([1]);
  const light = (colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const colour = parts(style.backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const faint = {};
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), one = texts.currentNode.parentElement;
    const box = one.getBoundingClientRect();
    if (!text || box.width < 2 || box.height < 2 || one.matches("script, style, option")) continue;
    if (!one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (one.closest(".material-symbols-outlined, [disabled]")) continue;
    const ground = behind(one);
    if (!ground) continue;
    const style = getComputedStyle(one);
    const [low, high] = [light(over(parts(style.color), ground)), light(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      faint[`${one.tagName}.${one.className}`.slice(0, 80)] = `${ratio.toFixed(2)} ${text.slice(0, 40)}`;
    }
  }
  return faint;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_letters_stand_out_from_what_is_behind_them(furnished, visit, theme):
    page = (await visit(color_scheme=theme, reduced_motion="reduce")).page
    found = {}
    for name, address in PAGES.items():
        await page.goto(address.format(**furnished.records))
        await expect(page.get_by_role("heading", level=1).first).to_be_visible()
        faint = await page.evaluate(FAINT)
        if faint:
            found[name] = faint
    assert found == {}


async def test_faint_letters_are_found(furnished, visit):
    """The check can fail."""
    page = (await visit()).page
    await page.goto("/admin/")
    await page.evaluate("document.querySelector('h1').style.color = '#bbb'")
    assert list((await page.evaluate(FAINT)).values()) != []
