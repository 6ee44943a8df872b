"""From an empty gateway to the first answer: the steps, and which of them are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from gateway.config.startup import demo
from gateway.models import ClientKey, Origin, Provider, RequestLog, Retention

# whoever may do this can do all of them
PERMISSION: Final = "gateway.add_provider"


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One step: `why` it is needed, and where it is done."""

    title: Any
    why: Any
    done: bool
    address: str
    button: Any


def setup_steps() -> list[SetupStep]:
    """The steps in order; empty once all are done."""
    provider = Provider.objects.filter(enabled=True).exclude(origin=Origin.DEMO).order_by("pk").first()
    mapped = not demo.demo_only()
    steps = [
        SetupStep(
            _("Add a provider"),
            _("Where the models are: an address and an API key, nothing else."),
            provider is not None,
            reverse("admin:gateway_provider_add"),
            _("Add a provider"),
        ),
        SetupStep(
            _("Say which model answers"),
            _("A mapping leads from the model that a client asks for to one of the provider's."),
            mapped,
            reverse("admin:gateway_modelmapping_add")
            if provider is None
            else reverse("admin:gateway_provider_models", args=[provider.pk]),
            _("Add a mapping") if provider is None else _("Load its models"),
        ),
        SetupStep(
            _("Issue a client key"),
            _("One for each person or machine: the history says who asked, and limits hold for each."),
            ClientKey.unretired().exists(),
            reverse("admin:gateway_clientkey_add"),
            _("Issue a client key"),
        ),
        SetupStep(
            _("Ask the first question"),
            _("The page of the new key has the lines that start Claude Code with it."),
            _answered(),
            reverse("admin:gateway_requestlog_live"),
            _("Watch it arrive"),
        ),
    ]
    if all(step.done for step in steps):
        return []
    decision = SetupStep(
        _("Decide how long contents are kept"),
        _("Until then they are kept for ever. 90 days are proposed."),
        Retention.objects.exists(),
        reverse("admin:gateway_retention_changelist"),
        _("Decide"),
    )
    return [*steps, decision]


def _answered() -> bool:
    demos = Provider.objects.filter(origin=Origin.DEMO).values("slug")
    answered = RequestLog.objects.filter(state="ok", endpoint="messages").exclude(provider="")
    return answered.exclude(provider__in=demos).exists()
