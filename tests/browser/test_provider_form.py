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
    await page.get_by_label("Preset").select_option(label="vLLM")
    protocol = page.get_by_label("Protocol")
    for value in await protocol.locator("option").evaluate_all("all => all.map((one) => one.value)"):
        await protocol.select_option(value=value)
        await expect(protocol).to_have_value(value)
    await expect(page.get_by_label("Name")).to_have_value("vLLM")


async def test_a_preset_renames_nothing_that_was_saved(saved, visit):
    page = (await visit()).page
    await page.goto(f"{saved}change/")
    await page.get_by_label("Protocol").select_option(index=2)
    await expect(page.get_by_label("Name")).to_have_value("OpenAI")
    await page.get_by_label("Preset").select_option(label="vLLM")
    await expect(page.get_by_label("Name")).to_have_value("OpenAI")


async def test_a_preset_follows_another_while_nobody_typed(visit):
    page = (await visit()).page
    await page.goto("/admin/gateway/provider/add/")
    await page.get_by_label("Preset").select_option(label="vLLM")
    await page.get_by_label("Preset").select_option(label="DeepSeek")
    await expect(page.get_by_label("Name")).to_have_value("DeepSeek")
    await page.get_by_label("Name").fill("Ours")
    await page.get_by_label("Preset").select_option(label="vLLM")
    await expect(page.get_by_label("Name")).to_have_value("Ours")
