"""How each picture is taken."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.conftest import ADMIN, PASSWORD, PREPARE, Console, executable
from tests.browser.pictures.agent_session import SESSION
from tests.browser.pictures.scene import ROWS, STORED, Scene, furnished
from tests.fakes.provider import FakeProvider
from tests.server.conftest import environment, manage, start

IMAGES = Path(__file__).parents[3] / "docs" / "images"
LARGE = {"width": 1280, "height": 800}
# below 1280 the sidebar is folded
SMALL = {"width": 1200, "height": 620}
RECORDS = "/admin/gateway"


async def _at(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_load_state("networkidle")


async def _test_of_a_provider(page: Page, scene: Scene) -> None:
    await _at(page, f"{RECORDS}/provider/{scene.provider}/test/")
    await page.get_by_role("button", name="Test connection").click()
    await expect(page.get_by_text("This provider works.")).to_be_visible()
    await page.mouse.move(0, 0)


async def _where(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/modelmapping/where/?model=claude-opus-5-5[1m]")


async def _client_key(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/clientkey/add/")
    await page.get_by_label("Name", exact=False).first.fill("Laptop of Erik")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("shown only now")).to_be_visible()
    # nobody types it from a picture
    await page.evaluate("""() => {
      const hidden = (text) => text.replace(/ccp_[\\w-]+/g, "ccp_" + "•".repeat(20));
      for (const one of document.querySelectorAll("input[readonly]")) one.value = hidden(one.value);
      for (const one of document.querySelectorAll("pre")) one.textContent = hidden(one.textContent);
    }""")


async def _sign_in(page: Page, scene: Scene) -> None:
    await _at(page, f"{RECORDS}/clientkey/device/")
    await page.get_by_label("Code").fill(scene.code)
    await page.get_by_role("button", name="Look it up").click()
    await expect(page.get_by_role("button", name="Let this machine in")).to_be_visible()
    await page.mouse.move(0, 0)


async def _policy(page: Page, scene: Scene) -> None:
    # down to the settings
    await page.set_viewport_size({**SMALL, "height": 860})
    await _at(page, f"{RECORDS}/managedpolicy/{scene.policy}/change/")


async def _person_settings(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/managedpolicy/result/?user={ADMIN}")


async def _versions(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/managedpolicy/result/")
    await page.locator("section", has=page.locator("#versions")).evaluate("one => one.scrollIntoView()")


async def _rules(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/safeguardrule/")


async def _verdicts(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/safeguardverdict/")


async def _dashboard(page: Page, _scene: Scene) -> None:
    await _at(page, "/admin/?range=7d")


async def _request(page: Page, scene: Scene) -> None:
    await _at(page, f"{RECORDS}/requestlog/{scene.request}/change/")


async def _session(page: Page, _scene: Scene) -> None:
    await _at(page, f"{RECORDS}/sessiontotal/{SESSION}/change/")


Pose = Callable[[Page, Scene], Awaitable[None]]
# taken light and dark
README: dict[str, Pose] = {"dashboard": _dashboard, "request": _request, "session": _session}
# what changes the gateway comes last
DETAILS: dict[str, Pose] = {
    "where": _where, "safety-verdicts": _verdicts, "safeguard-rules": _rules, "policy": _policy,
    "person-settings": _person_settings, "client-versions": _versions, "sign-in": _sign_in,
    "provider-test": _test_of_a_provider, "client-key": _client_key,
}  # fmt: skip


async def _taken(browser: Browser, console: Console, scene: Scene) -> None:
    session = None
    for theme, ending, size, poses in (
        ("light", "", LARGE, README),
        ("dark", "-dark", LARGE, README),
        ("light", "", SMALL, DETAILS),
    ):
        context = await browser.new_context(
            base_url=console.url, viewport=size, color_scheme=theme, locale="en-US", reduced_motion="reduce",
            storage_state=session,
        )  # fmt: skip
        page = await context.new_page()
        if session is None:
            await page.goto("/admin/")
            await page.get_by_label("Username").fill(ADMIN)
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Log in").click()
            await page.wait_for_url("**/admin/")
            session = await context.storage_state()
        for name, pose in poses.items():
            await page.set_viewport_size(size)
            await pose(page, scene)
            await page.screenshot(path=IMAGES / f"{name}{ending}.png")
        await context.close()


async def take() -> None:
    """Write every picture into docs/images."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        made = ["--rows", str(ROWS), "--bodies", "50"]
        manage("shell", "--verbosity", "0", "--command", PREPARE, env=environment(data))
        manage("seedhistory", *made, env=environment(data))
        manage("shell", "--verbosity", "0", "--command", STORED, env=environment(data))
        provider = await FakeProvider().start()
        served = start(data, SIGN_IN="true")
        try:
            console = Console(served, provider)
            scene = await furnished(console)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=executable(), args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                await _taken(browser, console, scene)
                await browser.close()
        finally:
            served.stop()
            await provider.stop()
