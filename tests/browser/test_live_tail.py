"""The live tail while a real stream passes: it appears, moves, and settles."""

import asyncio
import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.asking import ask
from tests.conftest import asking
from tests.fakes.provider import stream


@pytest.fixture(scope="module", autouse=True)
def mapped(console):
    console.configure(
        providers=[console.provider_section()],
        mappings=[{"pattern": "*", "targets": [{"provider": "fake"}]}],
    )


@pytest_asyncio.fixture(loop_scope="session")
async def live(visit):
    seen = await visit()
    await seen.page.goto("/admin/")
    await seen.page.get_by_role("link", name="Live").click()
    await expect(seen.page.get_by_role("status").filter(has_text="connected")).to_have_text("connected")
    return seen


def row(page, model):
    return page.get_by_role("row").filter(has_text=model)


async def test_a_stream_appears_moves_and_settles_and_leads_to_its_page(console, live):
    page = live.page
    more, end = asyncio.Event(), asyncio.Event()
    console.provider.answers("slow-model", stream("Once ", "upon ", more, "a time " * 200, end, "the end."))
    running = asyncio.ensure_future(ask(console, asking(model="slow-model", stream=True)))
    try:
        line = row(page, "slow-model")
        await expect(line).to_contain_text("open")
        await expect(line).to_contain_text("≈ ")
        more.set()
        # 1,400 characters came since
        await expect(line).to_contain_text(re.compile(r"≈ \d{3}"))
    finally:
        more.set()
        end.set()
    await running
    await expect(line).to_contain_text("200")
    await expect(line).to_contain_text("end_turn")
    await expect(line).to_contain_text("20 + 7")
    await line.get_by_role("link").click()
    await expect(page.get_by_role("row").filter(has_text="slow-model")).to_have_count(1)
    await page.get_by_role("row").filter(has_text="slow-model").get_by_role("link").first.click()
    await expect(page.get_by_text("the end.")).to_be_visible()


async def test_paused_it_holds_back_and_counts_what_comes(console, live):
    page = live.page
    console.provider.answers("held-model", stream("Hello"))
    await page.get_by_role("button", name="Pause").click()
    await ask(console, asking(model="held-model", stream=True))
    await expect(page.get_by_text("+1")).to_be_visible()
    await expect(row(page, "held-model")).to_have_count(0)
    await page.get_by_role("button", name="Go on").click()
    await expect(row(page, "held-model")).to_contain_text("200")


async def test_the_filter_leaves_what_has_its_words(console, live):
    page = live.page
    for model in ("red-model", "blue-model"):
        console.provider.answers(model, stream("Hello"))
        await ask(console, asking(model=model, stream=True))
    await expect(row(page, "blue-model")).to_contain_text("200")
    await page.get_by_label("Filter").fill("red ok")
    await expect(row(page, "blue-model")).to_be_hidden()
    await expect(row(page, "red-model")).to_be_visible()
    await page.get_by_label("Filter").fill("")
    await expect(row(page, "blue-model")).to_be_visible()
