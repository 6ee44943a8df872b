"""A request is asked again of other targets, and the answers stand side by side."""

from playwright.async_api import expect

from tests.browser.asking import ask
from tests.conftest import asking
from tests.fakes.provider import stream


async def test_a_request_is_asked_again_on_another_mapping_and_a_provider_side_by_side(console, visit):
    targets = {"claude-*": "first", "gpt-*": "second"}
    console.configure(
        providers=[console.provider_section()],
        mappings=[
            {"pattern": pattern, "targets": [{"provider": "fake", "upstream_model": model}]}
            for pattern, model in targets.items()
        ],
    )
    for model in ("first", "second", "third"):
        console.provider.answers(model, stream(f"I am **the {model}**."))
    await ask(console, asking("Who are you?", model="claude-sonnet-5", stream=True))

    page = (await visit()).page
    await page.goto("/admin/gateway/requestlog/")
    await page.get_by_role("row").filter(has_text="claude-sonnet-5").get_by_role("link").first.click()
    await page.get_by_role("link", name="Replay and compare").click()
    await page.get_by_role("checkbox", name="gpt-* → second @ Fake").check()
    await page.get_by_label("Or any provider").select_option(label="Fake")
    await page.get_by_label("and model").fill("third")
    await page.get_by_role("button", name="Ask", exact=True).click()

    await expect(page.get_by_role("heading", name="Replay", level=2).nth(1)).to_be_visible()
    boxes = []
    for model in ("first", "second", "third"):
        said = page.get_by_text(f"I am the {model}.")
        await expect(said).to_be_visible()
        column = page.locator("section").filter(has=said).last
        await expect(column).to_contain_text("first byte")
        boxes.append(await column.bounding_box())
    # beside each other, not below
    assert len({box["y"] for box in boxes}) == 1
    assert len({box["x"] for box in boxes}) == 3

    # "first" of the three words is another one in the two others
    await expect(page.get_by_text("Words that differ from the request's own answer: 1")).to_have_count(2)
    marked = "[...CSS.highlights.get('gw-differs')].map(String).join(' ')"
    assert sorted((await page.evaluate(marked)).split()) == ["second", "third"]

    # the request's own page leads to them
    await page.get_by_role("link", name="Requests").first.click()
    await expect(page.get_by_role("row").filter(has_text="claude-sonnet-5")).to_have_count(3)
