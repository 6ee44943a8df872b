"""What is kept of a key's requests, how long, who may read it and what is masked, for its owner."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.conf import gateway_conf
from gateway.config.snapshot.loader import secret_looks
from gateway.history.access import readers
from gateway.history.secrets import patterns
from gateway.models import ClientKey, Retention

_MOST_NAMES = 20


def policy_of(record: ClientKey) -> list[tuple[str, str]]:
    """(subject, sentences) in the order of the page."""
    kept = (record.capture or gateway_conf().capture_bodies) != "none"
    return [
        (_("What is kept"), _kept(kept)),
        (_("For how long"), _ages(Retention.current(), kept)),
        (_("Who reads contents"), _who()),
        (_("What is masked"), _masked()),
    ]


def _kept(kept: bool) -> str:
    if kept:
        return _("Of this key's requests the contents are kept; who reads them is noted.")
    return _("Of this key's requests no contents are kept: only times, models, sizes and errors.")


def _ages(retention: Retention, kept: bool) -> str:
    parts = [(_("requests"), retention.row_days), (_("sums by the hour"), retention.total_days)]
    if kept:
        parts.insert(0, (_("contents"), retention.body_days))
    said = "; ".join(f"{name}: {_days(days)}" for name, days in parts)
    return _("%(ages)s. What the law says must be kept may be kept longer.") % {"ages": said}


def _days(days: int | None) -> str:
    return _("for ever") if days is None else ngettext("%(days)d day", "%(days)d days", days) % {"days": days}


def _who() -> str:
    said = [_("Of all keys: %(names)s.") % {"names": _few(readers()) or _("nobody")}]
    if gateway_conf().owners_read_content:
        said.append(_("Of this key also its owner."))
    return " ".join(said)


def _masked() -> str:
    text = _("What looks like one of these is replaced before anything is stored: %(names)s.")
    return text % {"names": ", ".join(patterns.names(secret_looks()))}


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    said = ", ".join(names[:_MOST_NAMES])
    return said if more <= 0 else _("%(names)s and %(more)d more") % {"names": said, "more": more}
