"""Replay and compare: a request sent again to one or several targets, and the answers side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from gateway.admin.requests import request_cells
from gateway.admin.requests.conversation import ShownTurn, conversation
from gateway.admin.ui.html_format import milliseconds
from gateway.admin.ui.sanitize import inert
from gateway.app.runtime import runtime
from gateway.history.access import note_read
from gateway.history.content import bodies
from gateway.models import MappingTarget, Provider, RequestLog
from gateway.relay.request_replay import ReplayTarget, replayed
from gateway.wire.message_reader import read_answer

PERMISSION: Final = "gateway.replay_requestlog"
MOST_CHOICES: Final = 6
MOST_COLUMNS: Final = 12


@dataclass(frozen=True, slots=True)
class Column:
    """One answer: its row, facts and content (None: `note` says why)."""

    row: RequestLog
    facts: Any
    answer: ShownTurn | None
    note: str


def may_replay(user: Any) -> bool:
    """Whether a user may send requests of the history again, which costs money."""
    return bool(user.has_perm(PERMISSION))


def page(model_admin: Any, request: HttpRequest, row: RequestLog) -> HttpResponse:
    """The page for `row`. A POST asks the chosen targets and redirects to it."""
    received = _received(row)
    if request.method == "POST" and received is not None:
        choices = _choices(request)
        if choices:
            _ask(row, choices, *received)
        else:
            messages.error(request, _("Choose at least one target."))
        return HttpResponseRedirect(request.get_full_path())
    found = [row, *RequestLog.objects.filter(replay_of=row.request_id).order_by("-started_at")[:MOST_COLUMNS]]
    note_read(request.user, row.request_id, "replay")
    context = model_admin.page_context(
        request,
        _("Replay and compare"),
        row=row,
        kept=received is not None,
        targets=_targets(),
        providers=Provider.objects.filter(enabled=True).order_by("name").values_list("slug", "name"),
        columns=[_column(one) for one in found],
    )
    return TemplateResponse(request, "admin/gateway/requestlog/replay.html", context)


def _ask(row: RequestLog, choices: Sequence[ReplayTarget], headers: dict[str, str], body: bytes) -> None:
    async def ask() -> None:
        gateway = await runtime.gateway()
        await asyncio.gather(
            *(
                replayed(gateway, choice, row.request_id, headers, body, row.asked_model, row.client_key_id)
                for choice in choices
            )
        )

    async_to_sync(ask)()


def _received(row: RequestLog) -> tuple[dict[str, str], bytes] | None:
    """The headers and the body as received; None if they are not kept."""
    try:
        stored = bodies.stored(row.request_id)
        body = None if stored is None else stored.text("received")
    except bodies.UnreadableContent:
        return None
    if stored is None or body is None or row.endpoint == "count_tokens":
        return None
    headers = {name: value for name, value in stored.headers["request"].items() if isinstance(value, str)}
    return headers, body


def _targets() -> list[tuple[str, MappingTarget]]:
    """The targets of enabled mappings, once for each mapping, with the values of their checkboxes."""
    targets = MappingTarget.objects.filter(enabled=True, provider__enabled=True, mapping__enabled=True)
    return [
        (str(target.pk), target)
        for target in targets.select_related("provider", "mapping").order_by(
            "mapping__position", "mapping_id", "position"
        )
    ]


def _choices(request: HttpRequest) -> list[ReplayTarget]:
    chosen = set(request.POST.getlist("target"))
    found = [
        ReplayTarget(target.provider.slug, target.upstream_model, target.mapping_id)
        for value, target in _targets()
        if value in chosen
    ]
    provider, model = request.POST.get("provider", ""), request.POST.get("model", "").strip()
    if Provider.objects.filter(slug=provider, enabled=True).exists():
        found.append(ReplayTarget(provider, model[:200]))
    return found[:MOST_CHOICES]


def _column(row: RequestLog) -> Column:
    answer: ShownTurn | None = None
    note = ""
    try:
        returned = bodies.rebuilt(row.request_id, "returned")
        read = read_answer(returned or b"")
        answer = conversation(None, read.message).answer
        if read.error is not None:
            note = inert(f"{read.error.get('type', '')}: {read.error.get('message', '')}")
        elif answer is None:
            note = _("Its answer is not kept.")
    except bodies.UnreadableContent:
        note = _("The stored data is damaged and cannot be shown.")
    facts = request_cells.facts(
        (_("provider"), inert(row.provider)),
        (_("upstream model"), inert(row.upstream_model)),
        (_("first byte"), milliseconds(row.first_byte_ms)),
        (_("duration"), milliseconds(row.duration_ms)),
        (_("tokens in + out (cached)"), request_cells.tokens(row)),
        (_("cost"), request_cells.cost(row)),
        (_("stop reason"), inert(row.stop_reason)),
        (_("tools"), request_cells.tools(row)),
    )
    return Column(row, facts, answer, note)
