"""A conversation that tries everything against whoever looks at it is shown inert on every page.

`visit` fails the test for any request to elsewhere, dialog, window, script error, or breach of
the content security policy; here each page is also asked whether a script of the conversation ran.
"""

import json
from itertools import product
from urllib.parse import quote

import pytest_asyncio
from playwright.async_api import expect

from tests.browser.asking import ask, recorded
from tests.fakes.provider import chunk, stream
from tests.hostile import (
    BROKEN,
    CONTROL,
    DIRECTION,
    HOST,
    IMAGE_TAG,
    LONG,
    MARKDOWN,
    PIXEL,
    REQUEST,
    SCRIPT,
)

# characters that hide or act, none of which may reach a page as itself
ACTING = [*"\x00\x07\x08\x1b\x7f\x9b\u202e\u2066\u2069\u200b\u200d\ufeff"]
TABS = (
    "conversation", "compare", "received", "sent", "answered", "returned", "timeline", "ledger", "curl",
)  # fmt: skip


def legal():
    """The hostile request as far as the Messages API takes it, so that it is sent on and answered."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    texts = [{"type": "text", "text": text} for text in (*MARKDOWN, CONTROL, DIRECTION, BROKEN, LONG)]
    return {
        "model": SCRIPT,
        "max_tokens": 100,
        "stream": True,
        "system": SCRIPT + IMAGE_TAG,
        "metadata": {"user_id": SCRIPT},
        "tools": [{"name": "Bash", "description": IMAGE_TAG, "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": SCRIPT + IMAGE_TAG},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {SCRIPT: IMAGE_TAG}}
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": SCRIPT},
                    image,
                    *texts,
                ],
            },
        ],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rows(console):
    """The rows of the history, by request id: one that was sent on and answered, then those refused.

    Refused are a request with the right shape nowhere, and bytes that are no JSON and no UTF-8.
    """
    console.configure(
        providers=[console.provider_section(name=SCRIPT[:60], preset="llama-cpp")],
        mappings=[
            {"pattern": "*", "note": SCRIPT, "targets": [{"provider": "fake", "upstream_model": "up"}]}
        ],
    )
    call = [
        {"index": 0, "id": "c", "function": {"name": "Bash", "arguments": json.dumps({SCRIPT: IMAGE_TAG})}}
    ]
    texts = (*MARKDOWN, CONTROL, DIRECTION)
    console.provider.answers(
        "up",
        stream(
            chunk({"reasoning_content": SCRIPT + DIRECTION}),
            *(text + "\n\n" for text in texts),
            chunk({"tool_calls": call}),
        ),
    )
    session = {"x-claude-code-session-id": "hostile-session"}
    answered = await ask(console, legal(), **session)
    assert answered.status_code == 200, answered.text
    noise = "".join((SCRIPT, IMAGE_TAG, *MARKDOWN, CONTROL, DIRECTION)).encode() + b"\xff\xfe\x80"
    for malformed in (REQUEST, b'{"model": "' + noise, noise):
        refused = await ask(console, malformed, **session)
        assert refused.status_code == 400, refused.text
    return {row["request_id"]: row["id"] for row in await recorded(console, 4)}


async def assert_inert(page):
    assert await page.evaluate("window.tripped === undefined")
    text = await page.content()
    assert [hex(ord(character)) for character in ACTING if character in text] == []
    # nothing of the conversation became an element that loads, sends or leads away
    outward = await page.evaluate(
        """host => [...document.querySelectorAll("[src],[href],[action],iframe,object,embed,form,base")]
            .filter(one => /^\\s*(javascript|vbscript|data:text|file):/i.test(one.src || one.href || "")
                || (one.tagName !== "A" && (one.src || one.href || one.action || "").includes?.(host))
                || ["IFRAME", "OBJECT", "EMBED", "BASE"].includes(one.tagName))
            .map(one => one.outerHTML.slice(0, 200))""",
        HOST,
    )
    assert outward == []


async def test_every_tab_shows_it_inert(rows, visit):
    page = (await visit()).page
    for tab, number in product(TABS, rows.values()):
        await page.goto(f"/admin/gateway/requestlog/{number}/change/?tab={tab}")
        await expect(page.get_by_role("navigation", name="What is kept of the request")).to_be_visible()
        # what is folded is looked at too
        await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        await assert_inert(page)


async def test_every_page_with_its_names_shows_it_inert(rows, visit):
    page = (await visit()).page
    for address in (
        "/admin/",
        "/admin/gateway/requestlog/",
        "/admin/gateway/requestlog/?q=tripped",
        "/admin/gateway/requestlog/?q=" + quote(SCRIPT),
        "/admin/gateway/requestlog/live/",
        "/admin/gateway/sessiontotal/",
        "/admin/gateway/sessiontotal/hostile-session/change/",
        "/admin/gateway/provider/",
        "/admin/gateway/modelmapping/",
        "/admin/gateway/modelmapping/where/?model=" + quote(SCRIPT),
        "/admin/gateway/contentread/",
        "/admin/admin/logentry/",
    ):
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await assert_inert(page)


async def test_its_replay_shows_both_answers_inert(rows, visit):
    page = (await visit()).page
    await page.goto(f"/admin/gateway/requestlog/{min(rows.values())}/replay/")
    await page.get_by_role("checkbox").first.check()
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.get_by_role("heading", name="Replay", level=2)).to_have_count(1)
    await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    await assert_inert(page)
