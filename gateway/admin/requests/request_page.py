"""The page of one request: what was asked, where it went, how it ended, and what lies behind a tab.

The tab is a parameter of the address, and the page reads only what the tab shows. Tabs with content take the
right to read it, and each such read is noted before anything is shown (history/access.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.admin.requests import reproduce
from gateway.admin.requests.conversation import conversation
from gateway.admin.requests.json_diff import side_by_side
from gateway.admin.requests.request_timeline import request_timeline
from gateway.admin.ui.sanitize import folded, inert
from gateway.conf import gateway_conf
from gateway.config.startup.client_setup_text import base_url
from gateway.history.access import may_read, note_read
from gateway.history.content import bodies
from gateway.models import RequestBody, RequestLog
from gateway.wire import jsontext
from gateway.wire.message_reader import read_answer

DAMAGED: Final = gettext_lazy("The stored data is damaged and cannot be shown.")
NOT_ALLOWED: Final = gettext_lazy(
    "You may not read the content of requests. An administrator can give you the right to (read content)."
)
NOT_KEPT: Final = gettext_lazy(
    "The content of this request is not kept: the capture policy of its client key or of the gateway"
    " (CAPTURE_BODIES) says so, or its time is over."
)
NOTHING_THERE: Final = gettext_lazy("This request has none.")


@dataclass(frozen=True, slots=True)
class Tab:
    """`content`: the tab shows what people said, so it takes the right to read content."""

    name: str
    title: Any
    make: Callable[[RequestLog, bodies.StoredBodies | None, HttpRequest], dict[str, Any]]
    content: bool = True


def tab_of(request: HttpRequest, row: RequestLog) -> Tab:
    """The tab that the address names, else the conversation if the user may see it."""
    usual = "conversation" if may_read(request.user, row) else "timeline"
    return TABS.get(request.GET.get("tab", ""), TABS[usual])


def shown(row: RequestLog, request: HttpRequest, tab: Tab) -> dict[str, Any]:
    """What the template of a tab needs, or a `note` why there is nothing. Notes the read."""
    if not tab.content:
        return tab.make(row, None, request)
    if not may_read(request.user, row):
        return {"note": NOT_ALLOWED}
    try:
        stored = bodies.stored(row.request_id)
        if stored is None:
            return {"note": NOT_KEPT}
        note_read(request.user, row.request_id, tab.name)
        return tab.make(row, stored, request)
    except bodies.UnreadableContent:
        return {"note": DAMAGED}


def _conversation(
    row: RequestLog, stored: bodies.StoredBodies | None, _request: HttpRequest
) -> dict[str, Any]:
    assert stored is not None
    received = stored.text("received")
    if received is None:
        return {"note": NOT_KEPT}
    try:
        asked = jsontext.loads(received)
    except (jsontext.InvalidJSON, RecursionError):
        return {"note": _("The request was not JSON; see it as it was received.")}
    answer = read_answer(stored.text("returned") or b"")
    error = (
        "" if answer.error is None else f"{answer.error.get('type', '')}: {answer.error.get('message', '')}"
    )
    return {"conversation": conversation(asked, answer.message), "error": inert(error)}


def _compare(row: RequestLog, stored: bodies.StoredBodies | None, _request: HttpRequest) -> dict[str, Any]:
    assert stored is not None
    received, sent = stored.text("received"), stored.text("sent")
    if received is None or sent is None:
        return {"note": _("There is nothing to compare: the request was not sent on.")}
    one, other = side_by_side(received, sent)
    return {"sides": [(TABS["received"].title, one), (TABS["sent"].title, other)]}


def _part(part: str) -> Callable[[RequestLog, bodies.StoredBodies | None, HttpRequest], dict[str, Any]]:
    def make(_row: RequestLog, stored: bodies.StoredBodies | None, _request: HttpRequest) -> dict[str, Any]:
        assert stored is not None
        text = stored.text(part)
        if not text:
            return {"note": NOTHING_THERE}
        told: dict[str, Any] = {"part": part, "html": folded(text), "size": stored.size(part)}
        if part == "received":
            told["headers"] = inert(json.dumps(stored.headers["request"], indent=2, ensure_ascii=False))
        return told

    return make


def _curl(row: RequestLog, stored: bodies.StoredBodies | None, request: HttpRequest) -> dict[str, Any]:
    assert stored is not None
    received = stored.text("received")
    if received is None:
        return {"note": NOT_KEPT}
    path = "/v1/messages/count_tokens" if row.endpoint == "count_tokens" else "/v1/messages"
    address = base_url(gateway_conf(), request.build_absolute_uri("/")) + path
    return {"command": reproduce.command(address, stored.headers["request"], received)}


def _timeline(row: RequestLog, _stored: bodies.StoredBodies | None, _request: HttpRequest) -> dict[str, Any]:
    return request_timeline(row)


def _ledger(row: RequestLog, _stored: bodies.StoredBodies | None, _request: HttpRequest) -> dict[str, Any]:
    entries = [entry for entry in row.ledger if isinstance(entry, dict)]
    names = ("code", "path", "note")
    return {"entries": [{name: inert(str(entry.get(name, ""))) for name in names} for entry in entries]}


TABS: Final[dict[str, Tab]] = {
    tab.name: tab
    for tab in (
        Tab("conversation", gettext_lazy("Conversation"), _conversation),
        Tab("compare", gettext_lazy("Received and sent"), _compare),
        Tab("received", gettext_lazy("As received"), _part("received")),
        Tab("sent", gettext_lazy("As sent upstream"), _part("sent")),
        Tab("answered", gettext_lazy("Upstream's answer"), _part("answered")),
        Tab("returned", gettext_lazy("Events to the client"), _part("returned")),
        Tab("timeline", gettext_lazy("Timeline"), _timeline, content=False),
        Tab("ledger", gettext_lazy("Ledger"), _ledger, content=False),
        Tab("curl", gettext_lazy("As curl"), _curl),
    )
}
assert set(RequestBody.PARTS) <= TABS.keys()
