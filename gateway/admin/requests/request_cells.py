"""How the columns of the history and the facts of a request look."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from gateway.admin.ui.html_format import NOTHING, Tone, badge, dollars, number
from gateway.admin.ui.list_filters import requests_url
from gateway.admin.ui.sanitize import inert
from gateway.history.access import may_read, note_read
from gateway.models import RequestLog, SafeguardVerdict
from gateway.models.configuration.condition_words import fact_words
from gateway.models.history.request_log import State
from gateway.routing.conditions import in_order

_TONES: Final[dict[str, Tone]] = {
    "open": "info",
    "ok": "good",
    "error": "bad",
    "cancelled": "warn",
    "broken": "bad",
    "interrupted": "warn",
}
MOST_TOOLS: Final = 3
# characters of an error message in the list
MOST_LETTERS: Final = 60


def state(row: RequestLog) -> SafeString:
    """The HTTP status if it says more than the state, else the state."""
    tone = _TONES.get(row.state, "plain")
    text = row.get_state_display()
    if row.state in ("ok", "error") and row.status is not None:
        shown = badge(str(row.status), "warn" if row.state == "error" and row.status < 500 else tone, text)
    else:
        shown = badge(text, tone, str(row.status or ""))
    return shown if row.state == State.OK else format_html("{}{}", shown, why(row))


def why(row: RequestLog) -> SafeString:
    """The error type and the first words of the message of a request that failed; "" without any."""
    said = inert(row.error_message)
    kind = inert(row.error_type)
    if not (said or kind):
        return SafeString("")
    return format_html(
        '<span class="gw-why" title="{}"><b>{}</b> {}</span>', said, kind, Truncator(said).chars(MOST_LETTERS)
    )


def key(row: RequestLog) -> SafeString:
    """The name of the client key, linked to it."""
    if row.client_key_id is None:
        return short(row.key_name)
    name = inert(row.key_name) or f"#{row.client_key_id}"
    address = reverse("admin:gateway_clientkey_change", args=[row.client_key_id])
    return format_html('<a class="gw-short" href="{}" title="{}">{}</a>', address, name, name)


def models(row: RequestLog) -> SafeString:
    """asked model -> upstream model"""
    asked = inert(row.asked_model) or "–"
    if not row.upstream_model or row.upstream_model == row.asked_model:
        return format_html('<span class="gw-model" title="{}">{}</span>', asked, asked)
    upstream = inert(row.upstream_model)
    return format_html(
        '<span class="gw-models"><span class="gw-model" title="{}">{}</span> '
        '<span class="gw-to" title="{}">→&nbsp;{}</span></span>',
        asked,
        asked,
        upstream,
        upstream,
    )


def short(text: str) -> SafeString:
    """A name, shortened if it is long; a tooltip shows the whole."""
    name = inert(text)
    return format_html('<span class="gw-short" title="{}">{}</span>', name, name) if name else NOTHING


def purpose(row: RequestLog) -> SafeString:
    """The purpose of the request, marked if the client did not state it."""
    words = row.get_request_class_display() if row.request_class != "unknown" else ""
    task = row.get_task_display()
    text = f"{words}: {task}" if task else words
    if not text:
        return NOTHING
    about = (
        badge(_("inferred"), "plain", _("The client did not say; its shape does."))
        if row.class_inferred
        else ""
    )
    return format_html("{} {}", text, about)


def prompt(row: RequestLog) -> SafeString:
    """The prompt's id, linked to all requests that it caused."""
    if not row.prompt_id:
        return NOTHING
    address = requests_url({"prompt": row.prompt_id})
    return format_html('<a class="gw-id" href="{}">{}</a>', address, inert(row.prompt_id))


def verdicts(row: RequestLog, user: Any) -> SafeString:
    """The verdicts of rules and the classifier on the calls, and what the classifier cost.

    Why a call was blocked is shown to who may read the contents, because a model's words may quote them.
    Notes that read.
    """
    ordered = list(row.verdicts.order_by("number"))
    if any(one.reason for one in ordered) and may_read(user, row):
        note_read(user, row.request_id, "safety verdicts")
        told = ((verdict(one), _reason(one)) for one in ordered)
    else:
        told = ((verdict(one), "") for one in ordered)
    said = format_html_join(", ", "{}{}", told)
    checks = {one.check_id for one in ordered if one.check_id}
    check = RequestLog.objects.filter(request_id__in=checks).first() if checks else None
    return said if check is None else format_html("{} · {}: {}", said, _("cost"), cost(check))


def verdict(one: SafeguardVerdict) -> SafeString:
    """The tool, the decision on its call, and what decided."""
    by = decided_by(one)
    return format_html("{}: {} ({})" if by else "{}: {}", inert(one.tool), one.get_decision_display(), by)


def _reason(one: SafeguardVerdict) -> SafeString | str:
    return format_html(" – {}: <q>{}</q>", _("reason"), inert(one.reason)) if one.reason else ""


def decided_by(one: SafeguardVerdict) -> SafeString:
    """The rule or the model that decided, linked to the rule or to the request that asked the model."""
    if one.rule_id:
        address = reverse("admin:gateway_safeguardrule_change", args=[one.rule_id])
        words = _("rule %(number)d") % {"number": one.rule_id}
    elif one.check_id:
        address = requests_url({"q": one.check_id})
        took = "" if one.took_ms is None else f"{one.took_ms} ms"
        words = ", ".join(filter(None, (inert(one.model), one.unavailable, took))) or one.check_id
    else:
        return format_html("{}", one.unavailable)
    return format_html('<a class="gw-link" href="{}">{}</a>', address, words)


def durations(row: RequestLog) -> str:
    """How long the tools ran whose results the request contains."""
    pairs = [pair for pair in row.tool_durations if isinstance(pair, list) and len(pair) == 2]
    return ", ".join(f"{inert(str(name))} {took} ms" for name, took in pairs)


def facts_for_rules(row: RequestLog) -> str:
    """Facts for conditions that the page shows nowhere else: the size estimated before routing, and what the
    request asked for."""
    stored = row.facts if isinstance(row.facts, dict) else {}
    found = []
    for fact in in_order(stored):
        value = stored[fact]
        if fact == "header" and isinstance(value, dict):
            found += [f"{fact_words(f'header.{name}')} = {text}" for name, text in sorted(value.items())]
        elif value is True:
            found.append(fact_words(fact))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            shown = f"{value:,}" if isinstance(value, int) else shown
            found.append(f"{fact_words('tools.name' if fact == 'tool_names' else fact)} = {shown}")
    return inert("; ".join(found))


def session(row: RequestLog) -> SafeString:
    """The beginning of the session id, linked to the session; subagents are marked."""
    if not row.session_id:
        return NOTHING
    agent = badge(_("agent"), "info", inert(row.agent_id)) if row.agent_id else ""
    return format_html(
        '<a class="gw-id" href="{}" title="{}">{}</a> {}',
        session_address(row),
        inert(row.session_id),
        inert(row.session_id[:8]),
        agent,
    )


def tokens(row: RequestLog) -> SafeString:
    """in + out (cached); estimates are marked."""
    if row.input_tokens is None and row.output_tokens is None:
        return NOTHING
    about = "≈\u202f" if row.usage_estimated else ""
    text = f"{about}{_count(row.input_tokens)} + {_count(row.output_tokens)}"
    if not row.cache_read_tokens:
        return format_html('<span class="gw-num">{}</span>', text)
    cached = f"{row.cache_read_tokens:,}"
    return format_html('<span class="gw-num">{} <span class="gw-cached">({})</span></span>', text, cached)


def cost(row: RequestLog) -> SafeString:
    """US dollars, marked if the tokens are estimated; or that there is no price."""
    if row.state == State.OPEN:
        return NOTHING
    if row.cost is None:
        return badge(_("unpriced"), "plain", _("No price is known for this model: set one under Prices."))
    about = "≈\u202f" if row.usage_estimated and row.cost else ""
    return format_html("{}{}", about, dollars(row.cost))


def tools(row: RequestLog) -> SafeString:
    """The tools that the answer calls, with the number of calls; failures of earlier calls are marked."""
    names = [inert(str(name)) for name in row.tools_called]
    counted = [
        f"{name} ×{names.count(name)}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    ]
    more = len(counted) - MOST_TOOLS
    shown = ", ".join(counted[:MOST_TOOLS]) + (f" +{more}" if more > 0 else "")
    failed = [inert(str(name)) for name in row.tools_failed]
    mark = badge(_("%(count)s failed") % {"count": len(failed)}, "warn", ", ".join(failed)) if failed else ""
    if not shown and not mark:
        return NOTHING
    return format_html('<span class="gw-short" title="{}">{}</span> {}', ", ".join(counted), shown, mark)


def ledger(row: RequestLog) -> SafeString:
    """The number of changes that the conversion recorded."""
    return number(row.ledger_count) if row.ledger_count else NOTHING


def session_address(row: RequestLog) -> str:
    """The address of the session's page."""
    return reverse("admin:gateway_sessiontotal_change", args=[quote(row.session_id)])


def facts(*pairs: tuple[Any, Any]) -> SafeString:
    """A list of names and values without the empty ones."""
    return format_html_join(
        "",
        "<dt>{}</dt><dd>{}</dd>",
        [(name, value) for name, value in pairs if value not in ("", None, NOTHING)],
    )


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def link(row: RequestLog, text: Any = "") -> SafeString:
    """A link to the page of a request."""
    address = reverse("admin:gateway_requestlog_change", args=[row.pk])
    return format_html('<a class="gw-id" href="{}">{}</a>', address, text or row.request_id)
