"""How facts look on pages: badges, times, numbers with units. Each function returns safe HTML.

Styles are in static/gateway/gateway.css. A cell that contains one `gw-num` is aligned to the right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

Tone = Literal["good", "warn", "bad", "info", "plain"]

NOTHING: Final[SafeString] = mark_safe('<span class="gw-none">–</span>')
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_STATES: Final[dict[str, tuple[Tone, Any]]] = {
    "open": ("info", gettext_lazy("open")),
    "done": ("good", gettext_lazy("done")),
    "failed": ("bad", gettext_lazy("failed")),
    "cancelled": ("warn", gettext_lazy("cancelled")),
    "interrupted": ("warn", gettext_lazy("interrupted")),
    "active": ("good", gettext_lazy("active")),
    "expired": ("warn", gettext_lazy("expired")),
    "revoked": ("bad", gettext_lazy("revoked")),
    "owner_inactive": ("bad", gettext_lazy("owner inactive")),
}


def badge(text: str | Promise, tone: Tone = "plain", title: str | Promise = "") -> SafeString:
    """A word in a coloured box; `title` appears on hover."""
    return format_html('<span class="gw-badge gw-{}" title="{}">{}</span>', tone, title, text)


def status_badge(status: int | None) -> SafeString:
    """An HTTP status: below 400 good, 4xx a warning, everything else bad."""
    if status is None:
        return NOTHING
    tone: Tone = "good" if status < 400 else "warn" if status < 500 else "bad"
    return badge(str(status), tone)


def state_badge(state: str, title: str | Promise = "") -> SafeString:
    """The state of a request or key, by its stored name; an unknown one is shown as it is."""
    tone, text = _STATES.get(state, ("plain", state))
    return badge(text, tone, title)


def switch_badge(on: bool) -> SafeString:
    """Whether something is enabled."""
    return badge(_("on"), "good") if on else badge(_("off"))


def ago(moment: datetime | None, now: datetime | None = None) -> SafeString:
    """A moment relative to now: `3 min ago`, `in 5 d`. The exact one appears on hover."""
    if moment is None:
        return NOTHING
    exact = date_format(localtime(moment), "Y-m-d H:i:s T")
    text = _relative((moment - (now or timezone.now())).total_seconds())
    return format_html('<time class="gw-time" datetime="{}" title="{}">{}</time>', iso(moment), exact, text)


def iso(moment: datetime) -> str:
    """A moment in ISO 8601, for the `datetime` attribute."""
    return localtime(moment).isoformat(timespec="seconds")


def _relative(seconds: float) -> str:
    distance = abs(seconds)
    if distance < _MINUTE:
        return _("in a moment") if seconds > 1 else _("just now")
    if distance < _HOUR:
        span = ngettext("%d min", "%d min", int(distance // _MINUTE)) % (distance // _MINUTE)
    elif distance < _DAY:
        span = ngettext("%d h", "%d h", int(distance // _HOUR)) % (distance // _HOUR)
    else:
        span = ngettext("%d day", "%d days", int(distance // _DAY)) % (distance // _DAY)
    return (_("in %(span)s") if seconds > 0 else _("%(span)s ago")) % {"span": span}


def number(value: float | Decimal | None, unit: str | Promise = "", places: int | None = None) -> SafeString:
    """A number with thousands separators and, smaller, its unit."""
    if value is None:
        return NOTHING
    text = number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)
    if not unit:
        return format_html('<span class="gw-num">{}</span>', text)
    return format_html('<span class="gw-num">{} <span class="gw-unit">{}</span></span>', text, unit)


def milliseconds(value: float | None) -> SafeString:
    """A duration in ms, shown in the unit that fits: ms, s, min, h or days."""
    if value is None:
        return NOTHING
    if value < 1000:
        return number(round(value), _("ms"))
    if value < 100_000:
        return number(value / 1000, _("s"), places=2 if value < 10_000 else 1)
    seconds = value / 1000
    for longest, unit, name in ((2 * _HOUR, _MINUTE, _("min")), (2 * _DAY, _HOUR, _("h"))):
        if seconds < longest:
            return number(seconds / unit, name, places=1)
    return number(seconds / _DAY, _("days"), places=1)


def size(octets: int | None) -> SafeString:
    """A size in bytes, shown as B, KB, MB or GB (of 1024)."""
    if octets is None:
        return NOTHING
    amount, unit = float(octets), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    return number(amount, unit, places=0 if unit == "B" else 1)


def dollars(value: Decimal | float | None) -> SafeString:
    """US dollars; small amounts with more decimal places."""
    if value is None:
        return NOTHING
    distance = abs(float(value))
    places = 2 if distance >= 1 or not distance else 4 if distance >= 0.01 else 6
    text = number_format(value, decimal_pos=places, use_l10n=True, force_grouping=True)
    return format_html('<span class="gw-num"><span class="gw-unit">$</span>{}</span>', text)


def plain(value: Decimal) -> str:
    """A plain decimal number: 2.500000 -> "2.5", 10.00 -> "10", 0E-10 -> "0"."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def code(text: str) -> SafeString:
    """A name in monospace: a model, a slug, a pattern."""
    return format_html('<code class="gw-code">{}</code>', text) if text else NOTHING


def time_column(field: str, description: str | Promise) -> Callable[[Any], SafeString]:
    """A column of a list: the moment in `field`, relative, sortable."""

    def column(record: Any) -> SafeString:
        return ago(getattr(record, field))

    return _named(column, field, description)


def number_column(
    field: str, description: str | Promise, unit: str | Promise = "", places: int | None = None
) -> Callable[[Any], SafeString]:
    """A column of a list: the number in `field`, aligned, sortable."""

    def column(record: Any) -> SafeString:
        return number(getattr(record, field), unit, places)

    return _named(column, field, description)


def _named(
    column: Callable[[Any], SafeString], field: str, description: str | Promise
) -> Callable[[Any], SafeString]:
    # the list names the cell after the function; Django's attributes say the rest
    facts = {"__name__": f"{field}_shown", "short_description": description, "admin_order_field": field}
    for name, value in facts.items():
        setattr(column, name, value)
    return column
