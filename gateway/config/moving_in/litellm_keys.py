"""LiteLLM's virtual keys, from the list that it gives (`/key/list?return_full_object=true`).

The list has digests and no secrets, so clients go on with the keys they have. A key must not be able to do
more here than there: one with a restriction that cannot be kept comes as an expired key, for an admin to look
at.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from gateway import patterns
from gateway.config.moving_in.draft import Draft, Fate

_DURATION: Final = patterns.compiled(r"([0-9]{1,6})(s|m|h|d|w|mo)")
_DAYS: Final = {"s": 1 / 86400, "m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "mo": 30}
_PERIODS: Final = {"day": 1, "week": 7, "month": 30}
# what the columns of a budget and of a limit can hold
_MOST_BUDGET: Final = Decimal(10**10)
_MOST_LIMIT: Final = 2_147_483_647
# words in a key's list of models
_EVERY_MODEL: Final = frozenset({"all-proxy-models"})
_TEAMS_MODELS: Final = "all-team-models"
_NO_MODEL: Final = "no-default-models"
_LIMITS: Final = {
    "rpm_limit": "requests_per_minute",
    "tpm_limit": "input_tokens_per_minute",
    "max_parallel_requests": "concurrent_requests",
}
_READ: Final = frozenset(
    {
        "token",
        "key_alias",
        "key_name",
        "blocked",
        "models",
        "expires",
        "max_budget",
        "budget_duration",
        *_LIMITS,
    }
)
# what is noted of a key, and restricts nothing
_NOTED: Final = frozenset(
    {"spend", "created_at", "created_by", "updated_at", "updated_by", "last_active", "last_refreshed_at",
     "budget_reset_at", "rotation_count", "last_rotation_at"}
)  # fmt: skip
# what restricts nothing and is lost
_LOST: Final = frozenset({"user_id", "user_email", "metadata", "tags", "soft_budget", "soft_budget_cooldown"})
_EXPIRED: Final = "2000-01-01T00:00:00+00:00"


class _KeyReader:
    """One key of the list: its entry, and whether something that restricts it was not taken."""

    def __init__(self, given: Mapping[str, Any], where: str, draft: Draft) -> None:
        self._given, self._where, self._draft = given, where, draft
        self.is_freer = False

    def changed(self, name: str, text: str) -> None:
        self._draft.say(Fate.CHANGED, f"{self._where}.{name}", text)

    def lost(self, name: str, text: str) -> None:
        """A restriction that is not kept."""
        self._draft.say(Fate.MISSING, f"{self._where}.{name}", text)
        self.is_freer = True

    def entry(self) -> dict[str, Any]:
        found = {"allowed_models": self._models(), **self._limits(), **self._budget(), **self._end()}
        for name in sorted(map(str, self._given.keys() - _READ - _NOTED)):
            if self._given.get(name) in (None, "", [], {}, False):
                continue
            if name in _LOST:
                self._draft.say(Fate.MISSING, f"{self._where}.{name}", _("has no counterpart here"))
            else:
                self.lost(name, _("has no counterpart here, and may restrict the key"))
        return {**found, "expires_at": _EXPIRED} if self.is_freer else found

    def _models(self) -> list[str]:
        models = self._given.get("models")
        if models is None:
            return []
        if not isinstance(models, list) or not all(isinstance(one, str) and one for one in models):
            self.lost("models", _("is not usable: a list of names has to stand there"))
            return []
        if _TEAMS_MODELS in models:
            self.lost("models", _("are those of a team; name them in allowed models"))
            return []
        return [] if _EVERY_MODEL & set(models) else models

    def _limits(self) -> dict[str, int]:
        found = {}
        for theirs, ours in _LIMITS.items():
            given = self._given.get(theirs)
            if given is None:
                continue
            number = _number(given)
            if number is None or number != number.to_integral_value() or not 0 < number <= _MOST_LIMIT:
                self.lost(theirs, _("is not usable: a whole number above 0 has to stand there"))
                continue
            found[ours] = int(number)
            if theirs == "tpm_limit":
                self.changed(theirs, _("is a limit of input tokens a minute"))
        return found

    def _budget(self) -> dict[str, Any]:
        given = self._given.get("max_budget")
        if given is None:
            return {}
        most = _number(given)
        if most is None or not 0 <= most < _MOST_BUDGET:
            self.lost("max_budget", _("is not usable: an amount of US dollars has to stand there"))
            return {}
        found = _DURATION.fullmatch(str(self._given.get("budget_duration") or ""))
        days = int(found.group(1)) * _DAYS[found.group(2)] if found else None
        period = "month" if days is None else "day" if days <= 1 else "week" if days <= 7 else "month"
        if days is None:
            self.changed("max_budget", _("is a budget a month here; there it is one for all time"))
        elif days != _PERIODS[period]:
            texts = {
                "day": _("is a budget a day here"),
                "week": _("is a budget a week here"),
                "month": _("is a budget a month here"),
            }
            self.changed("budget_duration", texts[period])
        # to whole cents, and never to more than it was
        cents = most.quantize(Decimal("0.01"), rounding=ROUND_DOWN)
        return {"spend_budget": str(cents), "budget_period": period}

    def _end(self) -> dict[str, str]:
        given = self._given.get("expires")
        if given is None:
            return {}
        if not isinstance(given, str) or not _is_moment(given):
            self.lost("expires", _("is not usable: a time has to stand there"))
            return {}
        return {"expires_at": given}


def translated(listed: Any, draft: Draft) -> None:
    """Put the keys of the list into the draft, and every part of it into the report."""
    entries = listed.get("keys") if isinstance(listed, dict) else listed
    for place, one in enumerate(draft.a_list(entries, "keys")):
        where = f"keys[{place}]"
        digest = one.get("token") if isinstance(one, dict) else None
        if (
            not isinstance(digest, str)
            or len(digest) != 64
            or not all(c in "0123456789abcdef" for c in digest)
        ):
            draft.say(Fate.MISSING, where, _("has no token digest; list keys with return_full_object=true"))
            continue
        name = str(one.get("key_alias") or one.get("key_name") or f"litellm-{digest[:8]}")[:100]
        where = f"{where} {name}"
        if one.get("blocked"):
            draft.say(Fate.MISSING, where, _("is blocked there"))
        elif isinstance(one.get("models"), list) and _NO_MODEL in one["models"]:
            draft.say(Fate.MISSING, where, _("may use no model; there are no such keys here"))
        else:
            reader = _KeyReader(one, where, draft)
            draft.keys.append({"name": name, "key": {"sha256": digest}, **reader.entry()})
            if reader.is_freer:
                text = _("client key, expired: it would do more here; set what is missing, and then its end")
                draft.say(Fate.CHANGED, where, text)
            else:
                draft.say(Fate.TAKEN, where, _("client key; clients go on with it"))


def _number(given: Any) -> Decimal | None:
    """A number, or a text that is one."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        number = Decimal(str(given))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _is_moment(text: str) -> bool:
    try:
        return parse_datetime(text) is not None or parse_date(text) is not None
    except ValueError:
        return False
