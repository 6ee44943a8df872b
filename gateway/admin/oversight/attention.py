"""What needs attention: short items for the dashboard, each with the next step.

A source is a function from the present time to items; a new subject adds one to SOURCES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gateway.admin.keys.key_usage import NEARLY
from gateway.conf import gateway_conf
from gateway.config.snapshot.loader import anonymous_allowed
from gateway.history.record import spool
from gateway.history.totals.dashboard import recent, unpriced_models
from gateway.limits.spent import budgets_of
from gateway.models import ClientKey, Decision, LearntOption, Provider, ProviderCredential

Urgency = Literal["problem", "warning", "hint"]
_FEW: Final = 5
_MANY: Final = 200
_OFTEN: Final = 0.5
_SOON: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Item:
    """One sentence, where to go, and how urgent it is."""

    text: str
    url: str = ""
    urgency: Urgency = "warning"


def items(now: datetime) -> list[Item]:
    """All items of all sources, the urgent ones first."""
    order = {"problem": 0, "warning": 1, "hint": 2}
    found = [item for source in SOURCES for item in source(now)]
    return sorted(found, key=lambda item: order[item.urgency])


def failing_providers(now: datetime) -> Iterator[Item]:
    for slug, numbers in recent(1, now).items():
        if slug and numbers.failed >= _FEW and numbers.failed_share >= _OFTEN:
            text = _("%(provider)s fails: %(failed)d of %(requests)d requests since the last full hour.")
            yield Item(
                text % {"provider": slug, "failed": numbers.failed, "requests": numbers.requests},
                reverse("admin:gateway_requestlog_changelist") + f"?provider={slug}&state=error",
                "problem",
            )


def credentials_set_aside(now: datetime) -> Iterator[Item]:
    for credential in ProviderCredential.objects.filter(set_aside_since__isnull=False).select_related(
        "provider"
    ):
        if credential.is_set_aside:
            text = _("%(credential)s of %(provider)s was refused and is not used: %(reason)s")
            yield Item(
                text
                % {
                    "credential": credential.shown_label,
                    "provider": credential.provider.name,
                    "reason": credential.set_aside_reason,
                },
                reverse("admin:gateway_provider_change", args=[credential.provider_id]),
                "problem",
            )


def options_that_wait(now: datetime) -> Iterator[Item]:
    number = LearntOption.objects.filter(decision=Decision.PROPOSED).count()
    if number:
        text = ngettext(
            "%(number)d option was learnt from a provider's refusal and waits for your word.",
            "%(number)d options were learnt from providers' refusals and wait for your word.",
            number,
        )
        link = reverse("admin:gateway_learntoption_changelist") + f"?decision__exact={Decision.PROPOSED}"
        yield Item(text % {"number": number}, link)


def spool_not_empty(now: datetime) -> Iterator[Item]:
    files = [path for path in gateway_conf().spool_folder.glob(f"*{spool.SUFFIX}") if path.stat().st_size]
    if files:
        yield Item(
            _("The database did not answer in time: %(files)d spool files wait to be written to the history.")
            % {"files": len(files)}
        )


def anonymous_access(now: datetime) -> Iterator[Item]:
    if anonymous_allowed(gateway_conf(), ClientKey.objects.exists()):
        text = _(
            "Requests without a client key are served. Issue keys and set ALLOW_ANONYMOUS=false to end that."
        )
        yield Item(text, reverse("admin:gateway_clientkey_add"))


def unpriced(now: datetime) -> Iterator[Item]:
    known = set(Provider.objects.values_list("slug", flat=True))
    for provider, model, number in unpriced_models(168, now)[:3]:
        if provider in known or not known:
            yield Item(
                ngettext(
                    "%(model)s of %(provider)s has no price: the cost of %(number)d request is unknown.",
                    "%(model)s of %(provider)s has no price: the cost of %(number)d requests is unknown.",
                    number,
                )
                % {"model": model, "provider": provider, "number": number},
                reverse("admin:gateway_modelprice_add") + f"?model={model}",
                "hint",
            )


def keys_that_expire(now: datetime) -> Iterator[Item]:
    soon = ClientKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lt=now + _SOON)
    for key in soon.order_by("expires_at")[:5]:
        yield Item(
            _("The client key %(key)s expires on %(day)s.")
            % {"key": key, "day": f"{key.expires_at:%Y-%m-%d}"},
            reverse("admin:gateway_clientkey_change", args=[key.pk]),
            "hint",
        )


def budgets_nearly_used(now: datetime) -> Iterator[Item]:
    """Keys that have little left of a budget; they are few, and each is one sum over its days."""
    text = _("The client key %(key)s has used %(percent)d %% of its budget; it begins anew on %(day)s.")
    keys = ClientKey.objects.filter(revoked_at=None).exclude(spend_budget=None, token_budget=None)
    for key in keys.order_by("pk")[:_MANY]:
        for budget in budgets_of(key, now.timestamp()):
            if budget.share >= NEARLY:
                facts = {"percent": round(100 * budget.share), "day": f"{budget.period.end:%Y-%m-%d}"}
                yield Item(
                    text % {"key": key, **facts},
                    reverse("admin:gateway_clientkey_change", args=[key.pk]),
                    "problem" if budget.share >= 1 else "warning",
                )


SOURCES: list[Callable[[datetime], Iterable[Item]]] = [
    failing_providers,
    credentials_set_aside,
    options_that_wait,
    spool_not_empty,
    anonymous_access,
    unpriced,
    keys_that_expire,
    budgets_nearly_used,
]
