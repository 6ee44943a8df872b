"""The jobs of somebody who looks after the gateway, each from the first page to its answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from chaos.engines import free_port
from tests.browser.asking import ask
from tests.browser.conftest import PASSWORD, Console
from tests.browser.jobs import Hand, promised
from tests.conftest import asking
from tests.fakes.provider import error, stream
from tests.server.conftest import environment, manage, until

PEOPLE = ("carl", "dora", "emil", "fred")
SECRET = "AKIA" + "IOSFODNN7" + "EXAMPLE"
# of the tokens of a key; one answer counts 27
BUDGET = 30
# accounts and keys by one process; made-up requests of two months
_PEOPLE = f"""
import json
from django.contrib.auth.models import Group, User
from gateway.models import ClientKey
keys = {{}}
for name in {PEOPLE!r}:
    user = User.objects.create_user(name, password={PASSWORD!r}, is_staff=True)
    user.groups.set(Group.objects.filter(name="Member"))
    keys[name] = ClientKey.issue("Laptop of " + name, user=user)[1]
key = ClientKey.objects.get(name="Laptop of dora")
key.token_budget, key.budget_period = {BUDGET}, "month"
key.save()
from django.core.management import call_command
call_command("seedhistory", rows=1000, days=62, bodies=10, verbosity=0)
print("KEYS", json.dumps(keys))
"""


@dataclass
class Office:
    """People with keys (by name), a provider that works and one that is down."""

    console: Console
    keys: dict[str, str]

    async def ask(self, who: str, model: str, text: str = "A question", **headers: str) -> int:
        body = asking(text, model=model, stream=True)
        return (await ask(self.console, body, self.keys[who], **headers)).status_code


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(console: Console) -> Office:
    said = manage("shell", "--verbosity", "0", "--command", _PEOPLE, env=environment(console.served.data))
    keys = json.loads(re.search(r"KEYS (.*)", said.stdout)[1])
    down = {
        "slug": "down", "name": "Down", "base_url": f"http://127.0.0.1:{free_port()}/v1", "auth": "none",
        "max_retries": 0,
    }  # fmt: skip
    targets = {
        "claude-sonnet-*": ("fake", "up-a"), "claude-opus-*": ("fake", "up-b"),
        "claude-broken": ("fake", "broken"), "claude-down": ("down", "gone"),
    }  # fmt: skip
    console.configure(
        providers=[console.provider_section(max_retries=0), down],
        mappings=[
            {"pattern": pattern, "targets": [{"provider": slug, "upstream_model": model}]}
            for pattern, (slug, model) in targets.items()
        ],
        prices=[
            {"provider": "fake", "model": model, "input": 300, "output": 1500} for model in ("up-a", "up-b")
        ],
    )
    console.provider.answers("up-a", stream("I am **model A**."))
    console.provider.answers("up-b", stream("I am **model B**."))
    console.provider.answers("broken", error(400, "the picture is larger than 5 MB"))
    return Office(console, keys)


@pytest.fixture
def at_home(office, visit):
    """at_home(user): logged in, before the first page."""

    async def at_home(*user: str) -> Hand:
        page = (await visit(*user)).page
        await page.goto("/admin/")
        return Hand(page)

    return at_home


def logged(office, count, where):
    """Wait until so many requests are in the history."""
    sql = f"SELECT id FROM gateway_requestlog WHERE {where}"
    until(lambda: len(office.console.served.rows(sql)) >= count, 60)


@pytest.mark.job
async def test_why_a_request_of_a_member_failed(office, at_home):
    assert await office.ask("carl", "claude-broken") == 400
    logged(office, 1, "asked_model = 'claude-broken'")
    hand = await at_home()
    await hand.click(hand.page.get_by_role("link", name="Requests").first)
    await hand.search("owner:carl status:4xx")
    row = hand.page.get_by_role("row").filter(has_text="Laptop of carl").first
    await expect(row).to_contain_text("invalid_request_error the picture is larger than 5 MB")
    hand.done("Why did a member's request fail?")


@pytest.mark.job
async def test_what_a_session_cost_and_why(office, at_home):
    session = {"x-claude-code-session-id": "a-dear-session"}
    for _ in range(3):
        assert await office.ask("emil", "claude-sonnet-5", "Tidy the whole repository.", **session) == 200
    sums = "SELECT requests FROM gateway_sessiontotal WHERE session_id = 'a-dear-session'"
    until(lambda: [row["requests"] for row in office.console.served.rows(sums)] == [3], 60)
    hand = await at_home()
    await hand.click(hand.page.get_by_role("link", name="Sessions").first)
    row = hand.page.get_by_role("row").filter(has_text="Tidy the whole repository.")
    await hand.click(row.get_by_role("link").first)
    title = hand.page.get_by_role("heading", name="Tidy the whole repository.", level=2)
    await expect(title).to_be_visible()
    await expect(hand.page.get_by_text("emil").first).to_be_visible()
    # 20 tokens in and 7 out, three times
    await expect(hand.page.get_by_text("$0.0495").first).to_be_visible()
    await expect(hand.page.get_by_role("table", name="The dearest turns")).to_contain_text("$0.0165")
    hand.done("What did this session cost, and why?")


@pytest.mark.job
async def test_who_changed_a_mapping_and_back(office, at_home):
    before = await at_home()
    page = before.page
    await page.goto("/admin/gateway/modelmapping/")
    await page.get_by_role("link", name="claude-opus-*", exact=True).click()
    await page.get_by_label("Pattern").fill("claude-opus-5*")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("was changed successfully")).to_be_visible()

    hand = await at_home()
    await hand.click(hand.page.get_by_role("link", name="Changes").first)
    row = hand.page.get_by_role("row").filter(has_text="claude-opus-* → claude-opus-5*").first
    await expect(row).to_contain_text("ann")
    await hand.click(row.get_by_role("link").first)
    await hand.click(hand.page.get_by_role("button", name="Undo this change"))
    await expect(hand.page.get_by_text("Changed back.")).to_be_visible()
    hand.done("Who changed the mapping? Undo it.")


@pytest.mark.job
async def test_two_models_on_a_real_request(office, at_home):
    assert await office.ask("emil", "claude-sonnet-4-compared") == 200
    logged(office, 1, "asked_model = 'claude-sonnet-4-compared'")
    hand = await at_home()
    page = hand.page
    await hand.click(page.get_by_role("link", name="Requests").first)
    row = page.get_by_role("row").filter(has_text="claude-sonnet-4-compared").last
    await hand.click(row.get_by_role("link").first)
    await hand.click(page.get_by_role("link", name="Replay and compare"))
    for name in ("up-a @ Fake", "up-b @ Fake"):
        await hand.click(page.get_by_role("checkbox", name=name))
    await hand.click(page.get_by_role("button", name="Ask", exact=True))
    for said in ("I am model A.", "I am model B."):
        await expect(page.get_by_text(said).last).to_be_visible()
    await expect(page.get_by_role("heading", name="Replay", level=2)).to_have_count(2)
    hand.done("Which of two models answers a real request better?")


@pytest.mark.job
async def test_a_member_left(office, at_home):
    hand = await at_home()
    page = hand.page
    await hand.click(page.get_by_role("link", name="Users").first)
    await hand.click(page.get_by_role("link", name="fred", exact=True))
    await hand.click(page.get_by_role("checkbox", name="Active"))
    await hand.click(page.get_by_role("button", name="Save", exact=True))
    await expect(page.get_by_text("fred can no longer log in. 1 client key is refused")).to_be_visible()
    hand.done("A member left.")
    # in every process within two seconds
    rows = "SELECT times FROM gateway_refusedkey"
    while await office.ask("fred", "claude-sonnet-5") == 200:
        pass
    until(lambda: office.console.served.rows(rows), 60)


@pytest.mark.job
async def test_a_provider_is_down(office, at_home):
    for _ in range(3):
        assert await office.ask("emil", "claude-down") >= 500
    until(lambda: office.console.served.rows("SELECT id FROM gateway_setasidetarget"), 60)
    hand = await at_home()
    told = hand.page.get_by_role("link", name=re.compile("gone of Down|gone of down"))
    await expect(told).to_contain_text("set aside since")
    hand.done("A provider is down: which, and since when?")


@pytest.mark.job
async def test_who_is_near_the_limit_and_raise_it(office, at_home):
    assert await office.ask("dora", "claude-sonnet-5") == 200
    logged(office, 1, "key_name = 'Laptop of dora'")
    hand = await at_home()
    page = hand.page
    await hand.click(page.get_by_role("link", name=re.compile("Laptop of dora.* used 90 %")))
    await hand.click(page.locator("summary", has_text="Limits"))
    await page.get_by_label("Token budget").fill(str(10 * BUDGET))
    await hand.click(page.get_by_role("button", name="Save and continue editing"))
    await expect(page.get_by_text("9 %").last).to_be_visible()
    hand.done("Who is near the limit? Raise it.")


@pytest.mark.job
async def test_a_member_sees_the_own_spend_and_how_to_start(office, at_home):
    assert await office.ask("emil", "claude-sonnet-5") == 200
    logged(office, 1, "key_name = 'Laptop of emil'")
    hand = await at_home("emil")
    keys = hand.page.get_by_role("table", name="My client keys")
    await expect(keys).to_contain_text(re.compile(r"Laptop of emil.*\$0\.\d+", re.DOTALL))
    await expect(keys.get_by_role("link", name="Rotate")).to_be_visible()
    await expect(hand.page.locator("#start-lines")).to_contain_text("ANTHROPIC_BASE_URL")
    hand.done("A member: what did I spend, and how do I start?")


@pytest.mark.job
async def test_who_pasted_a_secret(office, at_home):
    assert await office.ask("carl", "claude-sonnet-5", f"Use the key {SECRET} for it.") == 200
    logged(office, 1, "masked_count > 0")
    hand = await at_home()
    page = hand.page
    await hand.click(page.get_by_role("link", name=re.compile("Secrets were masked.* Laptop of carl")))
    row = page.get_by_role("row").filter(has_text="Laptop of carl")
    await hand.click(row.get_by_role("link").first)
    await expect(page.get_by_text("[masked:").first).to_be_visible()
    hand.done("Who pasted a secret, and what was it?")


@pytest.mark.job
async def test_what_last_month_cost_by_person(office, at_home):
    hand = await at_home()
    page = hand.page
    await hand.click(page.get_by_role("link", name="Costs").first)
    await hand.click(page.get_by_role("link", name="last month"))
    # which of the made-up owners had requests in it depends on the day
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile(r"team \d")))
    await expect(row.first).to_contain_text(re.compile(r"\$\d+\.\d\d"))
    await expect(page.get_by_role("row").filter(has_text="All together")).to_contain_text("$")
    hand.done("What did last month cost, by person?")


def test_each_job_of_the_table_is_done_here():
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert len(promised()) == 11
    assert [job for job in promised() if f'done("{job}")' not in text] == []
