"""From the first login to the first answer of Claude Code, as the quickstart says it."""

import asyncio
import json
import os
import shlex

import anthropic
import pytest
from playwright.async_api import expect

from tests.browser.asking import recorded
from tests.browser.jobs import Hand
from tests.fakes.provider import Answer, chunk, completion, stream

MODEL = "qwen3-coder"
CALL = [{"index": 0, "id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}]


@pytest.fixture
def local(console):
    """A local server that lists one model, gives a short answer, calls a tool, and then says hello."""
    console.provider.answers(
        "/v1/models",
        Answer(
            headers={"content-type": "application/json"},
            body=json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode(),
        ),
    )
    console.provider.answers(
        MODEL,
        completion("OK"),
        stream(chunk({"tool_calls": CALL}), tail=[chunk({}, "tool_calls"), b"data: [DONE]\n\n"]),
        stream("Hello from", " the local model."),
    )
    return console


@pytest.mark.job
async def test_a_new_user_gets_from_the_login_to_an_answer_of_their_provider(local, visit):
    seen = await visit()
    page = seen.page
    hand = Hand(page)
    await hand.click(page.get_by_role("link", name="Add a provider"))

    # the preset fills the form; only the address is this test's own
    await hand.choose(page.get_by_label("Preset"), "vLLM")
    await expect(page.get_by_label("Name")).to_have_value("vLLM")
    await page.get_by_label("Base URL").fill(local.provider.base_url)
    await hand.click(page.get_by_role("button", name="Test connection"))
    levels = page.get_by_role("region", name="Test before saving")
    await expect(levels.get_by_text("This provider works.")).to_be_visible()
    # the last line of the answer can be read without looking for it
    works = await levels.get_by_text("This provider works.").bounding_box()
    bar = await page.get_by_role("button", name="Save", exact=True).bounding_box()
    assert works["y"] + works["height"] < bar["y"]
    assert await levels.get_by_role("row").filter(has_text=" ms").count() == 4
    # nothing is stored by a test
    assert local.served.rows("SELECT * FROM gateway_provider WHERE origin = 'admin'") == []
    await hand.click(page.get_by_role("button", name="Save", exact=True))
    await expect(page.get_by_text("was added successfully")).to_be_visible()

    # its one model is proposed for every name
    await hand.click(page.get_by_role("link", name="Load its models"))
    await expect(page.get_by_label(MODEL)).to_have_value("*")
    await hand.click(page.get_by_role("button", name="Make the chosen mappings"))
    await expect(page.get_by_text("1 mapping was made and is in force: *.")).to_be_visible()

    await hand.click(page.get_by_role("link", name="Issue a client key"))
    await page.get_by_label("Name", exact=False).first.fill("Laptop of Ann")
    await hand.click(page.get_by_role("button", name="Save"))
    await expect(page.get_by_text("shown only now")).to_be_visible()
    await hand.click(page.get_by_role("button", name="Copy the lines"))
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    variables = exported(await seen.clipboard())
    assert variables["ANTHROPIC_BASE_URL"] == local.url

    assert await by_the_sdk(variables) == "Hello from the local model."
    local.provider.requests.clear()
    await by_claude_code(variables)

    await recorded(local, 1)
    # the page that is left no longer shows the key
    await hand.click(page.get_by_role("link", name="Requests").first)
    row = page.get_by_role("row").filter(has_text="Laptop of Ann").last
    await expect(row).to_contain_text("claude-sonnet-5")
    await expect(row).to_contain_text(MODEL)
    hand.done("From the first login to the first answer.")
    secret = variables["ANTHROPIC_AUTH_TOKEN"]
    for path in ("/admin/gateway/requestlog/", "/admin/gateway/clientkey/", "/admin/admin/logentry/"):
        await page.goto(path)
        assert secret not in await page.content()
        assert secret.encode() not in local.served.log.read_bytes()


def exported(lines: str) -> dict[str, str]:
    """The variables of lines for a shell."""
    words = [shlex.split(line) for line in lines.splitlines()]
    assert words[-1] == ["claude"]
    return dict(word.split("=", 1) for start, word in words[:-1] if start == "export")


async def by_the_sdk(variables: dict[str, str]) -> str:
    client = anthropic.AsyncAnthropic(
        base_url=variables["ANTHROPIC_BASE_URL"], auth_token=variables["ANTHROPIC_AUTH_TOKEN"], max_retries=0
    )
    said = {"role": "user", "content": "Say hello."}
    async with (
        client,
        client.messages.stream(model="claude-sonnet-5", max_tokens=100, messages=[said]) as answer,
    ):
        return await answer.get_final_text()


async def by_claude_code(variables: dict[str, str]) -> None:
    """The same by the program that CLAUDE_CODE names, if it names one."""
    program = os.environ.get("CLAUDE_CODE")
    if not program:
        print("NOT TESTED: Claude Code itself (CLAUDE_CODE names no program); the SDK alone asked")
        return
    process = await asyncio.create_subprocess_exec(
        program, "-p", "Say hello.", "--model", "claude-sonnet-5",
        env={**os.environ, **variables, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert b"Hello from the local model." in said
