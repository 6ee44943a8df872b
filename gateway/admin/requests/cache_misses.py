"""Why a request missed the provider's prompt cache, in the reader's language."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.config.snapshot.loader import load
from gateway.history.caching import diagnosis, differences
from gateway.history.caching.stored import miss_of
from gateway.models import RequestLog

# the words of the cache doctor (history/caching), which is no page and knows no language
_CULPRITS: Final = {"client": _("the client"), "gateway": _("the gateway"), "provider": _("the provider")}
_ITEMS: Final = {
    differences.MODEL: _("the model"),
    differences.SERVICE_TIER: _("the service tier"),
    differences.ROUTING_KEY: _("the routing key"),
    differences.EFFORT: _("the effort"),
    differences.FORMAT: _("the format of the answer"),
    differences.TOOLS: _("the list of tools"),
    differences.SYSTEM: _("the system text, block %(place)d"),
    differences.MESSAGE: _("message %(place)d"),
}
_REASONS: Final = {
    diagnosis.IDLE: _("it was idle for longer than the shortest lifetime"),
    diagnosis.CREDENTIAL: _("another credential was used"),
    diagnosis.TARGET: _("another target was asked"),
    diagnosis.LOADED: _("a tool was loaded, which changes the list in front of the conversation"),
    diagnosis.FORGOTTEN: _("it had the same prefix, and yet no hit"),
    diagnosis.SHORTER: _("the conversation began anew"),
    diagnosis.CHANGED: "",
}


def sentence(row: RequestLog) -> str:
    """Why a request was not read from the provider's cache; nothing when it was."""
    found = miss_of(row, lambda: load().prices)
    if found is None:
        return ""
    miss = found.miss
    facts: dict[str, Any] = {
        "tokens": miss.tokens,
        "money": "" if found.money is None else f" ($ {found.money:.4f})",
        "culprit": _CULPRITS[miss.culprit],
        "reason": _REASONS.get(miss.reason, miss.reason),
    }
    if miss.difference is None:
        return gettext("%(tokens)d tokens%(money)s: %(culprit)s, %(reason)s") % facts
    facts["item"] = str(_ITEMS[miss.difference.item]) % {"place": miss.difference.place or 0}
    if not facts["reason"]:
        return gettext("%(tokens)d tokens%(money)s: %(culprit)s changed %(item)s") % facts
    return gettext("%(tokens)d tokens%(money)s: %(culprit)s changed %(item)s (%(reason)s)") % facts
