"""The first screen of a request's page: what was asked, where it went, how it ended."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.caching.miss_words import miss_in_words
from gateway.admin.requests import request_cells
from gateway.admin.ui.html_format import code, milliseconds, number
from gateway.admin.ui.sanitize import inert
from gateway.models import CacheMiss, ModelMapping, Provider, RequestLog


def _provider(row: RequestLog, user: Any) -> str:
    """The provider's name, linked for those who may see it; the slug of one that is gone."""
    record = Provider.objects.filter(slug=row.provider).first() if row.provider else None
    if record is None:
        return inert(row.provider)
    if not user.has_perm("gateway.view_provider"):
        return inert(record.name)
    address = reverse("admin:gateway_provider_change", args=[record.pk])
    return format_html('<a class="gw-link" href="{}">{}</a>', address, inert(record.name))


def _mapping(row: RequestLog, user: Any) -> str:
    shown = code(inert(row.mapping)) if row.mapping else ""
    if not (shown and user.has_perm("gateway.view_modelmapping")):
        return shown
    if not (row.mapping_pk and ModelMapping.objects.filter(pk=row.mapping_pk).exists()):
        return shown
    address = reverse("admin:gateway_modelmapping_change", args=[row.mapping_pk])
    return format_html('<a class="gw-link" href="{}">{}</a>', address, shown)


def _where_now(row: RequestLog, user: Any) -> str:
    """A link to where today's mappings would send such a request, for those who may see mappings."""
    if not (row.asked_model and user.has_perm("gateway.view_modelmapping")):
        return ""
    address = f"{reverse('admin:gateway_modelmapping_where')}?{urlencode({'request': row.request_id})}"
    return format_html('<a class="gw-link" href="{}">{}</a>', address, gettext("where would it go?"))


def _arm(row: RequestLog) -> str:
    """The target assigned to the session, with its share of the sessions at that time."""
    if not row.arm:
        return ""
    share = "" if row.arm_share is None else f" ({100 * row.arm_share:.3g} %)"
    return format_html("{}{}", code(inert(row.arm)), share)


def cards(row: RequestLog, user: Any) -> list[tuple[Any, Any]]:
    """Three titled lists of facts, with links to what `user` may see."""
    replay = RequestLog.objects.filter(request_id=row.replay_of).first() if row.replay_of else None
    return [
        (
            _("What was asked"),
            request_cells.facts(
                (_("model"), code(inert(row.asked_model))),
                (_("kind"), row.get_endpoint_display()),
                (_("streamed"), _("yes") if row.streamed else _("no")),
                (_("client key"), request_cells.key(row) if row.key_name or row.client_key_id else ""),
                (_("session"), request_cells.session(row) if row.session_id else ""),
                (_("purpose"), request_cells.purpose(row)),
                (_("compaction"), inert(row.compaction)),
                (_("prompt"), request_cells.prompt(row)),
                (_("tools ran"), request_cells.durations(row)),
                (_("agent"), inert(row.agent_id)),
                (_("agent type"), inert(row.agent_type)),
                (_("of agent"), inert(row.parent_agent_id)),
                (_("facts"), request_cells.facts_for_rules(row)),
                (_("client"), inert(row.client)),
                (_("address"), inert(row.client_address)),
                (_("caller's request id"), inert(row.caller_request_id)),
                (_("policy checksum"), inert(row.settings_checksum)),
                (_("replay of"), replay and request_cells.link(replay)),
            ),
        ),
        (
            _("Where it went"),
            request_cells.facts(
                (_("provider"), _provider(row, user)),
                (_("upstream model"), code(inert(row.upstream_model)) if row.upstream_model else ""),
                (_("by the mapping"), _mapping(row, user)),
                (_("now"), _where_now(row, user)),
                (_("the session is with"), _arm(row)),
                (_("attempts"), number(row.attempts)),
                (_("provider's request id"), inert(row.upstream_request_id)),
                (_("ledger entries"), number(row.ledger_count)),
            ),
        ),
        (
            _("How it ended"),
            request_cells.facts(
                (_("state"), "" if row.state == "ok" else row.get_state_display()),
                (_("stop reason"), inert(row.stop_reason)),
                (_("error"), inert(f"{row.error_type}: {row.error_message}") if row.error_type else ""),
                (_("first byte"), milliseconds(row.first_byte_ms)),
                (_("duration"), milliseconds(row.duration_ms)),
                (_("tokens in"), number(row.input_tokens)),
                (_("tokens out"), number(row.output_tokens)),
                (_("from the cache"), number(row.cache_read_tokens)),
                (_("into the cache"), number(row.cache_write_tokens)),
                (_("missed the cache"), cache_miss(row)),
                (_("thinking"), number(row.thinking_tokens)),
                (_("cost"), request_cells.cost(row)),
                (_("price"), inert(row.price_source)),
                (_("service tier"), inert(row.service_tier)),
                (_("tools called"), request_cells.tools(row)),
                (_("safety verdicts"), request_cells.verdicts(row, user)),
            ),
        ),
    ]


def cache_miss(row: RequestLog) -> str:
    """Why a request missed the provider's cache; empty if it did not."""
    return miss_in_words(CacheMiss.objects.filter(log=row).first())
