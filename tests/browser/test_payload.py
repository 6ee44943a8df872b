"""What goes over the wire for a page, and how often."""

import httpx
from playwright.async_api import expect

# bytes over the wire
PAGE = 30_000
COLD = 300_000
# requests: the page, styles, scripts, icons
MOST_COLD = 24
# the page, and the words of Django's scripts, which follow the language
MOST_WARM = 3

FILES = """[...document.querySelectorAll("script[src], link[rel=stylesheet]")]
  .map((one) => one.src || one.href)"""
# an icon that the font lacks is a word; it is wider than high, whatever the box that it stands in
NOT_DRAWN = """() => {
  const isWord = (one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return range.getBoundingClientRect().width > 1.6 * parseFloat(getComputedStyle(one).fontSize);
  };
  const words = [...document.querySelectorAll(".material-symbols-outlined")]
    .filter((one) => one.checkVisibility() && one.textContent.trim() && isWord(one))
    .map((one) => one.textContent.trim());
  const tried = document.createElement("span");
  tried.className = "material-symbols-outlined";
  document.body.append(tried);
  // those of stylesheets
  for (const one of document.querySelectorAll("body *")) for (const part of ["::before", "::after"]) {
    const { content, fontFamily } = getComputedStyle(one, part);
    tried.textContent = /^"[a-z][a-z0-9_]{2,}"$/.test(content) ? content.slice(1, -1) : "";
    if (tried.textContent && fontFamily.includes("Material") && isWord(tried)) words.push(tried.textContent);
  }
  tried.remove();
  return [...new Set(words)];
}"""


async def loaded(watched, address):
    """(address, bytes) of each answer that came over the wire."""
    session = await watched.context.new_cdp_session(watched.page)
    await session.send("Network.enable")
    seen, kept, sizes = {}, set(), {}

    def answered(event):
        seen[event["requestId"]] = event["response"]["url"]
        if event["response"].get("fromDiskCache"):
            kept.add(event["requestId"])

    session.on("Network.responseReceived", answered)
    session.on("Network.requestServedFromCache", lambda event: kept.add(event["requestId"]))
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    await watched.page.goto(address)
    await watched.page.wait_for_load_state("networkidle")
    await session.detach()
    return [(seen[one], size) for one, size in sizes.items() if one in seen and one not in kept]


async def test_the_list_of_requests_is_small_and_its_files_come_once(furnished, visit):
    address = "/admin/gateway/requestlog/"
    # whoever logs in has seen a page; a second browser takes over the session alone
    await visit()
    cold = await visit()
    came = await loaded(cold, address)
    assert len(came) <= MOST_COLD, [url for url, _size in came]
    assert sum(size for _url, size in came) < COLD
    assert next(size for url, size in came if url.endswith(address)) < PAGE

    again = await loaded(cold, address)
    assert len(again) <= MOST_WARM, again
    assert sum(size for _url, size in again) < PAGE


async def test_files_are_kept_for_ever_under_names_that_say_their_content(furnished, visit):
    page = (await visit()).page
    await page.goto("/admin/")
    files = await page.evaluate(FILES)
    assert len(files) > 8
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in files:
            if "jsi18n" in url:
                continue
            answer = await client.get(url, headers={"accept-encoding": "gzip"})
            assert "immutable" in answer.headers["cache-control"], url
            small = int(answer.headers.get("content-length", 0)) < 1_000
            assert small or answer.headers.get("content-encoding") == "gzip", url


async def test_the_api_is_never_compressed(console):
    async with httpx.AsyncClient(base_url=console.url, trust_env=False) as client:
        answer = await client.get("/v1/models", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_every_icon_is_drawn_and_no_word_stands_in_its_place(furnished, visit):
    page = (await visit()).page
    for address in (
        "/admin/",
        "/admin/gateway/requestlog/",
        "/admin/gateway/provider/",
        "/admin/auth/user/add/",
        # with a day and a time
        "/admin/gateway/clientkey/add/",
    ):
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1).first).to_be_visible()
        await page.evaluate("document.fonts.ready")
        assert await page.evaluate(NOT_DRAWN) == []
