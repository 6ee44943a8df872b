"""The form of a provider: what its script fills in, and what it leaves alone."""

import pytest
from playwright.async_api import expect


@pytest.fixture
def saved(console):
    """A saved provider whose name is that of a preset it does not use."""
    console.configure(providers=[console.provider_section("openai", "OpenAI", preset="deepseek")])
    [row] = console.served.rows("SELECT max(id) AS id FROM gateway_provider")
    return f"/admin/gateway/provider/{row['id']}/"


async def test_a_protocol_that_the_preset_has_no_endpoint_for_stays(visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/provider/add/")
    await page.locator("[name=preset]").select_option(label="vLLM")
    protocol = page.locator("[name=protocol]")
    for value in await protocol.locator("option").evaluate_all("all => all.map((one) => one.value)"):
        await protocol.select_option(value=value)
        await expect(protocol).to_have_value(value)
    await expect(page.locator("[name=name]")).to_have_value("vLLM")


async def test_a_preset_renames_nothing_that_was_saved(saved, visit):
    page = (await visit()).page
    await page.goto(f"{saved}change/")
    await page.locator("[name=protocol]").select_option(index=2)
    await expect(page.locator("[name=name]")).to_have_value("OpenAI")
    await page.locator("[name=preset]").select_option(label="vLLM")
    await expect(page.locator("[name=name]")).to_have_value("OpenAI")


async def test_a_preset_follows_another_while_nobody_typed(visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/provider/add/")
    await page.locator("[name=preset]").select_option(label="vLLM")
    await page.locator("[name=preset]").select_option(label="DeepSeek")
    await expect(page.locator("[name=name]")).to_have_value("DeepSeek")
    await page.locator("[name=name]").fill("Ours")
    await page.locator("[name=preset]").select_option(label="vLLM")
    await expect(page.locator("[name=name]")).to_have_value("Ours")
