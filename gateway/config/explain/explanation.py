"""Why a request would go where it goes: mapping, targets in order, and how each of them stands now."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gateway.config.explain.route_messages import reason_of_mapping, reason_of_target
from gateway.config.health_records import FORGET_AFTER
from gateway.config.snapshot.loader import load
from gateway.errors import GatewayError
from gateway.models import ClientKey, ProviderCredential, SetAsideTarget
from gateway.routing.allowed_models import model_allowed
from gateway.routing.facts import NO_FACTS, Facts
from gateway.routing.resolve import Considered, candidates, considered, resolve
from gateway.routing.shares import shares_of
from gateway.routing.snapshot import ConfigSnapshot, MappingRule

_NEXT_STEPS: Final[Mapping[str, object]] = {
    "UnknownModel": gettext_lazy("No enabled mapping matches. Add one, for example with the pattern *."),
    "NoUsableProvider": gettext_lazy(
        "The mapping matches, but its provider is disabled, or it has no enabled target. Enable the "
        "provider or a target, or disable the mapping."
    ),
    "CredentialUnreadable": gettext_lazy(
        "The mapping matches, but its provider's credential cannot be opened. "
        "Enter it again on the provider's page."
    ),
}
_KEY_STATES: Final[Mapping[str, object]] = {
    "expired": gettext_lazy("expired"),
    "revoked": gettext_lazy("revoked"),
    "owner_inactive": gettext_lazy("refused, because its owner is inactive"),
}


@dataclass(frozen=True, slots=True)
class TargetStanding:
    """One target of the winning mapping. `states`: sentences about what is set aside of it, best none.

    `usable`: requests may go there. `free`: something of it is left that is not set aside. `share`: of the
    sessions, in percent; None: it gets none of its own, or the mapping does not divide them.
    """

    number: int
    provider: str
    upstream_model: str
    base_url: str
    usable: bool
    free: bool
    states: tuple[str, ...]
    share: float | None = None


@dataclass(frozen=True, slots=True)
class MappingStanding:
    """One mapping that matches, whether it wins, and a sentence that says why."""

    rule: MappingRule
    won: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`problem`: what the client would be told instead, and the next step. `first`: the target asked now.

    `division`: a sentence about the shares of the sessions; "" if the mapping does not divide them.
    """

    asked_model: str
    problem: str = ""
    first: TargetStanding | None = None
    mapping: MappingStanding | None = None
    targets: tuple[TargetStanding, ...] = ()
    candidates: tuple[MappingStanding, ...] = field(default=())
    division: str = ""


def explained(
    asked_model: str, key: ClientKey | None = None, facts: Facts = NO_FACTS, session: str = ""
) -> Explanation:
    """Explain what becomes of a model, asked for with `key` or by anybody, in a request of these facts.

    `session`: the id of the session in which it is asked, "" for any.

    Raises what the database raises.
    """
    snapshot = load()
    found = tuple(
        MappingStanding(one.rule, one.won, reason_of_mapping(one))
        for one in candidates(snapshot, asked_model, facts)
    )
    found_targets = considered(snapshot, asked_model, facts)
    mapping = next((candidate for candidate in found if candidate.won), None)
    division = _division(mapping.rule if mapping else None, found_targets, session)
    targets = tuple(
        dataclasses.replace(_standing(number, one), share=division.share(one))
        for number, one in enumerate(division.ordered, 1)
    )
    usable = [target for target in targets if target.usable]
    first = next((target for target in usable if target.free), usable[0] if usable else None)
    return Explanation(
        asked_model,
        problem=_problem(snapshot, asked_model, key, facts),
        first=first,
        mapping=mapping,
        targets=targets,
        candidates=found,
        division=division.sentence,
    )


def set_aside(provider: str) -> list[str]:
    """Sentences about the targets of a provider that are set aside in any process."""
    now = timezone.now()
    return [_of_row(row, now) for row in _rows(provider, now)]


def refused(credentials: Iterable[ProviderCredential]) -> list[str]:
    """Sentences about the credentials that are set aside or switched off."""
    sentences = []
    for record in credentials:
        if not record.enabled:
            sentences.append(_("Credential %(label)s is disabled.") % {"label": record.shown_label})
        elif record.is_set_aside:
            sentences.append(_of_credential(record))
    return sentences


class _Division(NamedTuple):
    """The targets in the order in which a session asks them, and the share of each arm in percent."""

    ordered: tuple[Considered, ...]
    shares: Mapping[str, float]
    sentence: str = ""

    def share(self, one: Considered) -> float | None:
        return None if one.route is None else self.shares.get(one.target.arm)


def _division(rule: MappingRule | None, found: tuple[Considered, ...], session: str) -> _Division:
    usable = {one.target.arm for one in found if one.route is not None}
    if rule is None or rule.shares is None or not usable:
        return _Division(found, {})
    now = timezone.now().timestamp()
    weights = {arm: weight for arm, weight in rule.shares.at(now).weights.items() if arm in usable}
    shares = {arm: 100 * share for arm, share in shares_of(weights).items()}
    arm = rule.shares.arm(session.encode(), now, usable) if session else None
    if arm is None:
        return _Division(
            found, shares, _("Its sessions are divided among the targets; each stays with its own.")
        )
    first = next(one for one in found if one.route is not None and one.target.arm == arm.name)
    text = _("The session %(session)s is with %(arm)s, which has %(share)s %% of the sessions.")
    facts = {"session": session, "arm": arm.name, "share": f"{100 * arm.share:.3g}"}
    sentence = text % facts
    if arm.moved_from:
        sentence += " " + _("The last step moved it from %(arm)s.") % {"arm": arm.moved_from}
    return _Division((first, *(one for one in found if one is not first)), shares, sentence)


def _standing(number: int, one: Considered) -> TargetStanding:
    if one.route is None:
        model, provider = one.target.upstream_model, one.target.provider
        return TargetStanding(number, provider, model, "", False, False, (reason_of_target(one.cause),))
    provider_config, model = one.route.provider, one.route.upstream_model
    now = timezone.now()
    rows = [row for row in _rows(provider_config.slug, now) if row.upstream_model == model]
    records = list(ProviderCredential.objects.filter(provider__slug=provider_config.slug))
    away = refused(records)
    limited = {row.credential for row in rows if row.credential}
    # one credential that is left is enough
    left = len(records) - len(away) - len(limited) > 0 or not records
    cools = any(not row.credential for row in rows)
    states = (*(_of_row(row, now) for row in rows), *away)
    return TargetStanding(
        number, provider_config.name, model, provider_config.base_url, True, left and not cools, states
    )


def _rows(provider: str, now: datetime) -> list[SetAsideTarget]:
    # a process that died took nothing back
    rows = SetAsideTarget.objects.filter(provider=provider, until__gt=now - FORGET_AFTER)
    # a limit whose time is over is over; a target that cooled waits for its probe
    return [row for row in rows if not row.credential or row.until > now]


def _problem(snapshot: ConfigSnapshot, asked_model: str, key: ClientKey | None, facts: Facts) -> str:
    entry = snapshot.keys.get(key.digest) if key is not None else None
    if key is not None:
        if key.state() != "active":
            named = {"name": key.name, "state": _KEY_STATES[key.state()]}
            return _("The client key %(name)s is %(state)s; the client is told 401.") % named
        if not model_allowed(entry, asked_model, snapshot, facts):
            return _("The client key %(name)s may not ask for this model; the client is told 403.") % {
                "name": key.name
            }
    try:
        resolve(snapshot, asked_model, facts)
    except GatewayError as error:
        told = _("The client is told %(status)s: %(message)s") % {
            "status": error.status,
            "message": error.message,
        }
        return f"{_NEXT_STEPS[type(error).__name__]} {told}"
    return ""


def _of_row(row: SetAsideTarget, now: datetime) -> str:
    if row.credential:
        sentence = _("%(model)s: credential %(credential)s is at its limit until %(until)s")
    elif row.until > now:
        sentence = _("%(model)s: set aside since %(since)s (failures: %(failures)s), probed at %(until)s")
    else:
        sentence = _("%(model)s: set aside since %(since)s (failures: %(failures)s), about to be probed")
    facts = {
        "model": row.upstream_model,
        "credential": row.credential,
        "since": _time(row.since),
        "until": _time(row.until),
        "failures": row.failures,
    }
    return f"{sentence % facts} ({row.process}): {row.reason}"


def _of_credential(record: ProviderCredential) -> str:
    sentence = _("Credential %(label)s is set aside since %(since)s; the provider said")
    facts = {"label": record.shown_label, "since": _time(record.set_aside_since)}
    status = f" {record.set_aside_status}" if record.set_aside_status else ""
    return f"{sentence % facts}{status}: {record.set_aside_reason}"


def _time(moment: datetime | None) -> str:
    return date_format(localtime(moment), "DATETIME_FORMAT") if moment else "–"
