"""How often a provider's answers had to be repaired, by kind: a box on its page."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gateway.admin.ui.base import GatewayModelAdmin
from gateway.history.totals.dashboard import repairs_of

# names for the kinds of conversion/repairs.py
KINDS: Final = {
    "call": _("calls put together or left out"),
    "repetition": _("repetitions left out"),
    "placeholder": _("placeholders beside arguments"),
    "arguments": _("arguments that were no JSON object"),
    "name": _("names of tools with something around them"),
    "call id": _("ids of calls made or replaced"),
    "state": _("opaque data that came too late"),
    "marks": _("marks of a template in the text"),
    "characters": _("broken characters"),
    "form": _("answers in another form"),
    "choices": _("choices joined"),
    "stop reason": _("finish reasons changed"),
    "usage": _("token counts not believed or missing"),
}


class ProviderRepairs(GatewayModelAdmin):
    """Part of the provider's page."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        record = options.get("obj")
        if record is not None:
            context["repairs"] = [
                (KINDS.get(kind, kind), number) for kind, number in repairs_of(record.slug, timezone.now())
            ]
        return super().render_change_form(request, context, *args, **options)
