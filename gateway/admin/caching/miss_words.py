"""Words for a missed cache, in the reader's language; the history stores codes."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.sanitize import inert
from gateway.history.caching import diagnosis, differences
from gateway.history.caching.report import Advice
from gateway.models import CacheMiss
from gateway.models.history.cache_miss import Culprit

_ITEMS: Final = {
    differences.MODEL: _("the model"),
    differences.PROVIDER: _("the provider"),
    differences.SERVICE_TIER: _("the service tier"),
    differences.ROUTING_KEY: _("the routing key"),
    differences.EFFORT: _("the effort"),
    differences.FORMAT: _("the format of the answer"),
    differences.TOOLS: _("the list of tools"),
    differences.SYSTEM: _("the system text"),
    differences.MESSAGE: _("a message"),
}
_PLACES: Final = {
    differences.SYSTEM: _("the system text, block %(place)d"),
    differences.MESSAGE: _("message %(place)d"),
}
_REASONS: Final = {
    diagnosis.IDLE: _("it was idle for longer than the shortest cache lifetime"),
    diagnosis.CREDENTIAL: _("another credential was used"),
    diagnosis.TARGET: _("another target was asked"),
    diagnosis.LOADED: _("a tool was loaded, which changes the list in front of the conversation"),
    diagnosis.FORGOTTEN: _("it had the same prefix, and yet no hit"),
    diagnosis.SHORTER: _("the conversation started over"),
    diagnosis.NOT_KEPT: _("contents are not kept"),
    diagnosis.CHANGED: "",
}
SENTENCE: Final = _("%(culprit)s changed %(item)s")
BECAUSE: Final = _("%(culprit)s changed %(item)s (%(reason)s)")
FORGOT: Final = _("%(culprit)s: %(reason)s")


def reason_words(culprit: str, item: str, reason: str, place: int | None = None) -> str:
    """Who changed what, and why. `place` is an index from 0, as in a request's messages and blocks."""
    facts: dict[str, Any] = {
        "culprit": Culprit(culprit).label if culprit in Culprit.values else inert(culprit),
        "item": item_words(item, place),
        "reason": _REASONS.get(reason, inert(reason)),
    }
    if not item:
        return str(FORGOT) % facts
    return str(BECAUSE if facts["reason"] else SENTENCE) % facts


def item_words(item: str, place: int | None = None) -> str:
    """What differs, with the number of the message or block if it is known."""
    if place is not None and item in _PLACES:
        return str(_PLACES[item]) % {"place": place}
    return str(_ITEMS.get(item) or inert(item))


def miss_in_words(miss: CacheMiss | None) -> str:
    """One miss as a sentence with its tokens and money; "" for None."""
    if miss is None:
        return ""
    said = reason_words(miss.culprit, miss.item, miss.reason, miss.place)
    if miss.source:
        said = f"{said}: {inert(miss.source)}"
    money = "" if miss.money is None else f" ($ {miss.money:.4f})"
    return gettext("%(tokens)d tokens%(money)s: %(said)s") % {
        "tokens": miss.tokens, "money": money, "said": said,
    }  # fmt: skip


_ADVICE: Final = {
    "mcp_server": _(
        "The MCP server “%(server)s” changes its list of tools: %(share)s of the input of %(sessions)d "
        "sessions was billed in full again. Let it offer the same tools in the same order at each start, or "
        "turn it off where nobody needs it."
    ),
    "tools": _(
        "The list of tools changes within %(sessions)d sessions: %(share)s of their input was billed in full "
        "again. Connect MCP servers before a session begins, and do not turn tools on and off within it."
    ),
    "system": _(
        "The system text changes within %(sessions)d sessions: %(share)s of their input was billed in full "
        "again. Keep dates, states of files and other changing texts out of it."
    ),
    "loaded": _(
        "Tools that are loaded late change the list in front of the conversation: %(share)s of the input of "
        "%(sessions)d sessions was billed in full again. With the Responses API “late_tools: items” keeps "
        "the list; “deferred_tools: expose” sends all tools from the beginning."
    ),
    "target": _(
        "%(sessions)d sessions went from one target to another: %(share)s of their input was billed in full "
        "again. Look at the failures of the first target, and at rules that send single requests elsewhere."
    ),
    "credential": _(
        "%(sessions)d sessions went from one credential to another: %(share)s of their input was billed in "
        "full again. Caches belong to one account: look at the limits of the first credential."
    ),
    "idle": _(
        "%(sessions)d sessions paused for longer than a cache lives: %(share)s of their input was billed in "
        "full again. With “cache_lifetime: client” the client chooses a longer life, which costs more to "
        "write."
    ),
    "not_kept": _(
        "Contents are not kept (CAPTURE_BODIES), so nobody can say why %(sessions)d sessions lost %(share)s "
        "of their input."
    ),
}


def advice_in_words(one: Advice) -> str:
    """What to do about a kind of miss, and how much input it concerns."""
    return str(_ADVICE[one.kind]) % {
        "server": inert(one.source.removeprefix("mcp__")), "sessions": one.sessions,
        "share": f"{100 * one.share:.{0 if one.share >= 0.1 else 1}f} %",
    }  # fmt: skip
