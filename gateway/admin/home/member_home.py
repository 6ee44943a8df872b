"""What a person without further rights has: keys, budgets, how to start, and the last sessions."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.translation import gettext as _

from gateway.admin.keys.key_usage import (
    KeyUsage,
    shown_budgets,
    shown_person_budgets,
    shown_person_limits,
    usage_of_keys,
)
from gateway.admin.sessions.subjects import NOTHING, subjects
from gateway.admin.ui.html_format import ago, code, dollars, number, state_badge
from gateway.admin.ui.sanitize import inert
from gateway.config.startup.client_setup_text import claude_code_lines
from gateway.history.access import owned_keys
from gateway.history.totals import sessions
from gateway.models import ClientKey, Origin, PersonBudget, SessionTotal

MOST_SESSIONS: Final = 5
# more keys than people have; the most recently used come first
MOST_KEYS: Final = 20
_PLACEHOLDER: Final = "ccp_…"


def member_home(user: Any, address: str) -> dict[str, Any] | None:
    """What the page shows; None for a person without keys and sessions.

    `address`: where clients find the gateway.
    """
    keys = list(owned_keys(user).order_by("-last_used", "-created")[:MOST_KEYS])
    mine = SessionTotal.objects.filter(holder=f"{sessions.OWNER}{user.pk}").order_by("-last_at")
    last = list(mine[:MOST_SESSIONS])
    if not keys and not last:
        return None
    usage = usage_of_keys(key.pk for key in keys)
    about = subjects(user, last)
    budget = PersonBudget.objects.filter(user=user).first()
    return {
        "keys": [_key(key, usage[key.pk][-1]) for key in keys],
        "budgets": [] if budget is None else shown_person_budgets(budget),
        "person_limits": [] if budget is None else shown_person_limits(budget),
        "lines": "\n".join(claude_code_lines(address, _PLACEHOLDER)),
        "sessions": [_session(total, about.get(total.pk, NOTHING).title) for total in last],
        "sessions_address": reverse("admin:gateway_sessiontotal_changelist"),
    }


def _key(key: ClientKey, month: KeyUsage) -> dict[str, Any]:
    rotates = key.state() == "active" and key.origin not in (Origin.ENVIRONMENT, Origin.SIGN_IN)
    return {
        "name": inert(key.name),
        "address": reverse("admin:gateway_clientkey_change", args=[key.pk]),
        "shown": code(key.shown),
        "state": state_badge(key.state()),
        "last_used": ago(key.last_used),
        "requests": number(month.requests),
        "cost": dollars(month.cost),
        "unpriced": month.unpriced,
        "budgets": shown_budgets(key),
        "rotate": reverse("admin:gateway_clientkey_rotate", args=[key.pk]) if rotates else "",
    }


def _session(total: SessionTotal, title: str) -> dict[str, Any]:
    return {
        "title": title or _("Session %(id)s") % {"id": inert(total.session_id[:8])},
        "address": reverse("admin:gateway_sessiontotal_change", args=[quote(total.session_id)]),
        "last": ago(total.last_at),
        "requests": number(total.requests),
        "cost": dollars(total.cost),
    }
