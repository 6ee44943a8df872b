"""The page of one request: the first screen, and what lies behind each tab."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.asking import ask
from tests.browser.conversations import SESSION, coding_turn, thoughtful_answer

SECRET = "ccp_a-key-that-no-page-may-show"


@pytest.fixture(scope="module")
def request_id():
    return {}


@pytest_asyncio.fixture(loop_scope="session")
async def request_page(console, visit, request_id):
    if not request_id:
        console.configure(
            {"LAPTOP": SECRET},
            providers=[console.provider_section(preset="llama-cpp")],
            mappings=[{"pattern": "*", "targets": [{"provider": "fake", "upstream_model": "up"}]}],
            keys=[{"name": "Laptop", "key": {"env": "LAPTOP"}}],
        )
        console.provider.answers("up", thoughtful_answer())
        answer = await ask(console, coding_turn(), key=SECRET, **{"x-claude-code-session-id": SESSION})
        assert answer.status_code == 200, answer.text
        request_id["is"] = answer.headers["request-id"]
    seen = await visit()
    await seen.page.goto("/admin/gateway/requestlog/")
    await seen.page.get_by_role("row").filter(has_text="Laptop").get_by_role("link").first.click()
    await expect(seen.page.get_by_role("heading", name=request_id["is"], exact=True)).to_be_visible()
    yield seen
    assert SECRET not in await seen.page.content()


async def tab(page, name):
    await (
        page.get_by_role("navigation", name="What is kept of the request")
        .get_by_role("link", name=name, exact=True)
        .click()
    )
    await expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")


async def test_the_first_screen_says_what_was_asked_where_it_went_and_how_it_ended(request_page):
    page = request_page.page
    for title, facts in (
        ("What was asked", ("claude-sonnet-5", "Laptop")),
        ("Where it went", ("Fake", "up", "up-1")),
        ("How it ended", ("tool_use", "2,100", "64", "Bash")),
    ):
        heading = page.get_by_role("heading", name=title)
        await expect(heading).to_be_in_viewport()
        card = heading.locator("..")
        for fact in facts:
            await expect(card).to_contain_text(fact)


async def test_the_conversation_has_cards_of_tools_an_image_and_folded_thinking(request_page):
    page = request_page.page
    # the turns before lie folded
    earlier = page.get_by_text("2 earlier messages")
    await expect(page.get_by_text("I look at it.")).to_be_hidden()
    await earlier.click()
    await expect(page.get_by_text("I look at it.")).to_be_visible()
    # Markdown is laid out, thinking waits for a click
    await expect(page.get_by_role("strong").filter(has_text="not found")).to_be_visible()
    thought = page.get_by_text("The command is missing.")
    await expect(thought).to_be_hidden()
    # the answer comes first
    await page.get_by_role("article").first.get_by_text("thinking", exact=True).click()
    await expect(thought).to_be_visible()
    # a failed result is open, with the name of the tool that was called
    await expect(page.get_by_text("exit 127")).to_be_visible()
    await expect(page.get_by_text('"command": "which python"')).to_be_visible()
    # the picture of the question is there, and really drawn
    picture = page.get_by_role("img", name="image of the conversation")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.complete && image.naturalWidth === 1")
    result = page.get_by_text("result Read")
    await result.click()
    await expect(page.get_by_text("import time")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("As received", ('"model": "claude-sonnet-5"', '"top_k": 40')),
        ("As sent upstream", ('"model": "up"', '"tool_call_id"')),
        ("Upstream's answer", ("chat.completion.chunk", "reasoning_content")),
        ("Events to the client", ("event: message_start", "thinking_delta", "event: message_stop")),
        ("Timeline", ("what happened", "first byte")),
        ("Ledger", ("what was done", "where")),
        ("Received and sent", ("marked",)),
    ],
)
async def test_a_tab_shows(request_page, name, texts):
    page = request_page.page
    await tab(page, name)
    for text in texts:
        await expect(page.get_by_text(text).first).to_be_visible()


async def test_the_request_is_copied_as_curl_without_the_key(request_page):
    page = request_page.page
    await tab(page, "As curl")
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = await request_page.clipboard()
    assert command.startswith(f"curl -sS -N '{request_page.url}/v1/messages'")
    assert "x-api-key: $CCPROXY_KEY" in command
    assert SECRET not in command


async def test_the_session_is_one_click_away(request_page):
    page = request_page.page
    await page.get_by_role("navigation", name="Actions").get_by_role("link", name="Session").click()
    await expect(page.get_by_text(SESSION).first).to_be_visible()
    await expect(page.get_by_text("Bash").first).to_be_visible()
