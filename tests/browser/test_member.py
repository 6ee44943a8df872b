"""The owner of a key, with no right at all, sees what is theirs and nothing else."""

from playwright.async_api import expect

from tests.browser.asking import ask, recorded
from tests.browser.conftest import MEMBER
from tests.conftest import asking
from tests.fakes.provider import stream

THEIRS = "a-key-of-somebody-else"


async def issued(page, name, owner):
    """The secret of a new key, by its page."""
    await page.goto("/admin/gateway/clientkey/add/")
    await page.get_by_role("textbox", name="Name", exact=False).first.fill(name)
    await page.get_by_label("Owner", exact=True).select_option(label=owner)
    await page.get_by_role("button", name="Save").click()
    return await page.get_by_label(f"Key for {name}").input_value()


async def test_a_member_sees_the_own_key_and_requests_and_no_others(console, visit):
    console.configure(
        {"THEIRS": THEIRS},
        providers=[console.provider_section()],
        mappings=[{"pattern": "*", "targets": [{"provider": "fake"}]}],
        keys=[{"name": "Somebody else", "key": {"env": "THEIRS"}}],
    )
    console.provider.answers("claude-mine", stream("An answer for Bob."))
    console.provider.answers("claude-theirs", stream("A secret for somebody."))
    own = await issued((await visit()).page, "Bob's laptop", MEMBER)
    for key, model in ((own, "claude-mine"), (THEIRS, "claude-theirs")):
        answer = await ask(console, asking("A question", model=model, stream=True), key=key)
        assert answer.status_code == 200, answer.text
    rows = {row["asked_model"]: row["id"] for row in await recorded(console, 2)}

    page = (await visit(MEMBER)).page
    await page.goto("/admin/")
    for hidden in ("Providers", "Model mappings", "Changes", "Users", "Retention"):
        await expect(page.get_by_role("link", name=hidden)).to_have_count(0)
    await page.get_by_role("link", name="Client keys").first.click()
    await expect(page.get_by_role("row").filter(has_text="Bob's laptop")).to_be_visible()
    await expect(page.get_by_text("Somebody else")).to_have_count(0)
    await page.get_by_role("link", name="Bob's laptop").click()
    await expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)

    await page.get_by_role("link", name="Requests", exact=False).first.click()
    await expect(page.get_by_role("row").filter(has_text="claude-mine")).to_be_visible()
    await expect(page.get_by_text("claude-theirs")).to_have_count(0)
    await page.get_by_role("row").filter(has_text="claude-mine").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="How it ended")).to_be_visible()
    # the owner reads what came with the own key
    await expect(page.get_by_text("An answer for Bob.")).to_be_visible()
    await expect(page.get_by_role("link", name="Replay and compare")).to_have_count(0)

    # what the pages do not link is refused too
    other = f"/admin/gateway/requestlog/{rows['claude-theirs']}/change/"
    for address in (
        other, f"{other}?tab=received", "/admin/gateway/provider/", "/admin/gateway/provider/add/",
        "/admin/gateway/modelmapping/", "/admin/gateway/modelmapping/where/?model=x",
        "/admin/gateway/clientkey/add/", "/admin/gateway/clientkey/1/change/", "/admin/admin/logentry/",
        "/admin/gateway/retention/", "/admin/gateway/contentread/", "/admin/auth/user/",
        f"/admin/gateway/requestlog/{rows['claude-mine']}/replay/",
    ):  # fmt: skip
        answer = await page.request.get(address)
        text = await answer.text()
        assert "claude-theirs" not in text and "A secret for somebody." not in text, address
        # Django leads from a record that does not exist to the first page
        assert answer.status in (403, 404) or answer.url == f"{console.url}/admin/", (address, answer.status)
    export = await page.request.get("/admin/gateway/requestlog/export.csv")
    assert "claude-mine" in await export.text() and "claude-theirs" not in await export.text()
