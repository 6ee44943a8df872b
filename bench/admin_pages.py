"""The pages that `bench.admin` measures; imported after Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import RequestFactory
from django.urls import reverse

from gateway.admin.requests.request_page import TABS
from gateway.history.totals.usage import BY
from gateway.models import ClientKey, RequestBody, RequestLog, SessionTotal

HISTORY: Final = "/admin/gateway/requestlog/"
SESSIONS: Final = "/admin/gateway/sessiontotal/"
# Filters on records of the configuration, which a made-up history does not have.
_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "provider": ("openai", "llama", "nobody"),
    "model": ("claude-sonnet-4-6", "gpt-4o-mini", "nothing"),
    "upstream_model": ("gpt-4o", "nothing"),
    # offered only where one is chosen
    "problem": ("1",),
    "prompt": ("nothing",),
    "group": ("nobody",),
    "effort": ("low", "medium", "max"),
    "estimated": ("..2000", "60000..", "100000..", "200000..", "9000000..", "..5"),
}
# Two and three at once: some that go well together, and some that no request passes, so that
# all that the narrowest index offers has to be looked at.
_TOGETHER: Final = (
    "provider=llama&state=error",
    "provider=llama&upstream_model=gpt-4o",
    "model=claude-opus-4-6&provider=openai",
    "key=KEY&model=gpt-4o-mini",
    "key=KEY&with=images",
    "endpoint=count_tokens&with=tools",
    "state=ok&error=api_error",
    "state=cancelled&slow=60",
    "with=tools,images,ledger,retries",
    "without=tools&stop_reason=tool_use",
    "provider=llama&key=KEY&with=retries",
    "range=7d&owner=OWNER&status=5xx",
    "range=30d&provider=gemini&stop_reason=refusal",
)


@dataclass(frozen=True, slots=True)
class Page:
    """`member`: as the owner of some keys sees it, else as somebody with all rights."""

    name: str
    address: str
    member: bool = False


def pages() -> Iterator[Page]:
    """The list with every filter, searches, dashboard, sessions and single requests."""
    key = ClientKey.objects.filter(name__startswith="seed").first() or ClientKey.objects.first()
    assert key is not None, "fill the history first: manage.py seedhistory"
    for chosen in ("1h", "24h", "7d", "30d", "month"):
        yield Page(f"dashboard, {chosen}", f"/admin/?range={chosen}")
    for chosen in ("7d", "30d", "month"):
        yield Page(f"models, {chosen}", f"/admin/gateway/hourlyoutcome/?range={chosen}")
    yield Page("models, as a file", "/admin/gateway/hourlyoutcome/?range=30d&format=csv")
    for by in BY:
        yield Page(f"costs by {by}, 30d", f"/admin/gateway/hourlytotal/?range=30d&by={by}")
    yield Page("costs of ten years", "/admin/gateway/hourlytotal/?range=2017-01-01..2026-12-31")
    yield Page("costs, as a file", "/admin/gateway/hourlytotal/?range=30d&format=csv")
    yield Page("caching, 30d", "/admin/gateway/cachemiss/?range=30d")
    yield Page("problems", "/admin/gateway/problem/?state=all")
    yield Page("attention", reverse("admin:gateway_problem_attention"))
    for record in ("provider", "modelmapping", "clientkey", "refusedkey", "evaluation", "modelprice"):
        yield Page(f"list of {record}", f"/admin/gateway/{record}/")
    yield Page("people", "/admin/auth/user/")
    yield Page("list", HISTORY)
    last = RequestLog.objects.count() // admin.site._registry[RequestLog].list_per_page
    for number in (5, 100, 2000):
        if number > last:
            break
        yield Page(f"list, page {number}", f"{HISTORY}?p={number}")
    for parameter, values in _filters(key).items():
        for value in values:
            yield Page(f"list, {parameter}={value}", f"{HISTORY}?{parameter}={value}")
    for together in _TOGETHER:
        asked = together.replace("KEY", str(key.pk)).replace("OWNER", key.owner)
        yield Page(f"list, {asked}", f"{HISTORY}?{asked}")
    for of in ("provider", "key", "state", "owner", "with", "slow", "estimated", "client"):
        yield Page(f"list, counts of {of}", f"{HISTORY}counts/?of={of}")
        yield Page(f"list, counts of {of}, failed", f"{HISTORY}counts/?of={of}&status=5xx")
    yield from _searches()
    yield from _single_requests()
    yield from _sessions(key)
    yield from _of_a_member()
    yield Page("changes", "/admin/admin/logentry/")
    yield Page("reads", "/admin/gateway/contentread/")
    yield Page("retention", "/admin/gateway/retention/1/change/")


def _filters(key: ClientKey) -> dict[str, tuple[str, ...]]:
    """The values of each filter that the list offers, by parameter."""
    model_admin = admin.site._registry[RequestLog]
    request = RequestFactory().get(HISTORY)
    request.user = get_user_model().objects.get(username="bench")
    row = _middle_row()
    given = {
        **_VALUES,
        "key": (str(key.pk), "none"),
        "owner": (key.owner,),
        # without a menu: pages link to one value
        "client": (row.client or "none", "claude-cli/2.1.197", "nothing"),
        "mapping": (row.mapping or "none",),
    }
    found: dict[str, tuple[str, ...]] = {}
    for kind in model_admin.get_list_filter(request):
        each = kind(request, {}, RequestLog, model_admin)
        name = each.parameter_name
        found[name] = given.get(name) or tuple(str(value) for value, _ in each.lookup_choices)
        assert found[name], f"the filter {name} has no value to ask for"
    return found


def _searches() -> Iterator[Page]:
    middle = _middle_row()
    terms = {
        "request id": middle.request_id,
        "beginning of a request id": middle.request_id[:-2],
        "beginning of all request ids": middle.request_id[:8],
        "session id": middle.session_id,
        "provider's request id": middle.upstream_request_id,
        "model": middle.asked_model,
        "word of many conversations": "gateway",
        "two words, one rare": "gateway case7x",
        "words in a row": "%22the gateway%22",
        "beginning of a word": "case*",
        "word of one conversation": "case7x",
        "nothing": "zzzzzz",
    }
    for what, term in terms.items():
        yield Page(f"search, {what}", f"{HISTORY}?q={term}")
    newest = RequestLog.objects.order_by("-pk").values_list("pk", flat=True)[:50]
    asked = ",".join(map(str, newest))
    yield Page("search, words around the hits", f"{HISTORY}excerpts/?q=gateway&pk={asked}")
    yield Page("search, word and filters", f"{HISTORY}?q=gateway&state=error&provider=llama")


def _single_requests() -> Iterator[Page]:
    kept = RequestBody.objects.order_by("-log_id").values_list("log__pk", flat=True).first()
    if kept:
        for tab in TABS:
            yield Page(f"one request, {tab}", _change("requestlog", kept) + f"?tab={tab}")
    yield Page("one request, old", _change("requestlog", _middle_row().pk))


def _sessions(key: ClientKey) -> Iterator[Page]:
    yield Page("sessions", SESSIONS)
    yield Page("sessions, page 20", f"{SESSIONS}?p=20")
    yield Page("sessions, range=7d", f"{SESSIONS}?range=7d")
    yield Page("sessions, one key", f"{SESSIONS}?key={key.pk}")
    by_size = SessionTotal.objects.order_by("-requests")
    for session, page in ((by_size.first(), ""), (by_size.first(), "?p=3"), (by_size.last(), "")):
        if session:
            name = f"session of {session.requests:,} requests{', page 3' if page else ''}"
            yield Page(name, _change("sessiontotal", session.session_id) + page)
    if longest := by_size.first():
        transcript = reverse("admin:gateway_sessiontotal_transcript", args=[longest.session_id])
        yield Page("session, transcript", transcript)
    if by_size.exists():
        yield Page("sessions, search", f"{SESSIONS}?q={_middle_row().session_id[:23]}")


def _of_a_member() -> Iterator[Page]:
    for name, address in (
        ("list", HISTORY),
        ("list, state=error", f"{HISTORY}?state=error"),
        ("list, with=images", f"{HISTORY}?with=images"),
        ("search, word of many conversations", f"{HISTORY}?q=gateway"),
        ("sessions", SESSIONS),
    ):
        yield Page(f"member: {name}", address, member=True)


def _middle_row() -> RequestLog:
    row: RequestLog | None = RequestLog.objects.order_by("pk")[RequestLog.objects.count() // 2 :].first()
    assert row is not None
    return row


def _change(model: str, pk: Any) -> str:
    address: str = reverse(f"admin:gateway_{model}_change", args=[pk])
    return address
