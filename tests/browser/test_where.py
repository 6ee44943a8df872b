"""'Where would it go?' for every kind of name that a client asks for."""

import pytest
from playwright.async_api import expect

SECRET = "a-key-of-the-narrow-one"


@pytest.fixture(scope="module")
def mapped(console):
    def mapping(position, pattern, model, **fields):
        targets = [{"provider": "fake", "upstream_model": model}]
        return {"pattern": pattern, "position": position, "targets": targets, **fields}

    console.configure(
        {"NARROW": SECRET},
        providers=[console.provider_section()],
        mappings=[
            mapping(1, "claude-sonnet-5", "up-sonnet"),
            mapping(2, "*haiku*", "up-haiku"),
            mapping(3, "claude-*", "up-any"),
        ],
        keys=[{"name": "Narrow", "allowed_models": ["claude-sonnet-*"], "key": {"env": "NARROW"}}],
    )
    return console


async def ask(page, model, key=None):
    await page.goto("/admin/gateway/modelmapping/")
    await page.get_by_label("Where would it go?").fill(model)
    if key:
        option = page.get_by_label("asked with").get_by_role("option").filter(has_text=key)
        await page.get_by_label("asked with").select_option(await option.get_attribute("value"))
    await page.get_by_role("button", name="Show").click()
    await page.wait_for_url("**/where/**")


@pytest.mark.parametrize(
    ("asked", "model", "pattern"),
    [
        ("claude-sonnet-5", "up-sonnet", "claude-sonnet-5"),
        ("claude-sonnet-5[1m]", "up-sonnet", "claude-sonnet-5"),
        ("claude-sonnet-5-20260115", "up-sonnet", "claude-sonnet-5"),
        ("claude-haiku-4-5-20251001", "up-haiku", "*haiku*"),
        ("haiku", "up-haiku", "*haiku*"),
        ("claude-opus-5-5", "up-any", "claude-*"),
    ],
)
async def test_a_name_shows_where_it_goes_and_by_which_mapping(mapped, visit, asked, model, pattern):
    page = (await visit()).page
    await ask(page, asked)
    await expect(page.get_by_text(f"{asked} goes to {model} at Fake")).to_be_visible()
    won = page.get_by_role("table", name="Mappings that match").get_by_role("row").filter(has_text="yes")
    await expect(won).to_have_count(1)
    await expect(won.get_by_role("link", name=pattern, exact=True)).to_be_visible()


async def test_the_losers_are_told_with_the_reason(mapped, visit):
    page = (await visit()).page
    await ask(page, "claude-sonnet-5")
    losers = page.get_by_role("table", name="Mappings that match").get_by_role("row").filter(has_text="no")
    await expect(losers.filter(has_text="claude-*")).to_contain_text("exact")


async def test_a_client_key_that_may_not_ask_for_the_name_is_told(mapped, visit):
    page = (await visit()).page
    await ask(page, "claude-haiku-4-5", key="Narrow")
    await expect(page.get_by_role("alert")).to_contain_text("Narrow")
    await ask(page, "claude-sonnet-5[1m]", key="Narrow")
    await expect(page.get_by_text("goes to up-sonnet at Fake")).to_be_visible()
    assert SECRET not in await page.content()


async def test_a_name_that_nothing_matches_says_what_to_do(mapped, visit):
    page = (await visit()).page
    await ask(page, "gpt-4o")
    await expect(page.get_by_role("alert")).to_contain_text("No enabled mapping matches")
