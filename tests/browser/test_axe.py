"""axe-core finds nothing on any page, wide and narrow, light and dark."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.async_playwright import Axe
from django.contrib import admin
from django.urls import reverse
from playwright.async_api import Page, expect

from tests.browser.conftest import MEMBER
from tests.browser.pages import MORE, PAGES

WIDTHS = (1440, 390)
# the width changes no colour, and the theme nothing else
COLOURS = "color-contrast"
WIDE, NARROW, DARK = {}, {"rules": {COLOURS: {"enabled": False}}}, {"runOnly": [COLOURS]}
ADDRESSES = {**PAGES, **MORE}
GROUPS = 6
_FOUND = """async (options) => (await axe.run({ resultTypes: ["violations"], ...options })).violations
  .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))"""


async def violations(page: Page, options=WIDE) -> list[str]:
    """What axe finds on the open page: "rule: element", a line each."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(Axe().axe_script)
    return await page.evaluate(_FOUND, options)


async def seen_on(page: Page, address: str) -> dict[str, list[str]]:
    """What axe finds, by width and theme."""
    wide, narrow = ({"width": width, "height": 900} for width in WIDTHS)
    await page.set_viewport_size(wide)
    await page.goto(address)
    await expect(page.get_by_role("heading", level=1).first).to_be_visible()
    found = {"wide": await violations(page)}
    await page.set_viewport_size(narrow)
    found["narrow"] = await violations(page, NARROW)
    # what the menu of themes sets
    await page.evaluate("document.documentElement.classList.add('dark')")
    found["narrow, dark"] = await violations(page, DARK)
    return {where: faults for where, faults in found.items() if faults}


@pytest.mark.parametrize("group", range(GROUPS))
async def test_axe_finds_nothing(furnished, visit, group):
    page = (await visit(reduced_motion="reduce")).page
    found = {}
    for name in list(ADDRESSES)[group::GROUPS]:
        if faults := await seen_on(page, ADDRESSES[name].format(**furnished.records)):
            found[name] = faults
    assert found == {}, json.dumps(found, indent=1)


async def test_axe_finds_nothing_before_the_login_and_at_a_member(console, visit, browser):
    member = (await visit(MEMBER, reduced_motion="reduce")).page
    stranger = await browser.new_context(base_url=console.url, reduced_motion="reduce")
    before = await seen_on(await stranger.new_page(), "/admin/login/")
    await stranger.close()
    found = {"before": before, "member": await seen_on(member, "/admin/")}
    assert found == {"before": {}, "member": {}}, json.dumps(found, indent=1)


async def test_axe_finds_a_picture_without_words_and_faint_letters(furnished, visit):
    """The check can fail."""
    page = (await visit()).page
    await page.goto("/admin/")
    await page.evaluate("document.querySelector('main').append(new Image())")
    await page.evaluate("document.querySelector('h1').style.color = '#bbb'")
    rules = {line.partition(":")[0] for line in await violations(page)}
    assert rules >= {"image-alt", "color-contrast"}


def test_the_list_of_every_kind_of_record_is_looked_at():
    lists = {reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
             for model in admin.site._registry}  # fmt: skip
    looked_at = {address.partition("?")[0] for address in ADDRESSES.values()}
    # one record only: its list leads to it
    single = {"/admin/gateway/retention/", "/admin/gateway/emergencystop/"}
    assert lists - looked_at - single == set()
