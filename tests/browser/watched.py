"""A page of the admin that notes whatever a page of ours must not do."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

# what a page needs no network for
_LOCAL = ("data", "blob", "about")
# for a machine on which other tests run at the same time
PATIENCE = 20_000


class Watched:
    """`page` in a browser of its own (`context`); `faults` says what went wrong, in the order of events.

    Faults are: a request to anywhere but the gateway, an answer of 400 and more, a dialog, a
    second window, a script's error, an error in the console (breaches of the content security
    policy are such), a download nobody asked for.
    """

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context, self.page, self.url = context, page, url
        self.faults: list[str] = []
        self._host = urlsplit(url).netloc
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("dialog", self._dialog)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("page", lambda _page: self.faults.append("another window was opened"))
        page.on("websocket", lambda socket: self._away("websocket", socket.url))

    @classmethod
    async def open(cls, browser: Browser, url: str, **options) -> Watched:
        size = {"width": 1440, "height": 900}
        context = await browser.new_context(
            **{"viewport": size, "locale": "en-US", "base_url": url, **options}
        )
        context.set_default_timeout(PATIENCE)
        await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        return cls(context, await context.new_page(), url)

    async def log_in(self, user: str, password: str) -> None:
        await self.page.goto("/admin/")
        await self.page.get_by_label("Username").fill(user)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url("**/admin/")

    async def clipboard(self) -> str:
        return await self.page.evaluate("navigator.clipboard.readText()")

    def _away(self, kind: str, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in _LOCAL and parts.netloc != self._host:
            self.faults.append(f"{kind} to {address[:200]}")

    def _asked(self, request: Request) -> None:
        self._away("request", request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.request.method} {response.url[:200]}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"{dialog.type} dialog: {dialog.message[:200]}")
        await dialog.dismiss()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text[:300]} ({message.page and message.page.url[:200]})")
