"""Trying a provider from its pages: the test of the connection, and the models it offers.

Both call the provider over the network, so they are POST only and need the right to change providers;
viewing a page calls nobody.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gateway.admin.mappings.mapping_order import new_position, warn_of_unreached
from gateway.admin.providers.model_proposals import NamedModel, proposed
from gateway.admin.providers.provider_credentials import bring_credential_back
from gateway.admin.ui.env_owned_admin import OwnedRecordAdmin
from gateway.admin.ui.html_format import NOTHING, Tone, badge, milliseconds
from gateway.admin.ui.sanitize import inert
from gateway.conf import gateway_conf
from gateway.config.explain import probe_messages
from gateway.config.presets.presets import preset
from gateway.config.snapshot.model_sizes import keep_listed
from gateway.config.snapshot.providers import provider_config
from gateway.models import ClientKey, ModelMapping, Origin, Provider
from gateway.routing.network_path import DIRECT
from gateway.routing.snapshot import Credential, ProviderConfig
from gateway.upstream.trial.models_list import OfferedModel
from gateway.upstream.trial.probe import Level, listed, probed, tried_again

_TONES: Final[dict[str, Tone]] = {"passed": "good", "failed": "bad", "unclear": "warn", "skipped": "plain"}
# pattern of a new mapping instead of the model's own name
PATTERNS: Final = (
    ("*", gettext_lazy("every name (*)")),
    ("*opus*", gettext_lazy("names with opus")),
    ("*sonnet*", gettext_lazy("names with sonnet")),
    ("*haiku*", gettext_lazy("names with haiku")),
)


@dataclass(frozen=True)
class ShownLevel:
    """A level of the probe, as shown on a page."""

    title: str
    badge: SafeString
    time: SafeString
    sentence: str
    said: str


class ProviderTrials(OwnedRecordAdmin):
    """The views and addresses of both; a base class of ProviderAdmin."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("test/", wrap(self.test_unsaved_view), name="gateway_provider_test_unsaved"),
            path("<int:pk>/test/", wrap(self.test_view), name="gateway_provider_test"),
            path("<int:pk>/models/", wrap(self.models_view), name="gateway_provider_models"),
            *super().get_urls(),
        ]

    def test_unsaved_view(self, request: HttpRequest) -> HttpResponse:
        """POST the form of an unsaved provider: the levels, as a fragment of HTML."""
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        return self._tested(request, Provider())

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: the page of the test. POST, with or without the provider's form: the levels."""
        record = self._triable(request, pk)
        if request.method == "POST":
            return self._tested(request, record)
        context = self.page_context(
            request,
            _("Test connection"),
            record=record,
            original=record,
            model=record.first_model(),
            known_models=known_models(record),
        )
        return TemplateResponse(request, "admin/gateway/provider/test.html", context)

    def models_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: the page. POST `load`: ask the provider. POST `make`: make mappings for the chosen models."""
        record = self._triable(request, pk)
        if "make" in request.POST:
            return self._make_mappings(request, record)
        context = self.page_context(
            request, _("Models of the provider"), record=record, original=record, patterns=PATTERNS
        )
        if "load" in request.POST:
            config = self._config(record)
            self._note_trial(request, record, _("Loaded the models of %(url)s."), config)
            listing = listed(config, _models_path(record), preset(record.preset).sizes_endpoint)
            keep_listed(
                record, ((one.id, one.context_window, one.max_output_tokens) for one in listing.models)
            )
            named = [NamedModel(one.id, one.context_window or 0) for one in listing.models]
            # the demo steps back as soon as something real serves
            others = ModelMapping.objects.filter(enabled=True).exclude(origin=Origin.DEMO)
            taken = set(others.values_list("pattern", flat=True))
            chosen = proposed(named, taken)
            context |= {
                "levels": [_shown(level) for level in listing.levels],
                "models": [_offer(model, record, chosen.get(model.id, "")) for model in listing.models],
                "proposed": len(chosen),
                "loaded": True,
                "worked": bool(listing.models),
            }
        return TemplateResponse(request, "admin/gateway/provider/models.html", context)

    def _triable(self, request: HttpRequest, pk: int) -> Provider:
        record: Provider | None = self.get_object(request, str(pk))
        if record is None:
            raise Http404
        # the bare right, because records of the environment and the demo can be tried, too
        if not request.user.has_perm("gateway.change_provider"):
            raise PermissionDenied
        return record

    def _tested(self, request: HttpRequest, record: Provider) -> HttpResponse:
        model = request.POST.get("test_model", "").strip()
        stored = self._config(Provider.objects.get(pk=record.pk)) if record.pk else None
        try:
            config = self._typed_config(request, record)
        except ValueError as problems:
            return TemplateResponse(
                request, "admin/gateway/provider/levels.html", {"problems": problems.args[0]}
            )
        model = model or (record.first_model() if record.pk else "")
        self._note_trial(request, record, _("Tested the connection to %(url)s."), config)
        levels = probed(config, _models_path(record), model)
        context = {"levels": [_shown(level) for level in levels], "worked": _worked(levels)}
        if config == stored:
            # the result of an unsaved form says nothing about the saved provider
            tried = tried_again(config, levels, lambda alone: probed(alone, _models_path(record), model))
            context["tried_again"] = [self._settled(request, record, *one) for one in tried]
        return TemplateResponse(request, "admin/gateway/provider/levels.html", context)

    def _settled(self, request: HttpRequest, record: Provider, credential: Credential, good: bool) -> str:
        """Bring back a credential that is accepted again; returns a message."""
        if good and bring_credential_back(record, credential.id):
            text = _("%(label)s was set aside, is accepted again, and is used from now on.")
            self.log_change(request, record, _("Brought back after a test: %s.") % credential.label)
        elif good:
            text = _("%(label)s is accepted, and was brought back meanwhile.")
        else:
            text = _("%(label)s is still not accepted, and stays set aside.")
        return text % {"label": credential.label}

    def _typed_config(self, request: HttpRequest, record: Provider) -> ProviderConfig:
        """The provider as in the form, or the record without a form. Raises ValueError(problems)."""
        if "base_url" not in request.POST:
            return self._config(record)
        form = self.get_form(request, record if record.pk else None)(request.POST, instance=record)
        problems = [
            f"{form.fields[name].label or name}: {text}"
            for name, texts in form.errors.items()
            # fields that the test does not need may still be missing
            if name in form.fields and name not in ("name", "slug")
            for text in texts
        ]
        if problems:
            raise ValueError(problems)
        record.slug = record.slug or "unsaved"
        config = self._config(record)
        typed = _typed_credential(request.POST)
        if typed:
            return dataclasses.replace(
                config, credentials=(Credential(0, "typed", typed),), credential_unreadable=False
            )
        left_behind = record.left_behind() if record.pk else []
        if left_behind:
            text = _("Enter it again for this address, it was saved for another one: %(names)s.")
            raise ValueError([text % {"names": ", ".join(left_behind)}])
        return config

    def _note_trial(self, request: HttpRequest, record: Provider, text: str, config: ProviderConfig) -> None:
        """Log the address before it is called, because a credential may be sent there."""
        through = "" if record.proxy in ("", DIRECT) else f" ({record.proxy})"
        LogEntry.objects.create(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(Provider),
            object_id=str(record.pk or ""),
            object_repr=(record.name or config.base_url)[:200],
            action_flag=CHANGE,
            change_message=text % {"url": f"{config.base_url}{through}"},
        )

    def _config(self, record: Provider) -> ProviderConfig:
        return provider_config(record, gateway_conf())

    def _make_mappings(self, request: HttpRequest, record: Provider) -> HttpResponse:
        if not request.user.has_perm("gateway.add_modelmapping"):
            raise PermissionDenied
        made = []
        with transaction.atomic():
            for at in range(_count(request.POST)):
                name = request.POST.get(f"model-{at}-id", "").strip()
                pattern = request.POST.get(f"model-{at}-pattern", "").strip()[:200]
                if name and pattern:
                    # sizes are not copied into the mapping, where they would outlive the list
                    mapping = ModelMapping.objects.create(pattern=pattern, position=new_position(pattern))
                    mapping.lead_to(record, name[:200])
                    self.log_addition(request, mapping, _("Made from the models of %s.") % record.name)
                    made.append(mapping)
        if not made:
            self.message_user(request, _("No model was chosen; nothing was made."), messages.WARNING)
            return HttpResponseRedirect(reverse("admin:gateway_provider_models", args=[record.pk]))
        text = ngettext(
            "%(count)d mapping was made and is in force: %(names)s.",
            "%(count)d mappings were made and are in force: %(names)s.",
            len(made),
        )
        names = ", ".join(mapping.pattern for mapping in made)
        said = format_html("{} {}", text % {"count": len(made), "names": inert(names)}, _next_step(request))
        self.message_user(request, said, messages.SUCCESS)
        warn_of_unreached(request)
        return HttpResponseRedirect(reverse("admin:gateway_modelmapping_changelist"))


def _next_step(request: HttpRequest) -> SafeString:
    """A link to the first client key, while there is none."""
    if ClientKey.unretired().exists() or not request.user.has_perm("gateway.add_clientkey"):
        return SafeString("")
    address = reverse("admin:gateway_clientkey_add")
    return format_html('<a class="gw-link" href="{}">{}</a>', address, _("Issue a client key"))


def known_models(record: Provider) -> list[str]:
    """The upstream models that mappings name for this provider."""
    names = record.targets.exclude(upstream_model__contains="*").exclude(upstream_model="")
    return sorted(set(names.values_list("upstream_model", flat=True)))


def _models_path(record: Provider) -> str:
    known = preset(record.preset)
    if known.protocol != "anthropic" and (record.options or {}).get("protocol") == "anthropic":
        return "/v1/models"  # the base URL differs: it has no version
    return known.models_endpoint or ""


def _typed_credential(posted: QueryDict) -> str:
    """The first secret typed into the rows of credentials."""
    for at in range(_count(posted, "credentials-TOTAL_FORMS")):
        value = posted.get(f"credentials-{at}-value", "").strip()
        if value:
            return value
    return ""


def _count(posted: QueryDict, name: str = "models") -> int:
    text = posted.get(name, "")
    return min(int(text), 2000) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _offer(model: OfferedModel, record: Provider, pattern: str) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "id": model.id,
        "window": model.context_window,
        "output": model.max_output_tokens,
        "mapped": record.targets.filter(upstream_model=model.id).exists(),
    }


def _worked(levels: tuple[Level, ...]) -> bool:
    return all(level.outcome in ("passed", "unclear") for level in levels)


def _shown(level: Level) -> ShownLevel:
    told = level.outcome != "passed" or level.name == "answer"
    said = level.detail if told else ""
    if said and level.status and level.outcome == "failed":
        said = f"HTTP {level.status}: {said}"
    sentence = probe_messages.sentence(level.code)
    if level.outcome == "skipped" and not sentence:
        sentence = probe_messages.skipped()
    return ShownLevel(
        title=str(probe_messages.LEVELS[level.name]),
        badge=badge(probe_messages.OUTCOMES[level.outcome], _TONES[level.outcome]),
        time=NOTHING if level.milliseconds is None else milliseconds(level.milliseconds),
        sentence=sentence,
        said=said,
    )
